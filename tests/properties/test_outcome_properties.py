"""Any order, duplication and batching of outcomes gives the same contact and the same consent."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from campaigns.consent import CONSENT_OUTCOMES, ConsentChange, find_revocation
from campaigns.contact_state import TRANSITIONS, ContactOutcome, ContactState, fold
from campaigns.decide import ContactHistory
from tests.builders import AS_OF
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = examples(200)
TIMES = st.integers(0, 3).map(lambda hours: AS_OF + timedelta(hours=hours))
VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.1, 0.2, 0.3, 1e308, 5e-324])
OUTCOMES = st.builds(ContactOutcome, st.sampled_from(sorted(TRANSITIONS)), TIMES, VALUES)
CHANGES = st.builds(
    ConsentChange,
    st.just("ann"),
    st.uuids().map(str),
    st.sampled_from(["email", "sms", "*"]),
    st.booleans(),
    TIMES,
    st.sampled_from(sorted(CONSENT_OUTCOMES)),
)


@SETTINGS
@given(st.data(), st.lists(OUTCOMES, max_size=12), st.lists(st.integers(0, 12)))
def test_any_order_and_batching_of_outcomes_gives_the_same_contact(
    data: st.DataObject, outcomes: Sequence[ContactOutcome], cuts: Sequence[int]
) -> None:
    shuffled = data.draw(st.permutations(outcomes))
    state, edges = ContactState(), [0, *sorted(cuts), len(shuffled)]
    for begin, end in pairwise(edges):
        state = fold(state, shuffled[begin:end])
    assert state == fold(ContactState(), outcomes)


@SETTINGS
@given(st.data(), st.lists(CHANGES, max_size=8))
def test_any_order_and_duplication_of_changes_gives_the_same_consent(
    data: st.DataObject, changes: Sequence[ConsentChange]
) -> None:
    """And it is that of the latest change, of equal times the revocation."""
    repeated = data.draw(st.permutations([*changes, *changes[:3]]))
    consents = []
    for order in (changes, repeated):
        history = ContactHistory()
        for change in order:
            history = history.with_consent_change(change)
        consents.append(history.consent)
    assert consents[0] == consents[1]
    concerned = [each for each in changes if each.channel in ("email", "*")]
    latest = max(concerned, key=lambda each: (each.changed_at, not each.granted), default=None)
    revoked_at = latest.changed_at if latest and not latest.granted else None
    assert find_revocation(consents[0], "email") == revoked_at
