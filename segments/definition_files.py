"""Reading definition files: one way for segments, campaigns, offers, channels and limits.

A definition file is JSON or YAML in UTF-8 of at most `MAX_FILE_BYTES`; the same content means the same in both, see
features/yaml_values.py. Repeated keys in an object and NaN or Infinity are refused. The key `$schema`, by which editors
find the JSON Schema of a file, is no part of its content. Every error names the file, the path inside it, the line
where it can be known, the problem and the value.
"""

from __future__ import annotations

import json
from functools import lru_cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from features.yaml_values import YamlError, extend_path, find_lines, read_yaml
from segments.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pydantic_core import ErrorDetails

MAX_FILE_BYTES = 256 * 1024
SUFFIXES = (".json", ".yaml", ".yml")
SCHEMA_KEY = "$schema"
_SHOWN_CHARACTERS = 80
# Pydantic names Python types; the author of a file writes JSON.
_JSON_TYPES = {"valid tuple": "valid array", "valid list": "valid array", "valid dictionary": "valid object"}


class Keyed(Protocol):
    """A definition that others refer to by its key."""

    @property
    def key(self) -> str:
        """Unique among the definitions of a folder."""


Definition = TypeVar("Definition", bound=Keyed)
Parsed = TypeVar("Parsed")


def read_folder(
    folder: Path, build: Callable[[Any, Path], Definition], *, other_files: Collection[str] = ()
) -> tuple[Definition, ...]:
    """Read every definition file of a folder, in the order of their names.

    Args:
        folder: the folder.
        build: makes a definition of a file's content.
        other_files: names, without the suffix, of files that hold something else.

    Raises:
        DefinitionError: the folder is missing, a file cannot be used, or two files have the same key.
    """
    if folder.is_file():
        raise DefinitionError(f"{folder}: this is a file; a folder of definition files is needed")
    if not folder.is_dir():
        raise DefinitionError(f"{folder}: no such folder; create it, or correct HOLDFAST_DEFINITIONS_DIR")
    definitions: list[Definition] = []
    files: dict[str, Path] = {}
    for file in sorted(each for each in folder.iterdir() if each.suffix in SUFFIXES):
        if file.stem in other_files:
            continue
        definition = build(read_content(file), file)
        if definition.key in files:
            place = describe_place(file, "$.key")
            used = f"{definition.key!r} is already used by {files[definition.key]}; choose another"
            raise DefinitionError(f"{file}: {place} {used}")
        files[definition.key] = file
        definitions.append(definition)
    return tuple(definitions)


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file of a name without suffix, None if there is none.

    Raises:
        DefinitionError: there are several.
    """
    found = [file for suffix in SUFFIXES if (file := folder / f"{name}{suffix}").exists()]
    if len(found) > 1:
        raise DefinitionError(f"{found[1]}: {found[0]} defines {name}, too; keep one of the two")
    return found[0] if found else None


def read_content(file: Path) -> Any:
    """Return the content of a definition file as JSON values, without `$schema`.

    Raises:
        DefinitionError: it is missing, no file, too large, or neither JSON nor YAML as described above.
    """
    if file.is_dir():
        raise DefinitionError(f"{file}: this is a folder; a JSON or YAML file is needed")
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DefinitionError(f"{file}: {size:,} bytes; a definition file may have {MAX_FILE_BYTES:,} at most")
        content = _parse(file.read_bytes(), file)
    except OSError as error:
        raise DefinitionError(f"{file}: cannot be read ({error.strerror})") from error
    if isinstance(content, dict):
        content.pop(SCHEMA_KEY, None)
    return content


def validate(content: Any, shape: type[Parsed], *, where: object, context: Mapping[str, Any] | None = None) -> Parsed:
    """Check JSON against a pydantic type and return what it describes.

    Args:
        content: the JSON.
        shape: the type, as a pydantic model.
        where: what to call it in an error: its file.
        context: passed on to the type's validators.

    Raises:
        DefinitionError: it does not fit; every problem is named.
    """
    try:
        parsed: Parsed = _adapter(cast("Any", shape)).validate_python(content, context=dict(context or {}))
    except ValidationError as error:
        problems = "; ".join(_describe(problem, where) for problem in error.errors(include_url=False))
        raise DefinitionError(f"{where}: {problems}") from error
    return parsed


@lru_cache(maxsize=64)
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def describe_shape(shape: Any, name: str, title: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a definition file.

    Args:
        shape: the pydantic type of its content.
        name: ends the schema's `$id`.
        title: the schema's title.
    """
    schema = _tidy(TypeAdapter(shape).json_schema())
    if "properties" in schema:
        named = {SCHEMA_KEY: {"type": "string", "description": "Where editors find this schema; ignored otherwise."}}
        schema["properties"] = {**named, **schema["properties"]}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:holdfast:schema:{name}-definition:v1",
    }
    return {**head, **schema, "title": title}


def _tidy(schema: Any) -> Any:
    """Leave out pydantic's titles, and what docstrings say to programmers after their first paragraph."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _tidy(each) for name, each in schema.items() if name != "title" or not isinstance(each, str)}
    if isinstance(text := kept.get("description"), str):
        kept["description"] = text.partition("\n\n")[0].replace("\n", " ")
    return kept


def describe_place(where: object, path: str) -> str:
    """Return a path inside a definition with its line, as in `$.rule (line 4)`; without it where it is not known."""
    line = find_line(where, path)
    return path if line is None else f"{path} (line {line})"


def find_line(where: object, path: str) -> int | None:
    """Return the line of a part of a definition file, of what it is missing from where it is missing.

    None where `where` is no file, and of a file in one line: that line says nothing. The file is read again, so that
    lines cost nothing where nothing is wrong.
    """
    try:
        lines = find_lines(_decode(Path(str(where)).read_bytes()))
    except (OSError, ValueError):
        return None
    part = path
    while part not in lines and part:
        part = part[: max(part.rfind("."), part.rfind("["), 0)]
    return None if part in ("", "$") or len({*lines.values()}) == 1 else lines[part]


def _decode(content: bytes) -> str:
    # Windows editors write a byte order mark.
    return content.decode("utf-8-sig")


def _parse(content: bytes, file: Path) -> Any:
    name = "JSON" if file.suffix == ".json" else "YAML"
    try:
        text = _decode(content)
        if name == "YAML":
            return read_yaml(text).value
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except _RepeatedKeyError as error:
        raise DefinitionError(f"{file}: not valid JSON: {_find_repetition(_decode(content)) or error}") from error
    except (ValueError, RecursionError, YamlError) as error:
        raise DefinitionError(f"{file}: not valid {name}: {error}") from error


def _describe(problem: ErrorDetails, where: object) -> str:
    text = f"{describe_place(where, _path(problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"
    for python, in_json in _JSON_TYPES.items():
        text = text.replace(python, in_json)
    # Of a missing field pydantic gives the whole object as the value.
    return text if problem["type"] == "missing" else f"{text}, value {problem['input']!r:.{_SHOWN_CHARACTERS}}"


def _path(location: Sequence[str | int]) -> str:
    return reduce(extend_path, location, "$")


class _RepeatedKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise _RepeatedKeyError(f"key {repeated!r} appears twice in one object")
    return dict(pairs)


def _find_repetition(text: str) -> YamlError | None:
    """Return the sentence about a repeated key with its lines, None in a text of one line."""
    if "\n" not in text.strip():
        return None
    try:
        read_yaml(text.replace("\t", " "))
    except YamlError as error:
        return error if "appears twice" in str(error) else None
    return None


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")
