"""Syntax errors of message templates in words: where, and what to write instead. Pure.

Jinja names tokens of its grammar and the line where its parser stopped, which is often behind the mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import TemplateSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Environment

_CLOSING = {"{{": "}}", "{%": "%}", "{#": "#}"}
_OPENING = re.compile(r"\{[{%#]")
_TEXT = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_STATEMENT = re.compile(r"[-+]?\s*(\w*)")
_STATEMENTS = ("if", "elif", "else", "endif")
_SHOWN_CHARACTERS = 40


class _Tag(NamedTuple):
    """A tag of a template: where it begins, and its text with both delimiters."""

    begin: int
    text: str

    @property
    def inside(self) -> str:
        return self.text[2:-2]


def describe_syntax_error(source: str, error: TemplateSyntaxError, environment: Environment) -> str:
    """Return what is wrong in a template that does not compile: line, column, the tag, and the mistake.

    Args:
        source: the template.
        error: Jinja's, of parsing it.
        environment: parses one tag alone.
    """
    tags = []
    for tag in _find_tags(source):
        if not tag.text.endswith(_CLOSING[tag.text[:2]]):
            closing = _CLOSING[tag.text[:2]]
            return f"{_place(source, tag.begin)}: {_show(tag.text)} is not closed by {closing!r}"
        tags.append(tag)
    for tag in tags:
        if wrong := _find_mistake(tag, environment):
            return f"{_place(source, tag.begin)}: {_show(tag.text)} {wrong}"
    return _find_unpaired(source, tags) or f"line {error.lineno}: {error.message}"


def _find_tags(source: str) -> Iterator[_Tag]:
    """Return the tags in order; one that is not closed ends before the next tag, or with its line."""
    position = 0
    while opening := _OPENING.search(source, position):
        begin, closing = opening.start(), _CLOSING[opening.group()]
        # A delimiter inside a quoted text closes nothing; blanks keep all positions.
        plain = _TEXT.sub(lambda text: " " * len(text.group()), source[begin:]) if closing != "#}" else source[begin:]
        end = plain.find(closing, 2)
        following = _OPENING.search(plain, 2)
        if end < 0 or (following and following.start() < end and closing != "#}"):
            stop = following.start() if following else len(plain)
            yield _Tag(begin, source[begin : begin + stop].partition("\n")[0].rstrip())
            return
        position = begin + end + 2
        yield _Tag(begin, source[begin:position])


def _find_mistake(tag: _Tag, environment: Environment) -> str:
    """Return what is wrong in one tag alone, empty when nothing is."""
    if tag.text.startswith("{#"):
        return ""
    alone = tag.text
    if tag.text.startswith("{%"):
        name = _statement(tag)
        if name not in _STATEMENTS:
            return f"is no statement of a message; there are: {', '.join(_STATEMENTS)}"
        alone = {
            "if": f"{tag.text}{{% endif %}}",
            "elif": f"{{% if 1 %}}{tag.text}{{% endif %}}",
            "else": f"{{% if 1 %}}{tag.text}{{% endif %}}",
            "endif": f"{{% if 1 %}}{tag.text}",
        }[name]
    try:
        environment.parse(alone)
    except TemplateSyntaxError as error:
        return _explain(tag, error.message or "")
    return ""


def _explain(tag: _Tag, message: str) -> str:
    if not tag.inside.strip(" -+"):
        return "is empty; write a fact between the braces, as {{ first_name }}"
    found = re.search(r"(?:got|unexpected) '(.*?)'", message)
    got = found[1] if found else ""
    if got in {"end of print statement", "end of statement block"}:
        return "ends too early: something is missing before its end"
    return f"has {got!r} in a place where it cannot be" if got else f"cannot be read: {message}"


def _find_unpaired(source: str, tags: list[_Tag]) -> str:
    """Return which statement lacks its counterpart, empty when all have theirs."""
    open_tags: list[_Tag] = []
    for tag in tags:
        name = _statement(tag)
        if name == "if":
            open_tags.append(tag)
        elif name and not open_tags:
            return f"{_place(source, tag.begin)}: {_show(tag.text)} has no {{% if ... %}} before it"
        elif name == "endif":
            open_tags.pop()
    if not open_tags:
        return ""
    return f"{_place(source, open_tags[-1].begin)}: {_show(open_tags[-1].text)} has no {{% endif %}} after it"


def _statement(tag: _Tag) -> str:
    found = _STATEMENT.match(tag.inside) if tag.text.startswith("{%") else None
    return found[1] if found else ""


def _place(source: str, position: int) -> str:
    line = source.count("\n", 0, position) + 1
    return f"line {line}, column {position - source.rfind(chr(10), 0, position)}"


def _show(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _SHOWN_CHARACTERS else f"{one_line[:_SHOWN_CHARACTERS]}..."
