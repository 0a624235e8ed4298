"""The builder of rules: fields of a form, and what its buttons do."""

from __future__ import annotations

import pytest

from console.web.errors import InvalidRequestError
from console.web.rule_form import EXIT_RULE, NEW, apply_button, read_fields, redraw
from segments.rule_tree import EVERYBODY, Condition, Group, Raw, Value, draw_rule
from tests.rule_fields import write_fields

A, B, C = (Condition(name, "<", (Value("1", "number"),)) for name in "abc")
TREE = Group("and", (A, Group("or", (B, C))))


@pytest.mark.parametrize(
    ("button", "tree"),
    [
        ("add r", Group("and", (A, Group("or", (B, C)), NEW))),
        ("add r-1", Group("and", (A, Group("or", (B, C, NEW))))),
        ("group r", Group("and", (A, Group("or", (B, C)), Group("or", (NEW,))))),
        ("remove r-0", Group("and", (Group("or", (B, C)),))),
        ("up r-1-1", Group("and", (A, Group("or", (C, B))))),
        ("down r-0", Group("and", (Group("or", (B, C)), A))),
        ("up r-0", TREE),
        ("out r-1-0", Group("and", (A, Group("or", (C,)), B))),
        ("out r-0", TREE),
        ("remove r", EVERYBODY),
        ("", TREE),
    ],
)
def test_a_button_changes_the_tree(button: str, tree: Group) -> None:
    assert apply_button(TREE, button) == tree


def test_a_button_changes_the_tree_of_its_own_rule_alone() -> None:
    assert apply_button(TREE, "remove x-0") == TREE
    assert apply_button(TREE, "remove r-0", EXIT_RULE) == TREE
    assert apply_button(TREE, "remove x-0", EXIT_RULE) == Group("and", (Group("or", (B, C)),))


def test_a_group_that_is_left_empty_goes() -> None:
    assert apply_button(Group("and", (Group("or", (A,)),)), "out r-0-0") == Group("and", (A,))


def test_one_condition_becomes_a_group_when_another_is_added() -> None:
    assert apply_button(A, "add r") == Group("and", (A, NEW))


def test_a_button_of_an_older_page_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="load the page again"):
        apply_button(TREE, "remove r-7")


def test_another_fact_takes_the_comparison_and_the_value_that_fit_it() -> None:
    fields = {**write_fields(A), "fact:r": "country"}
    assert read_fields(fields, {"country": "text"}) == Condition("country", "==", (Value("", "text"),))
    fields = {**write_fields(A), "fact:r": "spend"}
    assert read_fields(fields, {"spend": "number"}) == Condition("spend", "<", (Value("1", "number"),))


def test_json_that_can_be_drawn_is_drawn() -> None:
    tree = Group("and", (Raw('{"<": [{"var": "a"}, 1]}'), Raw("{")))
    assert redraw(tree) == Group("and", (A, Raw("{")))


@pytest.mark.parametrize("fields", [{}, {"kind:r": "xor"}, {"kind:r": "condition", "how:r": "~"}])
def test_fields_of_no_tree_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError):
        read_fields(fields, {})


def test_a_rule_of_too_many_parts_is_refused() -> None:
    many = write_fields(draw_rule({"and": [True] * 400}))
    with pytest.raises(InvalidRequestError, match="more than 300 parts"):
        read_fields(many, {})
