"""Message templates: what they can say, and what they cannot do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.channels import MAX_MESSAGE_CHARACTERS
from campaigns.errors import MessageError
from campaigns.messages import compile_message, read_template, render_message
from tests.builders import offers

if TYPE_CHECKING:
    from campaigns.channels import MessageFormat

FACTS: dict[str, Any] = {
    "name": "ann",
    "orders": 12.0,
    "revenue": 1234.5,
    "key_concerns": ["delivery", "price"],
    "note": None,
    "nothing": float("nan"),
    "parts": ["a", None, 2.0],
    "address": {"city": "Köln", "street": None},
    "offer": vars(offers()[3]),
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello", "Hello"),
        ("Hello {{ name | title }}", "Hello Ann"),
        ("{{ orders | int }} orders", "12 orders"),
        ("{{ orders }} orders, {{ orders / 4 }} a month, {{ orders / 5 }} a week", "12 orders, 3 a month, 2.4 a week"),
        ("Take {{ offer.name }}", "Take Offer 3"),
        ("{{ revenue | fixed(2) }} of {{ revenue | round(0) }}", "1,234.50 of 1234"),
        ("{{ key_concerns | join(' and ') }}", "delivery and price"),
        ("{{ key_concerns | first }}, {{ key_concerns[1] }}", "delivery, price"),
        ("{{ missing | default('you') }}", "you"),
        ("{% if orders > 10 and name in ['ann', 'bob'] %}Thanks{% else %}Hi{% endif %}", "Thanks"),
        ("{{ 'again' if orders >= 2 else 'first' }}", "again"),
        ("{{ orders * 2 + 1 }} {{ 7 % 4 }} {{ name ~ '!' }}", "25 3 ann!"),
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
        ("{{ note | length }}", "'note' is null"),
        ("{{ note < 3 }}", "'note' is null"),
        ("{{ note | int }} orders", "'note' is null"),
        ("{{ note | fixed }} spent", "'note' is null"),
        ("{{ note | abs }}", "'note' is null"),
        ("{{ note * 2 }}", "'note' is null"),
        ("{{ note + 1 }}", "'note' is null"),
        ("{{ address }}", "dict is not text or a number"),
        ("{{ offer }}", "dict is not text or a number"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ name | truncate(1) }}", "expected length >= 3"),
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


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Dear {{ note }},", "Dear ,"),
        ("Dear {{ note | default('customer') }},", "Dear customer,"),
        ("Dear {{ note | title | default('customer') }},", "Dear customer,"),
        ("Dear {{ note or 'customer' }},", "Dear customer,"),
        ("{{ nothing | default(0) }} orders", "0 orders"),
        ("You spent {{ nothing }}.", "You spent ."),
        ("{{ name ~ ' ' ~ note ~ nothing }}.", "ann ."),
        ("{{ parts | join }}; {{ parts }}", "a, 2; a, 2"),
        ("{{ address.city }} {{ address.street }}.", "Köln ."),
        ("{% if note is none and note == none and not note %}none{% endif %}", "none"),
        ("{% if note in ['a'] or note == 3 %}odd{% else %}even{% endif %}", "even"),
        ("{{ 1e308 * 10 }}.", "."),
    ],
)
def test_null_prints_nothing_and_default_replaces_it(template: str, text: str) -> None:
    """No customer is called None, and nobody has nan orders."""
    assert render_message(template, FACTS) == text


@pytest.mark.parametrize("template", ["{% if note %}Hello{% endif %}", " {{ note }}\n", "{{ note | trim }}"])
def test_an_empty_message_is_a_message_error(template: str) -> None:
    with pytest.raises(MessageError, match="the message is empty for this customer"):
        render_message(template, FACTS)


MARKUP = "<script>alert('x')</script>"


@pytest.mark.parametrize(
    ("template", "name", "html"),
    [
        ("<b>Dear</b> {{ name }}", MARKUP, "<b>Dear</b> &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
        ("{{ name }}", "O'Brien & Söhne", "O&#39;Brien &amp; Söhne"),
        ("{{ name | upper }}", "<i>", "&lt;I&gt;"),
        ("{{ '<b>' ~ name }}", "<i>", "&lt;b&gt;&lt;i&gt;"),
        ("{{ [name, name] | join('<br>') }}", "<i>", "&lt;i&gt;&lt;br&gt;&lt;i&gt;"),
        ("{{ other | default('you & me') }}", "x", "you &amp; me"),
        ('<a title="{{ name }}">&amp;</a>', '" onclick="x', '<a title="&#34; onclick=&#34;x">&amp;</a>'),
    ],
)
def test_html_escapes_what_is_inserted_and_not_the_template(template: str, name: str, html: str) -> None:
    assert render_message(template, {"name": name}, "html") == html


@pytest.mark.parametrize("name", [MARKUP, "O'Brien & Söhne", '"', "日本 👩‍👧 Łódź"])
def test_a_text_message_has_a_fact_as_it_is(name: str) -> None:
    assert render_message("Dear {{ name }} & co", {"name": name}) == f"Dear {name} & co"


@pytest.mark.parametrize("message_format", ["html", "text"])
@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Ann\r\nBcc: all@example.org", "Ann Bcc: all@example.org"),
        ("Ann\tLee\u2028Mae\x85Sue", "Ann Lee Mae Sue"),
        ("Ann\x00\x1b[31m\x7f\x9b", "Ann[31m"),
        ("\u202eAnn\u202c \u2066Lee\u2069", "Ann Lee"),
        ("\u05d0\u200f", "\u05d0\u200f"),
    ],
)
def test_a_fact_brings_no_line_break_control_character_or_override(
    name: str, clean: str, message_format: MessageFormat
) -> None:
    """They could add a header to an e-mail, or turn the text around; joiners and marks that scripts need stay."""
    facts = {"name": name, "names": [name], "person": {"name": name}}
    template = "{{ name }}|{{ names | first }}|{{ person.name }}"
    assert render_message(template, facts, message_format) == f"{clean}|{clean}|{clean}"


def test_the_line_breaks_of_the_template_stay() -> None:
    assert render_message("Dear {{ name }},\n\nhello", {"name": "Ann"}) == "Dear Ann,\n\nhello"


@given(st.text() | st.none() | st.floats() | st.booleans() | st.integers(), st.sampled_from(["html", "text"]))
def test_no_fact_can_break_out_of_its_place(value: Any, message_format: MessageFormat) -> None:
    """Whatever the warehouse holds, a message has one line, and in HTML no markup but its own."""
    text = render_message("<p>{{ value }}</p>", {"value": value}, message_format)
    assert len(text.splitlines()) == 1
    assert isinstance(value, str) or text[3:-4] not in {"None", "nan", "inf", "-inf"}
    assert message_format == "text" or text.count("<") == 2


def test_a_channel_may_allow_fewer_characters() -> None:
    with pytest.raises(MessageError, match="11 characters; 10 are allowed"):
        render_message("x" * 11, {}, "text", 10)


@pytest.mark.parametrize(
    ("template", "facts", "fields"),
    [
        ("Dear {{ name | title }}, {{ offer.name }}", {"name"}, {"name"}),
        (
            "{% if a > b.c %}{{ d[0] ~ e }}{% endif %}{{ offer['key'] }} {{ offer_basis }}",
            {"a", "b", "d", "e"},
            {"key"},
        ),
        ("Hello", set(), set()),
    ],
)
def test_a_template_says_what_it_reads(template: str, facts: set[str], fields: set[str]) -> None:
    found = read_template(template)
    assert (found.facts, found.offer_fields) == (facts, fields)
