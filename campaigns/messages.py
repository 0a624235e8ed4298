"""Personalised messages from sandboxed templates. Pure.

A message is text, facts, filters and conditions: `{{ fact }}`, `{{ fact | filter }}`, `{% if fact > 1 %}` and so on.
Jinja's sandbox keeps a template from Python; it does not keep it from filling the memory, for which a few
characters are enough: 'x' * 10 ** 9, nested loops, a variable doubled again and again. So calls, loops and
assignments are refused, and the filters are those below, whose results are bounded.

What a template inserts is data. In an HTML message it is escaped. In every message, line breaks
in a customer's fact become a space, and control characters and bidirectional overrides are removed: they could add a
header to an e-mail or reverse the text around them. They are removed rather than refused because the text stays
readable without them, and a stray character should not cost the customer the message. A null is printed as nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache, wraps
from numbers import Number
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from campaigns.channels import MAX_MESSAGE_CHARACTERS
from campaigns.errors import MessageError
from campaigns.locale_formats import DEFAULT_LOCALE, DateStyle, check_digits, write_date, write_money, write_number
from campaigns.sms import count_segments
from campaigns.template_errors import describe_syntax_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from jinja2 import Environment, Template
    from jinja2.runtime import Context

    from campaigns.channels import MessageFormat

PRODUCT_FIELD = "product"
"""The recommendation that the offer is about, by the policy `recommended` alone; null where it is about none."""
OFFER_FIELDS = ("id", "key", "name", PRODUCT_FIELD)
"""The fields of an offer that messages may print: what it is worth is none of the customer's business."""
DECISION_NAMES = frozenset({"offer", "offer_basis"})
"""What a template may read besides the customer's facts: the offer, and whether a model or the rules scored it."""

MAX_SUBJECT_CHARACTERS = 250

_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If)
_VALUES = (nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice)
_CONDITIONS = (nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test)
_OPERATORS = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat)
_ALLOWED = (*_STATEMENTS, *_VALUES, *_CONDITIONS, *_OPERATORS, nodes.Filter, nodes.Keyword)

_TEXT_FILTERS = ("capitalize", "first", "last", "lower", "title", "trim", "truncate", "upper")
_NUMBER_FILTERS = ("abs", "float", "int", "length")

# Unicode's line and paragraph separators, and what else `str.splitlines` and browsers take for a line break or a tab.
_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")
_EXACT_BELOW = 1e15
_LOCALE_SAMPLES = {"number": 0, "money": 0, "date": "2000-01-01"}


class _Null(Undefined):
    """A fact that is null: it prints nothing, is false and equal to none, and `default` replaces it.

    Anything else, as arithmetic or an order, fails with a message that names the fact.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, _Null)

    def __hash__(self) -> int:
        return hash(None)

    def fail(self, *_: Any) -> Any:
        """Fail with a message that names the fact."""
        return self._fail_with_undefined_error()

    __abs__ = __contains__ = __iter__ = __len__ = fail


class _Environment(ImmutableSandboxedEnvironment):
    # Both also work on text, where they repeat it or pad it to any length.
    intercepted_binops = frozenset({"*", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for side in (left, right):
            if isinstance(side, _Null):
                side.fail()
        if not isinstance(left, Number) or not isinstance(right, Number):
            raise SecurityError(f"{operator} is for numbers, not {type(left).__name__} and {type(right).__name__}")
        return super().call_binop(context, operator, left, right)


def _round(value: float, digits: int = 0) -> float:
    return round(float(value), check_digits(digits))


def _fixed(value: float, digits: int = 2) -> str:
    return f"{float(value):,.{check_digits(digits)}f}"


def _locale_filters(locale: str) -> dict[str, Callable[..., Any]]:
    """Return the filters that write a value as people of a locale do; another one may be named for each value."""

    def number(value: float, digits: int = 0, locale: str = locale) -> str:
        return write_number(float(value), digits, locale)

    def money(value: float, currency: str, locale: str = locale) -> str:
        return write_money(float(value), currency, locale)

    def date(value: str, style: DateStyle = "medium", locale: str = locale) -> str:
        return write_date(value, style, locale)

    return {each.__name__: _keeping_null(each) for each in (number, money, date)}


def _join(values: list[Any] | tuple[Any, ...], separator: str = ", ") -> str:
    if not isinstance(values, list | tuple):
        raise TypeError(f"join is for lists, not {type(values).__name__}")
    parts = [str(_printed(value)) for value in values if not _is_null(value)]
    if sum(map(len, parts)) + len(separator) * len(parts) > MAX_MESSAGE_CHARACTERS:
        raise ValueError(f"join makes more than {MAX_MESSAGE_CHARACTERS:,} characters")
    return separator.join(parts)


def _is_null(value: Any) -> bool:
    return value is None or isinstance(value, _Null)


def _printed(value: Any) -> Any:
    """Return what is printed of a value: nothing of null, a whole number without a fraction, lists joined by commas."""
    match value:
        case str() | Undefined() | bool() | int():
            return value
        case None:
            return ""
        case float():
            return _print_number(value)
        case list() | tuple():
            return _join(value)
        case _:
            raise TypeError(f"{type(value).__name__} is not text or a number; name one of its fields")


def _print_number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    # Beyond, a float stands for many whole numbers.
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT_BELOW else str(value)


def _keeping_null(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that returns null for null, so that `default` may follow it."""
    place = 1 if hasattr(apply, "jinja_pass_arg") else 0

    @wraps(apply)
    def keep(*args: Any, **options: Any) -> Any:
        value = args[place]
        return value if _is_null(value) else apply(*args, **options)

    return keep


@lru_cache(maxsize=64)
def _build_environment(message_format: MessageFormat, locale: str = DEFAULT_LOCALE) -> Environment:
    environment = _Environment(undefined=StrictUndefined, autoescape=message_format == "html", finalize=_printed)
    environment.globals.clear()
    environment.filters = {
        "default": FILTERS["default"],
        **{name: _keeping_null(FILTERS[name]) for name in _TEXT_FILTERS},
        **{name: FILTERS[name] for name in _NUMBER_FILTERS},
        "fixed": _fixed,
        "join": _keeping_null(_join),
        "round": _round,
        "printed": _printed,
        **_locale_filters(locale),
    }
    environment.tests = {**TESTS, "none": _is_null}
    return environment


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """What a template reads.

    Attributes:
        names: the names of the customer's facts, and those of `DECISION_NAMES`.
        offer_fields: the fields of the offer.
    """

    names: frozenset[str]
    offer_fields: frozenset[str]

    @property
    def facts(self) -> frozenset[str]:
        """The names of the customer's facts."""
        return self.names - DECISION_NAMES


@lru_cache(maxsize=1024)
def read_template(source: str) -> MessageTemplate:
    """Check a template and return what it reads.

    Raises:
        MessageError: its syntax is wrong, or it uses what messages may not; the message says where.
    """
    compile_message(source)
    tree = _build_environment("text").parse(source)
    return MessageTemplate(frozenset(find_undeclared_variables(tree)), frozenset(_offer_fields(tree)))


@lru_cache(maxsize=1024)
def compile_message(source: str, message_format: MessageFormat = "text", locale: str = DEFAULT_LOCALE) -> Template:
    """Compile a template for a format and a locale.

    Raises:
        MessageError: its syntax is wrong, or it uses what messages may not; the message says where.
    """
    environment = _build_environment(message_format, locale)
    try:
        tree = environment.parse(source)
        _refuse_forbidden(tree, environment)
        _print_parts(tree, environment)
        return environment.from_string(tree)
    except TemplateSyntaxError as error:
        wrong = describe_syntax_error(source, error, environment)
        raise MessageError(f"the message template does not compile: {wrong}") from error
    # The last two are Python's own limits on how deep code may nest.
    except (TemplateError, RecursionError, SyntaxError) as error:
        raise MessageError(f"the message template does not compile: {error}") from error


def _refuse_forbidden(tree: nodes.Template, environment: Environment) -> None:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            raise SecurityError(
                f"line {node.lineno} uses {type(node).__name__}; a message is text, facts, filters and conditions"
            )

        # Jinja refuses these, too, but inside an `if` only when the message is written.
        if isinstance(node, nodes.Filter):
            _refuse_unknown(node, environment.filters)
            _try_locale_filter(node, environment)
        elif isinstance(node, nodes.Test):
            _refuse_unknown(node, environment.tests)


def _refuse_unknown(node: nodes.Filter | nodes.Test, known: Collection[str]) -> None:
    if node.name not in known:
        kind, names = type(node).__name__.lower(), sorted(filter(str.isidentifier, known))
        raise SecurityError(f"line {node.lineno} uses {node.name!r}, which is no {kind}; there are: {', '.join(names)}")


def _try_locale_filter(node: nodes.Filter, environment: Environment) -> None:
    """Refuse a currency, style, locale or number of digits that no customer's message could be written with."""
    sample = _LOCALE_SAMPLES.get(node.name)
    given = [*node.args, *(each.value for each in node.kwargs)]
    if sample is None or not all(isinstance(each, nodes.Const) for each in given):
        return
    arguments = [each.as_const() for each in node.args]
    options = {str(each.key): each.value.as_const() for each in node.kwargs}
    try:
        environment.filters[node.name](sample, *arguments, **options)
    except (TypeError, ValueError) as error:
        raise SecurityError(f"line {node.lineno} uses {node.name!r} wrongly: {error}") from error


def _print_parts(tree: nodes.Template, environment: Environment) -> None:
    """Let `~` join what would be printed of its operands, rather than what Python makes of them."""
    for concat in tree.find_all(nodes.Concat):
        concat.nodes = [nodes.Filter(each, "printed", [], [], None, None, lineno=each.lineno) for each in concat.nodes]
        concat.set_environment(environment)


def _offer_fields(tree: nodes.Template) -> set[str]:
    """Return the names in `offer.name` and `offer['name']`."""
    return {name for node in tree.find_all(nodes.Node) if isinstance(name := _offer_field(node), str)}


def _offer_field(node: nodes.Node) -> Any:
    match node:
        case nodes.Getattr(node=nodes.Name(name="offer"), attr=name):
            return name
        case nodes.Getitem(node=nodes.Name(name="offer"), arg=nodes.Const(value=name)):
            return name
        case _:
            return None


def render_message(
    source: str,
    facts: Mapping[str, Any],
    message_format: MessageFormat = "text",
    max_characters: int = MAX_MESSAGE_CHARACTERS,
    locale: str = DEFAULT_LOCALE,
) -> str:
    """Fill a template with one customer's facts.

    Args:
        source: the template.
        facts: the customer's facts as JSON values, and the fields of the offer as `offer`.
        message_format: `html` escapes what is inserted; the template's own text is never escaped.
        max_characters: a longer message is refused.
        locale: how numbers, money and dates are written.

    Raises:
        MessageError: the template uses a fact that does not exist, does what the sandbox forbids, prints nothing, or
            grows too long.
    """
    text = _fill(source, facts, message_format, locale, "message")
    if len(text) > max_characters:
        raise MessageError(f"the message has {len(text):,} characters; {max_characters:,} are allowed")
    return text


def render_subject(source: str, facts: Mapping[str, Any], locale: str = DEFAULT_LOCALE) -> str:
    """Fill the template of a subject with one customer's facts: plain text in one line, without blanks around it.

    Raises:
        MessageError: as render_message, or it has a line break or another control character, which could add a header
            to an e-mail.
    """
    text = _fill(source, facts, "text", locale, "subject").strip()
    if clean_text(text) != text:
        raise MessageError("the subject has a line break, a tab or a control character")
    if len(text) > MAX_SUBJECT_CHARACTERS:
        raise MessageError(f"the subject has {len(text):,} characters; {MAX_SUBJECT_CHARACTERS:,} are allowed")
    return text


def _fill(source: str, facts: Mapping[str, Any], message_format: MessageFormat, locale: str, what: str) -> str:
    template = compile_message(source, message_format, locale)
    read = read_template(source)
    values = {
        name: facts[name] if name in DECISION_NAMES else _prepare(facts[name], name)
        for name in read.names
        if name in facts
    }
    if PRODUCT_FIELD in read.offer_fields:
        product = _prepare(facts["offer"].get(PRODUCT_FIELD), f"offer.{PRODUCT_FIELD}")
        values["offer"] = {**facts["offer"], PRODUCT_FIELD: product}
    try:
        text = template.render(values)
    # Jinja's truncate asserts that the length it is given leaves room for the dots.
    except (TemplateError, TypeError, ValueError, ArithmeticError, AssertionError) as error:
        raise MessageError(f"the {what} cannot be written: {error}") from error
    if not text.strip():
        raise MessageError(f"the {what} is empty for this customer")
    return text


def refuse_segments(message: str, most: int) -> None:
    """Refuse a text message of too many parts.

    Raises:
        MessageError: it has more.
    """
    segments = count_segments(message)
    if segments > most:
        raise MessageError(f"the message has {segments} SMS segments; {most} are allowed")


def _prepare(value: Any, name: str) -> Any:
    """Return a fact as templates see it."""
    match value:
        case str():
            return clean_text(value)
        case float() | None if value is None or not math.isfinite(value):
            return _Null(hint=f"{name!r} is null; put default(...) first, or an if around it")
        case float() if value.is_integer() and abs(value) < _EXACT_BELOW:
            return int(value)
        case list():
            return [_prepare(each, name) for each in value]
        case dict():
            return {key: _prepare(each, f"{name}.{key}") for key, each in value.items()}
        case _:
            return value


def clean_text(text: str) -> str:
    """Return text in one line: each run of line breaks and tabs is a space, other control characters are removed.

    Also removed are the bidirectional overrides and isolates, U+202A to U+202E and U+2066 to U+2069.
    """
    return text if text.isprintable() else _INVISIBLE.sub("", _BREAKS.sub(" ", text))
