"""A rule that is drawn as a tree comes back as it was, whatever it is."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.web.rule_form import EXIT_RULE, ROOTS, RULE, apply_button, read_fields
from segments.rule_tree import build_rule, draw_rule
from tests.examples import examples
from tests.properties.test_jsonlogic_properties import JSON, PLAIN_RULES, RULES
from tests.properties.test_segment_properties import RULES as SEGMENT_RULES
from tests.rule_fields import write_fields


@examples(1_000)
@given(st.one_of(RULES, PLAIN_RULES, SEGMENT_RULES, JSON))
def test_every_rule_comes_back_exactly(rule: Any) -> None:
    built, problems = build_rule(draw_rule(rule))
    assert problems == []
    assert json.dumps(built) == json.dumps(rule)


@examples(300)
@given(st.one_of(RULES, SEGMENT_RULES))
def test_every_rule_comes_back_exactly_from_the_fields_of_a_form(rule: Any) -> None:
    built, problems = build_rule(read_fields(write_fields(draw_rule(rule)), {}))
    assert problems == []
    assert json.dumps(built) == json.dumps(rule)


@examples(300)
@given(st.one_of(RULES, SEGMENT_RULES), st.one_of(RULES, SEGMENT_RULES))
def test_a_rule_and_an_exit_rule_in_one_form_come_back_each_as_it_was(rule: Any, exit_rule: Any) -> None:
    """Also when a button of each was pressed that moves nothing."""
    trees = {RULE: draw_rule(rule), EXIT_RULE: draw_rule(exit_rule)}
    fields = {name: text for root, tree in trees.items() for name, text in write_fields(tree, root).items()}
    for root in ROOTS:
        pressed = apply_button(apply_button(read_fields(fields, {}, root), "up r", root), "down x", root)
        built, problems = build_rule(pressed)
        assert problems == []
        assert json.dumps(built) == json.dumps(rule if root == RULE else exit_rule)
