"""The trees of a rule and of an exit rule as the fields of a form, and what the buttons of the form do to them.

A field's name is what it holds and the place of its part, as `fact:r-0-2`: the third part of the first part of the
rule; places in the exit rule begin with `x`. A browser sends the fields back as they are, so no state is kept between
two requests.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from console.web.errors import InvalidRequestError
from segments.rule_tree import (
    COMPARISONS,
    DAYS,
    DEEPEST,
    GROUP_KINDS,
    VALUE_TYPES,
    Condition,
    Group,
    Raw,
    Value,
    draw_rule,
    read_json,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segments.rule_tree import GroupKind, Path, Tree, ValueType

RULE, EXIT_RULE = "r", "x"
ROOTS: Mapping[str, str] = {RULE: "rule", EXIT_RULE: "exit_rule"}
"""Where the places of a tree begin, and the field of a definition that it is."""
NEW = Condition("", "==", (Value("", "text"),))
"""What the button for one more condition adds."""
MOST_PARTS = 300
_DO = re.compile(rf"(add|group|remove|up|down|out) ([{RULE}{EXIT_RULE}](?:-\d{{1,4}})*)")
_VALUE_TYPES_OF_FACTS: Mapping[str, ValueType] = {"number": "number", "boolean": "boolean"}


def name_place(path: Path, root: str = RULE) -> str:
    """Return the place of a part as the names of its fields have it."""
    return "-".join([root, *map(str, path)])


def read_fields(fields: Mapping[str, str], types: Mapping[str, str], root: str = RULE) -> Tree:
    """Return a tree of a form's fields.

    Args:
        fields: by name, as a browser sends them.
        types: of the facts that there are; a condition whose fact was changed gets what fits the new one.
        root: of the tree, a key of ROOTS.

    Raises:
        InvalidRequestError: the fields are not those of a tree.
    """
    tree = _read(fields, (), types, root)
    if sum(1 for _ in walk(tree)) > MOST_PARTS:
        raise InvalidRequestError(f"the rule has more than {MOST_PARTS} parts; write it as JSON in a definition file")
    return tree


def _read(fields: Mapping[str, str], path: Path, types: Mapping[str, str], root: str) -> Tree:
    place = name_place(path, root)
    kind = fields.get(f"kind:{place}")
    if kind == "condition":
        return _read_condition(fields, place, types)
    if kind == "json":
        return Raw(fields.get(f"json:{place}", "").replace("\r\n", "\n"))
    if kind not in GROUP_KINDS or len(path) > 2 * DEEPEST:
        raise InvalidRequestError(f"the form has no part {place!r}; load the page again")
    parts: list[Tree] = []
    while f"kind:{name_place((*path, len(parts)), root)}" in fields:
        parts.append(_read(fields, (*path, len(parts)), types, root))
    return Group(cast("GroupKind", kind), tuple(parts), is_bare=f"bare:{place}" in fields)


def _read_condition(fields: Mapping[str, str], place: str, types: Mapping[str, str]) -> Condition:
    fact, how = fields.get(f"fact:{place}", ""), fields.get(f"how:{place}", "==")
    if how not in COMPARISONS:
        raise InvalidRequestError(f"there is no comparison {how!r}; load the page again")
    default = fields.get(f"default:{place}")
    condition = Condition(
        fact,
        how,
        tuple(_read_value(fields, place, number) for number in range(len(COMPARISONS[how].values))),
        None if default is None else Value(default, _type_named(fields.get(f"default_type:{place}"))),
    )
    was = fields.get(f"was:{place}", fact)
    return condition if was == fact else _fit(condition, types.get(fact, "other"))


def _read_value(fields: Mapping[str, str], place: str, number: int) -> Value:
    text = fields.get(f"value{number}:{place}", "").replace("\r\n", "\n")
    return Value(text, _type_named(fields.get(f"type{number}:{place}")))


def _type_named(name: str | None) -> ValueType:
    return cast("ValueType", name) if name in VALUE_TYPES else "text"


def _fit(condition: Condition, fact_type: str) -> Condition:
    """Return a condition whose comparison and values fit another fact."""
    offered = list_comparisons(fact_type)
    how = condition.comparison if condition.comparison in offered else offered[0]
    wanted = find_value_type(fact_type, how)
    values = [*condition.values, *([Value("", wanted)] * len(COMPARISONS[how].values))]
    fitting = tuple(
        each if each.type == wanted else Value("", wanted) for each in values[: len(COMPARISONS[how].values)]
    )
    return replace(condition, comparison=how, values=fitting, default=None)


def list_comparisons(fact_type: str) -> list[str]:
    """Return the comparisons that are offered for the facts of a type; the exact ones only where a rule has them."""
    return [
        key
        for key, each in COMPARISONS.items()
        if key not in {"===", "!=="} and (not each.types or fact_type in each.types)
    ]


def find_value_type(fact_type: str, comparison: str) -> ValueType:
    """Return the type of a value that a fact of a type is compared with."""
    return "number" if comparison in DAYS else _VALUE_TYPES_OF_FACTS.get(fact_type, "text")


def apply_button(tree: Tree, button: str, root: str = RULE) -> Tree:
    """Return the tree after a button was pressed; one that changes no tree, or another one, leaves it as it is.

    Raises:
        InvalidRequestError: the button is of another tree.
    """
    found = _DO.fullmatch(button)
    if found is None or not found[2].startswith(root):
        return tree
    path = tuple(map(int, found[2].split("-")[1:]))
    if find_part(tree, path) is None:
        raise InvalidRequestError(f"the rule has no part {found[2]!r}; load the page again")
    return _ACTIONS[found[1]](tree, path)


def find_part(tree: Tree, path: Path) -> Tree | None:
    """Return a part of a tree, None where there is none."""
    part: Tree = tree
    for place in path:
        if not isinstance(part, Group) or place >= len(part.parts):
            return None
        part = part.parts[place]
    return part


def _append(new: Tree) -> Callable[[Tree, Path], Tree]:
    def append(tree: Tree, path: Path) -> Tree:
        part = find_part(tree, path)
        if isinstance(part, Group):
            return _put(tree, path, replace(part, parts=(*part.parts, new)))
        # The whole rule is one condition.
        return Group("and", (tree, new))

    return append


def _put(tree: Tree, path: Path, part: Tree) -> Tree:
    if not path:
        return part
    group, place = cast("Group", tree), path[0]
    changed = _put(group.parts[place], path[1:], part)
    return replace(group, parts=(*group.parts[:place], changed, *group.parts[place + 1 :]))


def _remove(tree: Tree, path: Path) -> Tree:
    if not path:
        return Group("and")
    group = cast("Group", find_part(tree, path[:-1]))
    return _put(tree, path[:-1], replace(group, parts=_without(group.parts, path[-1])))


def _move(step: int) -> Callable[[Tree, Path], Tree]:
    def move(tree: Tree, path: Path) -> Tree:
        group = find_part(tree, path[:-1])
        if not path or not isinstance(group, Group) or not 0 <= path[-1] + step < len(group.parts):
            return tree
        parts = list(_without(group.parts, path[-1]))
        parts.insert(path[-1] + step, group.parts[path[-1]])
        return _put(tree, path[:-1], replace(group, parts=tuple(parts)))

    return move


def _move_out(tree: Tree, path: Path) -> Tree:
    """Move a part out of its group, behind it; a group that is empty then goes."""
    part, outer_path = find_part(tree, path), path[:-2]
    outer = find_part(tree, outer_path)
    if len(path) < 2 or part is None or not isinstance(outer, Group):  # noqa: PLR2004 - it has a group in a group
        return tree
    inner = cast("Group", outer.parts[path[-2]])
    left = replace(inner, parts=_without(inner.parts, path[-1]))
    parts = (*outer.parts[: path[-2]], *([left] if left.parts else []), part, *outer.parts[path[-2] + 1 :])
    return _put(tree, outer_path, replace(outer, parts=parts))


def _without(parts: tuple[Tree, ...], place: int) -> tuple[Tree, ...]:
    return (*parts[:place], *parts[place + 1 :])


_ACTIONS: Mapping[str, Callable[[Tree, Path], Tree]] = {
    "add": _append(NEW),
    "group": _append(Group("or", (NEW,))),
    "remove": _remove,
    "up": _move(-1),
    "down": _move(1),
    "out": _move_out,
}


def redraw(tree: Tree) -> Tree:
    """Return the tree with each JSON part drawn that can be; JSON that cannot be parsed stays as it is."""
    match tree:
        case Raw(text):
            try:
                return draw_rule(read_json(text))
            except ValueError:
                return tree
        case Group():
            return replace(tree, parts=tuple(map(redraw, tree.parts)))
        case _:
            return tree
