"""Rules as a tree of groups and conditions, as people draw them, and back.

What cannot be drawn stays JSON: a part is drawn only where the drawing gives back exactly that part, so every rule
survives a drawing unchanged. Values are the texts of form fields, with their type; they become JSON in `build_rule`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from features.times import EVENT_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GroupKind = Literal["and", "or", "none"]
ValueType = Literal["number", "text", "boolean", "fact"]
Path = tuple[int, ...]
"""Where a part is: the places of its ancestors and of itself among their siblings; empty for the whole."""

GROUP_KINDS: Mapping[GroupKind, str] = {"and": "all of", "or": "any of", "none": "none of"}
VALUE_TYPES: Mapping[ValueType, str] = {
    "number": "number",
    "text": "text",
    "boolean": "yes or no",
    "fact": "another fact",
}
TRUTHS: Mapping[str, bool] = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A way to compare a fact with values.

    Attributes:
        words: between the fact and the values.
        operator: of the compiler.
        values: what each value is, in a word; empty where the fact is compared with nothing else.
        types: of the facts, as console/use_cases/segment_columns.py names them, that it is offered for; empty: all.
        is_list: whether the one value is a list, one member a line.
        unit: after the values.
    """

    words: str
    operator: str
    values: tuple[str, ...] = ("value",)
    types: frozenset[str] = frozenset()
    is_list: bool = False
    unit: str = ""


_ORDERED = frozenset({"number", "other"})
_TEXTS = frozenset({"text", "other"})
_TIMES = frozenset({"time", "other"})
_SCALARS = frozenset({"number", "text", "boolean", "other"})
COMPARISONS: Mapping[str, Comparison] = {
    "==": Comparison("is", "==", types=_SCALARS),
    "!=": Comparison("is not", "!=", types=_SCALARS),
    ">": Comparison("is more than", ">", types=_ORDERED),
    ">=": Comparison("is at least", ">=", types=_ORDERED),
    "<": Comparison("is less than", "<", types=_ORDERED),
    "<=": Comparison("is at most", "<=", types=_ORDERED),
    "between": Comparison("is between", "between", ("from", "to"), _ORDERED),
    "in": Comparison("is one of", "in", ("one a line",), frozenset({"number", "text", "other"}), is_list=True),
    "contains": Comparison("contains", "in", ("part",), frozenset({"text", "list", "other"})),
    "startsWith": Comparison("starts with", "startsWith", ("beginning",), _TEXTS),
    "endsWith": Comparison("ends with", "endsWith", ("end",), _TEXTS),
    "time.within_last": Comparison("was within the last", "time.within_last", ("number",), _TIMES, unit="days"),
    "time.before": Comparison("was before", "time.before", ("date",), _TIMES),
    "time.after": Comparison("was after", "time.after", ("date",), _TIMES),
    "older": Comparison("was longer ago than", ">", ("number",), _TIMES, unit="days"),
    "empty": Comparison("is unknown", "==", ()),
    "known": Comparison("is known", "!=", ()),
    "true": Comparison("is true", "!!", (), frozenset({"boolean", "number", "other"})),
    "===": Comparison("is exactly", "===", types=_SCALARS),
    "!==": Comparison("is not exactly", "!==", types=_SCALARS),
}
"""The comparisons that can be drawn, by the name that a form gives them, in the order of a menu."""
DAYS = frozenset({"time.within_last", "older"})
"""The comparisons whose value is a number, though the fact is a time."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is compared with: the text of a form's field, and its type.

    A number is as JSON writes it, a truth value is `true` or `false`, a fact is its name; a list has a member a line.
    """

    text: str
    type: ValueType


@dataclass(frozen=True, slots=True)
class Condition:
    """A fact compared with values.

    Attributes:
        fact: its name.
        comparison: a key of COMPARISONS.
        values: as many as the comparison has.
        default: what the fact counts as where it is unknown; None where it has no default.
    """

    fact: str
    comparison: str
    values: tuple[Value, ...] = ()
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions, groups and JSON of which all, any or none must hold.

    `is_bare` is about the writing alone: `{"!": x}` and not `{"!": [x]}`.
    """

    kind: GroupKind
    parts: tuple[Tree, ...] = ()
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """A part that stays JSON, as text."""

    text: str


Tree = Group | Condition | Raw
EVERYBODY = Group("and")
"""The tree of no rule at all."""
DEEPEST = 20
"""A part within more groups stays JSON: the drawing would be unreadable."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a part of a tree from being a rule."""

    path: Path
    said: str


class _UndrawnError(Exception):
    """A part cannot be drawn."""


def draw_rule(rule: Any) -> Tree:
    """Return the tree of a rule as parsed from JSON."""
    return EVERYBODY if rule is None else _draw(rule)


def build_rule(tree: Tree) -> tuple[Any, list[Problem]]:
    """Return the rule of a tree, and what is wrong with its parts; the rule is None where something is."""
    if tree == EVERYBODY:
        return None, []
    problems: list[Problem] = []
    rule = _build(tree, (), problems)
    return (None, problems) if problems else (rule, [])


def _draw(rule: Any, depth: int = 0) -> Tree:
    tree: Tree | None = _draw_condition(rule)
    if tree is None and depth < DEEPEST:
        tree = _draw_group(rule, depth + 1)
    return Raw(write_json(rule)) if tree is None else tree


def _draw_group(rule: Any, depth: int) -> Group | None:
    def draw(part: Any) -> Tree:
        return _draw(part, depth)

    match rule:
        case {"and": [_, *_] as parts, **more} if not more:
            return Group("and", tuple(map(draw, parts)))
        case {"or": [_, *_] as parts, **more} if not more:
            return Group("or", tuple(map(draw, parts)))
        case {"!": [{"or": [_, _, *_] as parts, **inner}], **more} if not inner and not more:
            return Group("none", tuple(map(draw, parts)))
        case {"!": [part], **more} if not more:
            return Group("none", (draw(part),))
        case {"!": dict() as part, **more} if not more:
            return Group("none", (draw(part),), is_bare=True)
    return None


def _draw_condition(rule: Any) -> Condition | None:
    for key in COMPARISONS:
        try:
            condition = _read_condition(key, rule)
        except _UndrawnError:
            continue
        built, problems = build_rule(condition)
        if not problems and write_json(built) == write_json(rule):
            return condition
    return None


def _read_condition(key: str, rule: Any) -> Condition:
    comparison = COMPARISONS[key]
    match key, rule:
        case "true", {"var": _}:
            return Condition(*_read_fact(rule, key))
        case "contains", {"in": [value, subject]}:
            return _read_values(key, subject, [value])
        case "older", {">": [{"time.days_since": [subject]}, value]}:
            return _read_values(key, subject, [value])
        case ("empty", {"==": [subject, None]}) | ("known", {"!=": [subject, None]}):
            return _read_values(key, subject, [])
        case "contains" | "older" | "empty" | "known" | "true", _:
            raise _UndrawnError
        case _, dict() if len(rule) == 1 and comparison.operator in rule:
            args = rule[comparison.operator]
            if isinstance(args, list) and len(args) == len(comparison.values) + 1:
                return _read_values(key, args[0], args[1:])
    raise _UndrawnError


def _read_fact(subject: Any, key: str) -> tuple[str, str, tuple[Value, ...], Value | None]:
    match subject:
        case {"var": str() as name}:
            return _drawable(name), key, (), None
        case {"var": [str() as name, default]}:
            return _drawable(name), key, (), _read_scalar(default)
    raise _UndrawnError


def _read_values(key: str, subject: Any, values: Sequence[Any]) -> Condition:
    name, _, _, default = _read_fact(subject, key)
    read = _read_list if COMPARISONS[key].is_list else _read_value
    return Condition(name, key, tuple(map(read, values)), default)


def _read_value(value: Any) -> Value:
    match value:
        case {"var": str() as name}:
            return Value(_drawable(name), "fact")
    return _read_scalar(value)


def _read_scalar(value: Any) -> Value:
    match value:
        case bool():
            return Value("true" if value else "false", "boolean")
        case int() | float():
            return Value(write_json(value), "number")
        case str():
            return Value(_drawable(value), "text")
    raise _UndrawnError


def _read_list(values: Any) -> Value:
    if not isinstance(values, list) or not values:
        raise _UndrawnError
    members = [_read_scalar(each) for each in values]
    return Value("\n".join(each.text for each in members), members[0].type)


def _drawable(text: str) -> str:
    """Return a text that a form's field gives back as it was."""
    if not text.isprintable():
        raise _UndrawnError
    return text


def _build(tree: Tree, path: Path, problems: list[Problem]) -> Any:
    match tree:
        case Raw(text):
            return _build_raw(text, path, problems)
        case Group(_, ()):
            problems.append(Problem(path, "add a condition, or remove the group"))
            return None
        case Group(kind, parts, is_bare):
            built = [_build(part, (*path, place), problems) for place, part in enumerate(parts)]
            if kind != "none":
                return {kind: built}
            negated = built[0] if len(built) == 1 else {"or": built}
            return {"!": negated if is_bare and len(built) == 1 else [negated]}
        case Condition():
            return _build_condition(tree, path, problems)


def _build_raw(text: str, path: Path, problems: list[Problem]) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        problems.append(Problem(path, str(error)))
        return None


def read_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is none, or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("this is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"this is not JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _build_condition(condition: Condition, path: Path, problems: list[Problem]) -> Any:
    if not condition.fact:
        problems.append(Problem(path, "choose a fact"))
        return None
    try:
        default = [] if condition.default is None else [_build_value(condition.default)]
        comparison = COMPARISONS[condition.comparison]
        make = _build_list if comparison.is_list else _build_value
        values = [make(each) for each in condition.values]
    except ValueError as error:
        problems.append(Problem(path, str(error)))
        return None
    fact = {"var": [condition.fact, *default] if default else condition.fact}
    return _compare(condition.comparison, fact, values)


def _compare(key: str, fact: Any, values: Sequence[Any]) -> Any:
    match key:
        case "true":
            return fact
        case "empty" | "known":
            args = [fact, None]
        case "contains":
            args = [*values, fact]
        case "older":
            args = [{"time.days_since": [fact]}, *values]
        case _:
            args = [fact, *values]
    return {COMPARISONS[key].operator: args}


def _build_value(value: Value) -> Any:
    match value.type:
        case "number":
            return _build_number(value.text)
        case "boolean":
            if value.text not in TRUTHS:
                raise ValueError("choose yes or no")
            return TRUTHS[value.text]
        case "fact":
            if not value.text:
                raise ValueError("choose the fact to compare with")
            return {"var": value.text}
        case _:
            return value.text


def _build_number(text: str) -> float:
    try:
        number = json.loads(text.strip())
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"{text!r} is no number; write one as 12 or 0.5" if text.strip() else "enter a number")
    return number


def _build_list(value: Value) -> list[Any]:
    lines = [line for line in value.text.split("\n") if line]
    if not lines:
        raise ValueError("enter at least one value")
    return [_build_value(Value(line, value.type)) for line in lines]


def write_json(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON that parses to the same value, whatever characters it has."""
    return json.dumps(value, indent=indent)


def walk(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Yield every part with its path, a group before its parts."""
    yield path, tree
    if isinstance(tree, Group):
        for place, part in enumerate(tree.parts):
            yield from walk(part, (*path, place))


def describe(tree: Tree) -> str:
    """Return a condition or JSON in words."""
    match tree:
        case Group(kind):
            return GROUP_KINDS[kind]
        case Raw(text):
            return text
        case Condition():
            fact = describe_fact(tree.fact)
            if tree.default is not None:
                fact += f" ({tree.default.text} where unknown)"
            values = [_describe_value(each, COMPARISONS[tree.comparison]) for each in tree.values]
            comparison = COMPARISONS[tree.comparison]
            return " ".join(filter(None, [fact, comparison.words, " and ".join(values), comparison.unit]))


def describe_fact(name: str) -> str:
    """Return the name of a fact for people."""
    return "time of the event" if name == EVENT_TIME else name


def _describe_value(value: Value, comparison: Comparison) -> str:
    if comparison.is_list:
        return ", ".join(value.text.split("\n"))
    return {"true": "yes", "false": "no"}.get(value.text, value.text) if value.type == "boolean" else value.text


def find_json_path(tree: Tree, path: Path) -> str:
    """Return where the rule has a part, as the compiler's errors say it: `$.and[0]`."""
    said, part = "$", tree
    for place in path:
        group = part
        if not isinstance(group, Group):
            break
        negation = '["!"]' if group.is_bare else '["!"][0]'
        if group.kind != "none":
            said += f".{group.kind}[{place}]"
        else:
            said += negation if len(group.parts) == 1 else f'["!"][0].or[{place}]'
        part = group.parts[place]
    return said
