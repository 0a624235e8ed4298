"""A rule that is drawn as a tree comes back as it was, whatever it is."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from console.web.rule_form import read_fields
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
