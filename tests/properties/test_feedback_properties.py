"""Any order, duplication and batching of feedback gives the same state, and the arms are treated alike."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.decide import ContactHistory
from campaigns.feedback import Feedback, FeedbackKind, find_in_force
from tests.builders import AS_OF
from tests.simulation import Act, play

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = settings(derandomize=True, deadline=None, max_examples=200)
IDS = [f"f{number}" for number in range(6)]
TIMES = st.integers(0, 3).map(lambda days: AS_OF + timedelta(days=days))
FEEDBACK = st.lists(
    st.builds(
        Feedback,
        st.just("ann"),
        st.sampled_from(IDS),
        st.sampled_from(list(FeedbackKind)),
        TIMES,
        st.just("sam"),
        st.just("why"),
        st.none() | TIMES,
    ),
    max_size=6,
    unique_by=lambda each: each.event_id,
)
WITHDRAWN = st.lists(st.sampled_from(IDS), max_size=3, unique=True)


@SETTINGS
@given(st.data(), FEEDBACK, WITHDRAWN, TIMES)
def test_any_order_and_duplication_of_feedback_gives_the_same_state(
    data: st.DataObject, said: list[Feedback], withdrawn: list[str], at: object
) -> None:
    """What counts is what was neither withdrawn nor has expired."""
    withdrawals = [
        Feedback("ann", f"w{each}", FeedbackKind.WITHDRAWN, AS_OF, "kim", "why", withdraws=each) for each in withdrawn
    ]
    said = [each for each in said if each.kind != FeedbackKind.WITHDRAWN] + withdrawals
    states = []
    for order in (said, data.draw(st.permutations([*said, *said[:3]]))):
        history = ContactHistory()
        for each in order:
            history = history.with_feedback(each)
        states.append(history.feedback)
    assert states[0] == states[1]
    for kind in (FeedbackKind.DO_NOT_CONTACT, FeedbackKind.ALWAYS_VIP):
        counting = {
            each.event_id
            for each in said
            if each.kind == kind and each.event_id not in withdrawn and (each.until is None or at < each.until)  # type: ignore[operator]  # hypothesis gives a datetime
        }
        found = find_in_force(states[0], kind, at)  # type: ignore[arg-type]
        assert found.event_id in counting if found else not counting


HISTORIES = st.lists(
    st.lists(
        st.builds(
            Act,
            st.sampled_from(["ann", "bob"]),
            st.sampled_from(["blocked", "unblocked", "enters", "leaves", "launched"]),
            st.integers(0, 3),
            st.sampled_from([0, 1, 30]),
            st.sampled_from([0, 0, 20]),
        ),
        min_size=1,
        max_size=5,
    ),
    min_size=2,
    max_size=8,
)


@settings(SETTINGS, max_examples=60)
@given(HISTORIES)
def test_feedback_withholds_the_same_decisions_in_both_arms(history: Sequence[Sequence[Act]]) -> None:
    treated, held_out = (asyncio.run(play(history, holdout_percent=percent)) for percent in (0, 100))
    for name, customer in treated.customers.items():
        kept = [each.reason for each in customer.decisions.values() if each.reason == "do_not_contact"]
        other = [each.reason for each in held_out.customers[name].decisions.values() if each.reason == "do_not_contact"]
        assert kept == other


@settings(SETTINGS, max_examples=60)
@given(HISTORIES, st.sampled_from([1, 5]))
def test_redelivered_feedback_changes_nothing(history: Sequence[Sequence[Act]], again: int) -> None:
    plain, disturbed = asyncio.run(play(history)), asyncio.run(play(history, again=again))
    for name, customer in plain.customers.items():
        assert disturbed.customers[name].feedback == customer.feedback
