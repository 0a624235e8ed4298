"""Reading definition files: one way for segments, campaigns, offers and channels.

A definition file is JSON in UTF-8 of at most `MAX_FILE_BYTES`. Repeated keys in an object and NaN or Infinity are
refused. Every error names the file, the path inside it, the problem and the value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from segments.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

MAX_FILE_BYTES = 256 * 1024
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
    """Read every `*.json` file of a folder, in the order of their names.

    Args:
        folder: the folder.
        build: makes a definition of a file's JSON.
        other_files: names of files that hold something else.

    Raises:
        DefinitionError: the folder is missing, a file cannot be used, or two files have the same key.
    """
    if folder.is_file():
        raise DefinitionError(f"{folder}: this is a file; a folder of definition files is needed")
    if not folder.is_dir():
        raise DefinitionError(f"{folder}: no such folder; create it, or correct HOLDFAST_DEFINITIONS_DIR")
    definitions: list[Definition] = []
    files: dict[str, Path] = {}
    for file in sorted(folder.glob("*.json")):
        if file.name in other_files:
            continue
        definition = build(read_json(file), file)
        if definition.key in files:
            raise DefinitionError(
                f"{file}: $.key {definition.key!r} is already used by {files[definition.key]}; choose another"
            )
        files[definition.key] = file
        definitions.append(definition)
    return tuple(definitions)


def read_json(file: Path) -> Any:
    """Return the JSON of a definition file.

    Raises:
        DefinitionError: it is missing, no file, too large, or not JSON as described above.
    """
    if file.is_dir():
        raise DefinitionError(f"{file}: this is a folder; a JSON file is needed")
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DefinitionError(f"{file}: {size:,} bytes; a definition file may have {MAX_FILE_BYTES:,} at most")
        # Windows editors write a byte order mark.
        text = file.read_bytes().decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except OSError as error:
        raise DefinitionError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DefinitionError(f"{file}: not valid JSON: {error}") from error


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
        return TypeAdapter(shape).validate_python(content, context=dict(context or {}))
    except ValidationError as error:
        problems = "; ".join(map(_describe, error.errors(include_url=False)))
        raise DefinitionError(f"{where}: {problems}") from error


def _describe(problem: ErrorDetails) -> str:
    text = f"{_path(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
    for python, in_json in _JSON_TYPES.items():
        text = text.replace(python, in_json)
    # Of a missing field pydantic gives the whole object as the value.
    return text if problem["type"] == "missing" else f"{text}, value {problem['input']!r:.{_SHOWN_CHARACTERS}}"


def _path(location: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {repeated!r} appears twice in one object")
    return dict(pairs)


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")
