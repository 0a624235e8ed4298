"""Cursors of lists, and what of a dead letter's content a role may see."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.access.roles import Principal, Role
from console.web.cursors import read_cursor, write_cursor
from console.web.errors import InvalidRequestError
from console.web.letter_content import show_content

OPERATOR, ADMIN = Principal("olga", Role.OPERATOR), Principal("ann", Role.ADMIN)


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_entry(number: int) -> None:
    assert read_cursor(write_cursor(number)) == number


@given(st.text())
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Or it is one by chance, whose number the ledger can hold."""
    try:
        assert 0 <= (read_cursor(text) or 0) < 2**63
    except InvalidRequestError as error:
        assert "cursor" in str(error)  # noqa: PT017 - either is right


def test_without_a_further_page_there_is_no_cursor() -> None:
    assert (write_cursor(None), read_cursor(None)) == (None, None)


def test_an_operator_sees_what_is_wrong_with_a_record_and_not_whose_it_is() -> None:
    """At any depth, whatever the case of the names."""
    value = json.dumps({"id": 1, "Email": "a@b.org", "parts": [{"text": "words", "kind": "x"}]}).encode()
    shown = json.loads(show_content(value, OPERATOR, ["email"]))
    assert shown == {"id": 1, "Email": "hidden", "parts": [{"text": "hidden", "kind": "x"}]}
    assert show_content(value, ADMIN, ["email"]) == value.decode()


@pytest.mark.parametrize("value", [b"\xff\x00", b'{"text": "half', b"[" * 10_000], ids=["bytes", "half", "deep"])
def test_of_what_is_no_json_an_operator_sees_the_size(value: bytes) -> None:
    assert show_content(value, OPERATOR, []).startswith(f"hidden: {len(value):,} bytes")


def test_no_value_is_said() -> None:
    assert (show_content(None, OPERATOR, []), show_content(b"", OPERATOR, [])) == ("(null)", "(empty)")
