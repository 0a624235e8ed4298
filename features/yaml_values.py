"""YAML as a way to write JSON: what both mean is read, and what they read differently is refused.

Events of the parser are read and no objects are built, so a file can neither name a type nor repeat a part of itself
without end: tags, anchors and aliases are refused. Text without quotes is a number, true, false or null only where it
is one in JSON, too. What YAML 1.1 makes of other text, as a boolean of `no` and a date of `2011-06-01`, is refused
rather than read as text: the next program to read the file would see another value.

The lines of the values are kept; JSON, being YAML as well, has its lines found in the same way.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Several times as fast; the same events.
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_CONSTANTS: Mapping[str, Any] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~"), None),
}
_KINDS = {
    "bool": ("a boolean", "write true or false"),
    "int": ("a number", "write the number as JSON does"),
    "float": ("a number", "write the number as JSON does"),
    "timestamp": ("a date or time", ""),
    "merge": ("a merge of objects", ""),
    "value": ("a default", ""),
}
# Line breaks of YAML 1.1, and not of YAML 1.2 and JSON.
_BREAKS = re.compile("[\x85\u2028\u2029]")
# YAML 1.1 has them as booleans; PyYAML does not.
_SHORT_BOOLEANS = frozenset({"y", "Y", "n", "N"})
_IDENTIFIER = re.compile(r"[^\W\d]\w*", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+|[-+]?0[0-9_]+")


class YamlError(Exception):
    """Text that is not YAML, or uses what this module refuses; `line` counts from 1, 0 where it is unknown."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.line = line


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A document: its value as JSON has it, and the line of each part by its path, as in `$.offers[0]`."""

    value: Any
    lines: Mapping[str, int]


def extend_path(path: str, key: str | int) -> str:
    """Return the path of a part of what a path leads to: `$.offers[0]`, and `$["<="]` of what is no identifier."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if _IDENTIFIER.fullmatch(key) else f"{path}[{json.dumps(key)}]"


def read_yaml(text: str) -> YamlDocument:
    """Read a document.

    Raises:
        YamlError: it is not YAML, or uses what JSON cannot say.
    """
    if found := _BREAKS.search(text):
        code = f"{ord(found[0]):04X}"
        line = text.count("\n", 0, found.start()) + 1
        raise YamlError(f"U+{code} breaks a line in YAML 1.1; write \\u{code}, in double quotes", line)
    reader = _Reader(yaml.parse(text, Loader=_LOADER))
    try:
        return reader.read_document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise YamlError(f"{error.problem}; put text with special characters in quotes", line) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(str(error).partition("\n")[0]) from error


def find_lines(text: str) -> Mapping[str, int]:
    """Return the line of each part of a JSON or YAML document by its path; empty where none can be found."""
    with suppress(YamlError):
        # In JSON a tab is a blank, in YAML none.
        return read_yaml(text.replace("\t", " ")).lines
    return {}


@dataclass(slots=True)
class _Reader:
    events: Iterator[Any]
    lines: dict[str, int] = field(default_factory=dict)

    def read_document(self) -> YamlDocument:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise YamlError("it is empty")
        value = self._read(next(self.events), "$")
        next(self.events)
        another = next(self.events)
        if not isinstance(another, yaml.StreamEndEvent):
            raise YamlError("a second document begins; write one to a file", _line(another))
        return YamlDocument(value, self.lines)

    def _read(self, event: Any, path: str) -> Any:
        _refuse_special(event)
        self.lines[path] = _line(event)
        match event:
            case yaml.ScalarEvent():
                return _read_scalar(event)
            case yaml.SequenceStartEvent():
                return [self._read(each, extend_path(path, place)) for place, each in enumerate(self._until_end())]
            case _:
                return self._read_mapping(path)

    def _until_end(self) -> Iterator[Any]:
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                return
            yield event

    def _read_mapping(self, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self._until_end():
            key, line = _read_key(event), _line(event)
            inner = extend_path(path, key)
            if key in values:
                first = self.lines[inner]
                raise YamlError(f"key {key!r} appears twice in one object, first in line {first}", line)
            values[key] = self._read(next(self.events), inner)
            self.lines[inner] = line
        return values


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _refuse_special(event: Any) -> None:
    if event.anchor is not None:
        raise YamlError(
            "anchors and aliases (& and *) are refused; write the value out, or text in quotes", _line(event)
        )
    if event.tag is not None:
        raise YamlError(f"the tag {event.tag!r} is refused; write the value as JSON has it", _line(event))


def _read_key(event: Any) -> str:
    _refuse_special(event)
    key = _read_scalar(event) if isinstance(event, yaml.ScalarEvent) else None
    if not isinstance(key, str):
        shown = f" {event.value} is none;" if isinstance(event, yaml.ScalarEvent) else ""
        raise YamlError(f"a key is text;{shown} put it in quotes", _line(event))
    return key


def _read_scalar(event: yaml.ScalarEvent) -> Any:
    text = event.value
    is_plain, _ = event.implicit
    if not is_plain:
        return text
    if not text:
        raise YamlError("a value is missing; write null where nothing is meant", _line(event))
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NUMBER.fullmatch(text):
        return json.loads(text)
    if found := _find_other_meaning(text):
        kind, instead = found
        choice = f", or {instead}" if instead else ""
        raise YamlError(f'{text} is {kind} in YAML 1.1; put it in quotes, "{text}", for text{choice}', _line(event))
    return text


def _find_other_meaning(text: str) -> Sequence[str] | None:
    """Return what YAML 1.1 makes of text without quotes, and what to write instead; None if it stays text."""
    if text in _SHORT_BOOLEANS:
        return _KINDS["bool"]
    if _OCTAL.fullmatch(text):
        return ("an octal number", _KINDS["int"][1])
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], ()):
        if pattern.match(text):
            return _KINDS[tag.rpartition(":")[2]]
    return None
