"""Message templates: what they can say, and what they cannot do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from campaigns.errors import MessageError
from campaigns.messages import MAX_MESSAGE_CHARACTERS, compile_message, render_message
from tests.builders import offers

FACTS: dict[str, Any] = {
    "name": "ann",
    "orders": 12.0,
    "revenue": 1234.5,
    "key_concerns": ["delivery", "price"],
    "note": None,
    "offer": offers()[3],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello", "Hello"),
        ("Hello {{ name | title }}", "Hello Ann"),
        ("{{ orders | int }} orders", "12 orders"),
        ("Take {{ offer.name }}", "Take Offer 3"),
        ("{{ revenue | fixed(2) }} of {{ revenue | round(0) }}", "1,234.50 of 1234.0"),
        ("{{ key_concerns | join(' and ') }}", "delivery and price"),
        ("{{ key_concerns | first }}, {{ key_concerns[1] }}", "delivery, price"),
        ("{{ missing | default('you') }}", "you"),
        ("{% if orders > 10 and name in ['ann', 'bob'] %}Thanks{% else %}Hi{% endif %}", "Thanks"),
        ("{{ 'again' if orders >= 2 else 'first' }}", "again"),
        ("{{ orders * 2 + 1 }} {{ 7 % 4 }} {{ name ~ '!' }}", "25.0 3 ann!"),
        ("{{ note is none }}", "True"),
    ],
)
def test_a_message_says_facts_through_filters_and_conditions(template: str, text: str) -> None:
    assert render_message(template, FACTS) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ offer.__init__.__globals__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__ }}",
        "{{ offer.name._x }}",
    ],
)
def test_the_insides_of_objects_are_out_of_reach(template: str) -> None:
    with pytest.raises(MessageError, match="cannot be written"):
        render_message(template, FACTS)


@pytest.mark.parametrize(
    ("template", "node"),
    [
        ("{{ name.upper() }}", "Call"),
        ("{{ range(10) }}", "Call"),
        ("{{ offer.model_dump() }}", "Call"),
        ("{{ '{:1000000000}'.format(1) }}", "Call"),
        ("{{ 10 ** 10 ** 9 }}", "Pow"),
        ("{% for a in name %}{{ a }}{% endfor %}", "For"),
        ("{% set a = name ~ name %}", "Assign"),
        ("{% with a = name %}{{ a }}{% endwith %}", "With"),
        ("{% macro a() %}{% endmacro %}", "Macro"),
        ("{% include 'other' %}", "Include"),
        ("{% extends 'other' %}", "Extends"),
        ("{% import 'other' as other %}", "Import"),
        ("{{ {'a': 1} }}", "Dict"),
    ],
)
def test_calls_loops_and_assignments_do_not_compile(template: str, node: str) -> None:
    with pytest.raises(MessageError, match=f"does not compile: line 1 uses {node}"):
        compile_message(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ 1000000000 * 'x' }}",
        "{{ [0] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1 | round(-1000000000) }}",
        "{{ 1 | fixed(1000000000) }}",
        "{{ 'x' | center(1000000000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ 'x' | join('y') }}",
        "{{ ['a', 'b', 'c'] | join('" + "x" * 4000 + "') }}",
    ],
)
def test_a_template_that_would_fill_the_memory_is_refused_before_it_does(template: str) -> None:
    """Were one of them carried out, it would take a gigabyte or never end."""
    with pytest.raises(MessageError):
        render_message(template, FACTS)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("Hello {{ surname }}", "'surname' is undefined"),
        ("Hello {{ offer.colour }}", "has no attribute 'colour'"),
        ("{{ note | length }}", "has no len"),
        ("{{ note < 3 }}", "not supported between"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ note | int }} {{ name | truncate(1) }}", "expected length >= 3"),
    ],
)
def test_what_a_template_cannot_say_of_one_customer_is_a_message_error(template: str, why: str) -> None:
    with pytest.raises(MessageError, match=f"the message cannot be written: .*{why}"):
        render_message(template, FACTS)


@pytest.mark.parametrize(
    "template",
    ["{{ name", "{% if %}", "{{ name | nothing }}", "{% endif %}", "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}"],
)
def test_a_template_with_wrong_syntax_does_not_compile(template: str) -> None:
    with pytest.raises(MessageError, match="the message template does not compile"):
        compile_message(template)


def test_a_message_may_be_as_long_as_allowed_and_no_longer() -> None:
    assert len(render_message("{{ text }}", {"text": "x" * MAX_MESSAGE_CHARACTERS})) == MAX_MESSAGE_CHARACTERS
    with pytest.raises(MessageError, match="2,001 characters; 2,000 are allowed"):
        render_message("{{ text }}", {"text": "x" * (MAX_MESSAGE_CHARACTERS + 1)})


def test_a_fact_that_looks_like_a_template_is_only_text() -> None:
    """A customer's own words are never carried out."""
    assert render_message("{{ name }}", {"name": "{{ 1 / 0 }}"}) == "{{ 1 / 0 }}"


def test_a_template_cannot_change_a_fact() -> None:
    facts = {"holder": SimpleNamespace(items=["a"])}
    with pytest.raises(MessageError, match="uses Call"):
        render_message("{{ holder.items.append('b') }}", facts)
    assert facts["holder"].items == ["a"]
