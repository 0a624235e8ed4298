"""Texts of decisions, replays and dead letters, as who may not see personal columns reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.guardrails import Reason
from campaigns.replay_differences import DecidedTrigger, Difference
from console.access.roles import Principal, Role
from console.use_cases.replay import Replayed
from console.web.customer_views import QUOTING, hide_quoted, mask_explanation, mask_replay
from console.web.letter_content import show_content, show_detail, show_headers
from streams.runtime.poison_records import describe_poison
from tests.builders import AS_OF
from tests.records import Arrived
from tests.unit.test_customer_views import CARE, MARKETER, explain_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATOR = Principal("o", Role.OPERATOR)
VALUE = "ann@example.org"
DECIDED = DecidedTrigger(
    Reason.MESSAGE_FAILED,
    Reason.MESSAGE_FAILED,
    VALUE,
    AS_OF,
    None,
    None,
    f"Dear {VALUE}",
    None,
    None,
    None,
    None,
    None,
)


def replayed() -> Replayed:
    """Return a replay with one difference."""
    found = Difference("changed", "7", "t", "c", "s", "1", (), DECIDED, DECIDED, is_recorded=False, is_uncertain=False)
    nothing: Mapping[str, Mapping[str, int]] = {}
    return Replayed("1", AS_OF, AS_OF, 0, 0.0, nothing, nothing, [], [], {}, (0, 0), {}, {}, [found], [])


def test_an_operator_reads_a_replay_without_messages_and_values() -> None:
    assert VALUE not in str(mask_replay(replayed(), OPERATOR))
    assert VALUE in str(mask_replay(replayed(), CARE))


@pytest.mark.parametrize("reason", Reason)
def test_only_reasons_that_quote_facts_are_hidden(reason: Reason) -> None:
    assert (hide_quoted(reason, VALUE, MARKETER) == VALUE) == (reason not in QUOTING)
    assert hide_quoted(reason, VALUE, CARE) == VALUE


@given(st.text(min_size=1))
def test_what_an_exception_says_of_a_record_is_hidden(said: str) -> None:
    detail = describe_poison(Arrived(), ValueError(said)).detail
    assert show_detail(detail, OPERATOR) in {"deciding it raises ValueError: hidden", "deciding it raises ValueError:"}
    assert show_detail(detail, CARE) == detail


def test_other_details_stay() -> None:
    assert show_detail("JSON is malformed: invalid character (byte 5)", OPERATOR).startswith("JSON is malformed: inv")


@pytest.mark.parametrize("name", ["Email", "EMAIL", "email"])
def test_the_case_of_a_name_does_not_matter(name: str) -> None:
    for personal in (("email",), ("EMAIL",)):
        content = b'{"rows": [{"%b": "ann@example.org"}]}' % name.encode()
        assert VALUE not in show_content(content, OPERATOR, personal)
        assert show_headers([(name, VALUE.encode()), ("ce_id", b"1")], OPERATOR, personal) == [
            (name, "hidden"),
            ("ce_id", "1"),
        ]


@pytest.mark.parametrize("name", ["e-mail", "e mail", "contact", "Name"])
def test_a_rule_does_not_quote_a_column_of_any_name(name: str) -> None:
    """Also where it reads a part of a JSON column."""
    facts = {name: {"first": VALUE} if name == "contact" else VALUE}
    read = "contact.first" if name == "contact" else name
    found = explain_rules([{"in": ["@", {"var": read}]}], facts)
    assert VALUE in str(mask_explanation(found, CARE, (name,)))
    assert VALUE not in str(mask_explanation(found, MARKETER, (name,)).rules)
