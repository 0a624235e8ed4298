"""What outcomes make of a contact."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from campaigns.contact_state import STATUSES, TRANSITIONS, ContactOutcome, ContactState, fold
from tests.builders import AS_OF


def outcomes(*reported: str | tuple[str, float | None]) -> list[ContactOutcome]:
    """One outcome a minute; of some the value."""
    pairs = [(each, None) if isinstance(each, str) else each for each in reported]
    return [
        ContactOutcome(name, AS_OF + timedelta(minutes=minute), value) for minute, (name, value) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("reported", "status"),
    [
        ([], "reserved"),
        (["delivered"], "delivered"),
        (["delivered", "clicked", "opened"], "clicked"),
        (["converted", "delivered"], "converted"),
        (["bounced"], "bounced"),
        (["failed"], "failed"),
        (["failed", "bounced"], "bounced"),
        (["delivered", "failed"], "delivered"),
        (["delivered", "bounced"], "delivered"),
        (["bounced", "delivered"], "delivered"),
    ],
)
def test_a_contact_moves_forward_only(reported: list[str], status: str) -> None:
    assert fold(ContactState(), outcomes(*reported)).status == status


@pytest.mark.parametrize(
    ("reported", "value", "conversions"),
    [
        ([("converted", 20.0), ("converted", 30.0)], 50, 2),
        ([("converted", 25.0), ("opened", 0.0)], 25, 1),
        ([("opened", 5.0)], None, 0),
        ([("converted", 25.0), ("converted", None)], 25, 2),
        ([("converted", None)], None, 1),
        ([("converted", 0.0)], 0, 1),
        ([("converted", 25.0), ("converted", -25.0)], 0, 2),
        ([("converted", 0.1), ("converted", 0.2)], Decimal("0.3"), 2),
    ],
)
def test_the_value_is_the_sum_of_all_conversions(
    reported: list[tuple[str, float | None]], value: Decimal | None, conversions: int
) -> None:
    state = fold(ContactState(), outcomes(*reported))
    assert (state.value, state.conversions) == (value, conversions)


def test_a_bounce_stays_visible_after_a_late_delivery() -> None:
    state = fold(ContactState(), outcomes("bounced", "delivered"))
    assert state.first_at == {"bounced": AS_OF, "delivered": AS_OF + timedelta(minutes=1)}


def test_of_several_outcomes_of_a_kind_the_first_event_time_is_kept() -> None:
    first, second = outcomes("opened", "opened")
    assert fold(ContactState(), [second, first]).first_at == {"opened": AS_OF}


def test_every_transition_leads_to_a_status() -> None:
    assert set(TRANSITIONS.values()) <= set(STATUSES)
