"""Personalised messages from sandboxed templates.

A message is text, facts, filters and conditions: `{{ fact }}`, `{{ fact | filter }}`, `{% if fact > 1 %}` and so on.
Jinja's sandbox keeps a template from Python; it does not keep it from filling the memory, for which a few
characters are enough: 'x' * 10 ** 9, nested loops, a variable doubled again and again. So calls, loops and
assignments are refused, and the filters are those below, none of which makes much out of little.
"""

from __future__ import annotations

from functools import lru_cache
from numbers import Number
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

from campaigns.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jinja2 import Template
    from jinja2.runtime import Context

MAX_MESSAGE_CHARACTERS = 2_000
MAX_DIGITS = 6

_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If)
_VALUES = (nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice)
_CONDITIONS = (nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test)
_OPERATORS = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat)
_ALLOWED = (*_STATEMENTS, *_VALUES, *_CONDITIONS, *_OPERATORS, nodes.Filter, nodes.Keyword)

_JINJA_FILTERS = (
    "abs",
    "capitalize",
    "default",
    "first",
    "float",
    "int",
    "last",
    "length",
    "lower",
    "title",
    "trim",
    "truncate",
    "upper",
)


class _Environment(ImmutableSandboxedEnvironment):
    # Both also work on text, where they repeat it or pad it to any length.
    intercepted_binops = frozenset({"*", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not isinstance(left, Number) or not isinstance(right, Number):
            raise SecurityError(f"{operator} is for numbers, not {type(left).__name__} and {type(right).__name__}")
        return super().call_binop(context, operator, left, right)


def _round(value: float, digits: int = 0) -> float:
    return round(float(value), _checked(digits))


def _fixed(value: float, digits: int = 2) -> str:
    return f"{float(value):,.{_checked(digits)}f}"


def _checked(digits: int) -> int:
    if not 0 <= digits <= MAX_DIGITS:
        raise ValueError(f"{digits} digits are asked for; 0 to {MAX_DIGITS} are allowed")
    return digits


def _join(values: list[Any] | tuple[Any, ...], separator: str = ", ") -> str:
    if not isinstance(values, list | tuple):
        raise TypeError(f"join is for lists, not {type(values).__name__}")
    parts = [str(value) for value in values]
    if sum(map(len, parts)) + len(separator) * len(parts) > MAX_MESSAGE_CHARACTERS:
        raise ValueError(f"join makes more than {MAX_MESSAGE_CHARACTERS:,} characters")
    return separator.join(parts)


_ENVIRONMENT = _Environment(undefined=StrictUndefined, autoescape=False)
_ENVIRONMENT.globals.clear()
_ENVIRONMENT.filters = {
    **{name: FILTERS[name] for name in _JINJA_FILTERS},
    "fixed": _fixed,
    "join": _join,
    "round": _round,
}


@lru_cache(maxsize=1024)
def compile_message(source: str) -> Template:
    """Compile a template.

    Raises:
        MessageError: its syntax is wrong, or it uses what messages may not; the message says where.
    """
    try:
        tree = _ENVIRONMENT.parse(source)
        _refuse_forbidden(tree)
        return _ENVIRONMENT.from_string(tree)
    # The last two are Python's own limits on how deep code may nest.
    except (TemplateError, RecursionError, SyntaxError) as error:
        raise MessageError(f"the message template does not compile: {error}") from error


def _refuse_forbidden(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            raise SecurityError(
                f"line {node.lineno} uses {type(node).__name__}; a message is text, facts, filters and conditions"
            )


def render_message(source: str, facts: Mapping[str, Any]) -> str:
    """Fill a template with one customer's facts.

    Raises:
        MessageError: the template uses a fact that does not exist, does what the sandbox forbids, or grows too long.
    """
    try:
        text = compile_message(source).render(facts)
    # Jinja's truncate asserts that the length it is given leaves room for the dots.
    except (TemplateError, TypeError, ValueError, ArithmeticError, AssertionError) as error:
        raise MessageError(f"the message cannot be written: {error}") from error
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise MessageError(f"the message has {len(text):,} characters; {MAX_MESSAGE_CHARACTERS:,} are allowed")
    return text
