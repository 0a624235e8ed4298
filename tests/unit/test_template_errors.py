from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.errors import MessageError
from campaigns.messages import compile_message


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("Dear {{ surname }", "line 1, column 6: {{ surname } is not closed by '}}'"),
        ("Dear {{ surname }, {{ offer.name }}", "line 1, column 6: {{ surname }, is not closed by '}}'"),
        ("Dear {{ surname\nand more", "line 1, column 6: {{ surname is not closed by '}}'"),
        ("A\nB {% if a }x{% endif %}", "line 2, column 3: {% if a }x is not closed by '%}'"),
        ("A {# note", "line 1, column 3: {# note is not closed by '#}'"),
        ("Dear {{ first name }}", "line 1, column 6: {{ first name }} has 'name' in a place where it cannot be"),
        ("{{ '}}' }} {{ a b }}", "line 1, column 12: {{ a b }} has 'b' in a place where it cannot be"),
        ("Dear {{ }}", "line 1, column 6: {{ }} is empty; write a fact between the braces"),
        ("{{ a + }}", "line 1, column 1: {{ a + }} ends too early"),
        ("{{ a | shout }}", "line 1 uses 'shout', which is no filter; there are: abs, capitalize"),
        ("{% if a is odd_one %}x{% endif %}", "line 1 uses 'odd_one', which is no test; there are: boolean"),
        ("{% if a %}x", "line 1, column 1: {% if a %} has no {% endif %} after it"),
        ("x{% endif %}", "line 1, column 2: {% endif %} has no {% if ... %} before it"),
        ("{% iff a %}x{% endif %}", "line 1, column 1: {% iff a %} is no statement of a message; there are: if, elif"),
        ("{{ " + "a " * 40 + "}}", "line 1, column 1: {{ a a a a a a a a a a a a a a a a a a a..."),
    ],
)
def test_a_syntax_error_names_the_place_and_the_mistake(template: str, says: str) -> None:
    """In words of a marketer, not of Jinja's grammar."""
    with pytest.raises(MessageError) as refused:
        compile_message(template)
    assert str(refused.value).startswith(f"the message template does not compile: {says}")


@given(st.text(alphabet="{}%#'\"\n aif|.end-", max_size=30))
def test_every_template_compiles_or_is_refused_with_a_place(template: str) -> None:
    """Whatever it contains."""
    said = "line 0"
    try:
        compile_message(template)
    except MessageError as error:
        said = str(error)
    assert re.search(r"line \d+", said)
