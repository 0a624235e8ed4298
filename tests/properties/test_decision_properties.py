"""Whatever happens in whatever order: both arms are treated alike, and a decision has one outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from campaigns.breaker import hour_of
from campaigns.decide import Outcome
from campaigns.recomputation import Recomputed, recompute
from campaigns.triggers import decision_message_id
from tests.decision_records import record_of
from tests.examples import examples
from tests.simulation import ACTS, FEEDBACK_ACTS, LIMIT, OFFERS, REPEAT_DAYS, SEGMENT, Act, campaigns, play

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.ledger import InMemoryLedger

SETTINGS = examples(100)
BEGIN = [Act("ann", "enters"), Act("bob", "enters")]


def histories(*acts: str) -> st.SearchStrategy[list[list[Act]]]:
    """Batches of these acts of two customers, after both have entered."""
    act = st.builds(
        Act,
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(acts),
        st.integers(0, 3),
        st.sampled_from([0, 1, 30, 100]),
        st.sampled_from([0, 0, 0, 20]),
    )
    batches = st.lists(st.lists(act, min_size=1, max_size=6), min_size=3, max_size=12)
    return batches.map(lambda each: [BEGIN, *each])


# What makes decisions more often than the rest.
HISTORIES = histories(*ACTS, *("enters", "leaves", "launched", "writes") * 3)
# Of a customer's events of one time the batch's last one counts, which may be one that is delivered again.
APART = HISTORIES.map(lambda batches: [[replace(act, hours=act.hours or 1) for act in batch] for batch in batches])
VARIANTS = [{"key": "first", "offers": (1,)}, {"key": "second", "offers": (3, 2), "message": "Hello"}]
BREAKER = {"contacts": 2, "hours": 6}


def eligibility(ledger: InMemoryLedger) -> list[tuple[Any, ...]]:
    """Return every decision in order: customer, id, the reason if it was withheld, the offer; no arm."""
    return [
        (name, key, "exposed" if each.outcome is not Outcome.WITHHELD else each.reason, each.channel, each.offer)
        for name, customer in ledger.customers.items()
        for key, each in customer.decisions.items()
    ]


@SETTINGS
@given(HISTORIES)
def test_eligibility_does_not_depend_on_the_arm(history: Sequence[Sequence[Act]]) -> None:
    treated = asyncio.run(play(history, holdout_percent=0))
    held_out = asyncio.run(play(history, holdout_percent=100))
    assert eligibility(treated) == eligibility(held_out)


@SETTINGS
@given(HISTORIES, st.sampled_from([0, 50, 100]))
def test_eligibility_does_not_depend_on_the_variant(history: Sequence[Sequence[Act]], holdout_percent: float) -> None:
    """Customers with the first, the second, or neither are contacted or withheld alike."""
    plain = asyncio.run(play(history, holdout_percent=holdout_percent))
    varied = asyncio.run(play(history, holdout_percent=holdout_percent, variants=VARIANTS))
    # The offer is what a variant changes.
    assert [each[:4] for each in eligibility(varied)] == [each[:4] for each in eligibility(plain)]


@SETTINGS
@given(HISTORIES, st.sampled_from([0, 5]))
def test_a_breaker_stops_both_arms_alike_and_keeps_what_it_allows(history: Sequence[Sequence[Act]], again: int) -> None:
    """However events are batched, repeated and late."""
    treated = asyncio.run(play(history, holdout_percent=0, again=again, breaker=BREAKER))
    held_out = asyncio.run(play(history, holdout_percent=100, again=again, breaker=BREAKER))
    assert eligibility(treated) == eligibility(held_out)
    assert treated.stopped == held_out.stopped
    exposed = Counter(
        (each.campaign, hour_of(each.decided_at))
        for customer in treated.customers.values()
        for each in customer.contacts.values()
    )
    assert exposed == {(key, hour): n for key, hours in treated.hours.items() for hour, n in hours.items()}
    for key, first in exposed:
        window = range(first, first + BREAKER["hours"])
        assert sum(exposed[key, hour] for hour in window) <= BREAKER["contacts"]
        reasons = {
            each.reason
            for customer in treated.customers.values()
            for each in customer.decisions.values()
            if each.candidate.campaign.key == key
        }
        assert ("stopped" in reasons) <= (key in treated.stopped)


@SETTINGS
@given(HISTORIES, st.sampled_from([0, 50, 100]))
def test_a_customer_gets_at_most_one_contact_at_an_event(
    history: Sequence[Sequence[Act]], holdout_percent: float
) -> None:
    """Of the campaigns that compete."""
    ledger = asyncio.run(play(history, holdout_percent=holdout_percent))
    exposed = Counter(
        (name, each.candidate.event_id)
        for name, customer in ledger.customers.items()
        for each in customer.decisions.values()
        if each.outcome is not Outcome.WITHHELD and each.candidate.campaign.is_arbitrated
    )
    assert set(exposed.values()) <= {1}


@SETTINGS
@given(HISTORIES, st.sampled_from([0, 50, 100]), st.sampled_from([0, 5]))
def test_no_window_has_more_contacts_than_a_limit_allows(
    history: Sequence[Sequence[Act]], holdout_percent: float, again: int
) -> None:
    """However events are batched, repeated and late, and in both arms."""
    ledger = asyncio.run(play(history, holdout_percent=holdout_percent, again=again))
    for customer in ledger.customers.values():
        times = [each.decided_at for each in customer.contacts.values()]
        for begin in times:
            assert sum(begin <= each < begin + timedelta(days=LIMIT.days) for each in times) <= LIMIT.contacts


@SETTINGS
@given(HISTORIES, st.sampled_from([0, 50, 100]), st.sampled_from([0, 5]))
def test_no_offer_is_repeated_within_its_days(
    history: Sequence[Sequence[Act]], holdout_percent: float, again: int
) -> None:
    """However events are batched, repeated and late, and in both arms; nor made where its rule does not hold."""
    ledger = asyncio.run(play(history, holdout_percent=holdout_percent, again=again))
    for customer in ledger.customers.values():
        for offer in (2, 4):
            times = sorted(each.decided_at for each in customer.contacts.values() if each.offer == offer)
            assert all(later - earlier >= timedelta(days=REPEAT_DAYS) for earlier, later in pairwise(times))
        for decision in customer.decisions.values():
            assert decision.offer is None or decision.offer.offer.id != 4 or decision.facts["email_consent"]


def test_five_entries_within_the_cooldown_are_one_exposure_in_both_arms() -> None:
    customers = [f"c{number}" for number in range(200)]
    history = [[Act(name, kind, hours=0) for name in customers] for kind in ("enters", "leaves") * 5]
    ledger = asyncio.run(play(history, holdout_percent=50, customers=customers))
    decisions = [
        (name, each)
        for name in customers
        for each in ledger.customers[name].decisions.values()
        if each.candidate.campaign.key == "with-cooldown"
    ]
    exposed = Counter(name for name, each in decisions if each.outcome is not Outcome.WITHHELD)
    outcomes = Counter(each.outcome for _, each in decisions)
    assert set(exposed.values()) == {1}
    assert outcomes[Outcome.FIRED] + outcomes[Outcome.CONTROL] == 200
    assert outcomes[Outcome.WITHHELD] == 800
    assert min(outcomes.values()) > 70


@SETTINGS
@given(HISTORIES, st.sampled_from([0, 50, 100]), st.sampled_from([0, 1, 5]))
def test_a_decision_has_one_outcome_in_ledger_and_topics(
    history: Sequence[Sequence[Act]], holdout_percent: float, again: int
) -> None:
    """Whatever is launched again, delivered again, and changes in between."""
    ledger = asyncio.run(play(history, holdout_percent=holdout_percent, again=again))
    expected = set()
    for name, customer in ledger.customers.items():
        for key, decision in customer.decisions.items():
            record = ledger.outbox[name, decision_message_id(key)].message
            assert msgspec.json.decode(record.value or b"")["outcome"] == decision.outcome
            expected.add((name, record.message_id))
            if decision.outcome is not Outcome.WITHHELD:
                trigger = ledger.outbox[name, key].message
                assert trigger.destination == ("campaign_triggers" if decision.outcome is Outcome.FIRED else "control")
                expected.add((name, key))
        exposed = {key for key, each in customer.decisions.items() if each.outcome is not Outcome.WITHHELD}
        assert set(customer.contacts) == exposed
    assert {key for key in ledger.outbox if key[0]} == expected


@SETTINGS
@given(APART, st.sampled_from([1, 5]))
def test_redelivery_changes_no_outcome_of_a_contact(history: Sequence[Sequence[Act]], again: int) -> None:
    """Nor consent: outcomes count once, whether their trigger is known or not."""
    plain, disturbed = asyncio.run(play(history)), asyncio.run(play(history, again=again))
    for name, customer in plain.customers.items():
        assert disturbed.customers[name].consent_changes == customer.consent_changes
        for key, contact in customer.contacts.items():
            assert disturbed.customers[name].contacts[key].state == contact.state


@SETTINGS
@given(APART, st.sampled_from([1, 5]))
def test_redelivery_changes_no_decision(history: Sequence[Sequence[Act]], again: int) -> None:
    """Of any audience: an event that was processed, or an end of an episode, is no second opportunity."""
    plain, disturbed = asyncio.run(play(history)), asyncio.run(play(history, again=again))
    assert eligibility(disturbed) == eligibility(plain)


@SETTINGS
@given(HISTORIES)
def test_every_message_of_a_member_is_a_candidate_once(history: Sequence[Sequence[Act]]) -> None:
    """Whatever else happens in its batch; the membership is that of the batch's last event."""
    ledger = asyncio.run(play(history, again=2))
    written = member = {"ann": 0, "bob": 0}
    for batch in history:
        for act in batch:
            member = {**member, act.customer: {"enters": 1, "leaves": 0}.get(act.kind, member[act.customer])}
        for act in batch:
            written = {**written, act.customer: written[act.customer] + (act.kind == "writes") * member[act.customer]}
    for name, count in written.items():
        decisions = ledger.customers[name].decisions.values() if name in ledger.customers else ()
        assert sum(each.candidate.campaign.key == "on-message" for each in decisions) == count


def test_leaving_and_entering_again_are_opportunities_of_their_own() -> None:
    kinds = ("enters", "leaves", "enters", "leaves")
    ledger = asyncio.run(play([[Act("ann", kind, hours=100)] for kind in kinds]))
    occasions = [
        each.candidate.occasion
        for each in ledger.customers["ann"].decisions.values()
        if each.candidate.campaign.key in ("with-cooldown", "on-leaving")
    ]
    assert occasions == ["1", "left 1", "2", "left 2"]


@SETTINGS
@given(
    histories(*ACTS, *FEEDBACK_ACTS, *("enters", "leaves", "launched", "writes") * 3),
    st.sampled_from([0, 50, 100]),
    st.sampled_from([0, 5]),
    st.sampled_from([{}, {"variants": VARIANTS, "breaker": BREAKER}]),
)
def test_any_decision_made_again_from_its_record_is_the_same(
    history: Sequence[Sequence[Act]], holdout_percent: float, again: int, changes: dict[str, Any]
) -> None:
    """Outcome, reason, channel, offer, message and value, whatever was contacted, blocked or revoked meanwhile."""
    ledger = asyncio.run(play(history, holdout_percent=holdout_percent, again=again, **changes))
    defined = {each.key: each for each in campaigns(holdout_percent, **changes)}
    for name, customer in ledger.customers.items():
        for each in customer.decisions.values():
            found = recompute(name, record_of(each), defined, OFFERS, {SEGMENT.key: SEGMENT.version})
            assert found == Recomputed(), (each.reason, each.detail)


def test_an_outcome_that_came_before_its_contact_stays_a_dead_letter() -> None:
    """Though its record is delivered again when the contact is there."""
    history = [BEGIN, [Act("ann", "delivered", 2)], [Act("ann", "launched", 2)], [Act("bob", "leaves")]]
    ledger = asyncio.run(play(history, again=2))
    (contact,) = [each for each in ledger.customers["ann"].contacts.values() if each.campaign == "launched"]
    assert contact.state.status == "reserved"
    assert [row.message.destination for (name, _), row in ledger.outbox.items() if not name] == ["dead_letters"]


def test_a_launch_withheld_for_missing_consent_stays_withheld_after_consent() -> None:
    history = [
        [Act("ann", "enters")],
        [Act("ann", "warehouse revokes"), Act("ann", "launched")],
        [Act("ann", "warehouse consents"), Act("ann", "launched")],
    ]
    ledger = asyncio.run(play(history))
    launched = [
        each for each in ledger.customers["ann"].decisions.values() if each.candidate.campaign.key == "launched"
    ]
    assert [each.outcome for each in launched] == [Outcome.WITHHELD]
    messages = [row.message.message_id for row in ledger.outbox.values()]
    assert launched[0].candidate.trigger_id not in messages


def test_a_launch_that_is_decided_already_starts_no_cooldown() -> None:
    """It is withheld in the ledger; its repetition must not keep the next launch back."""
    history = [
        [Act("ann", "enters")],
        [Act("ann", "warehouse revokes"), Act("ann", "launched", 1)],
        [Act("ann", "warehouse consents", hours=200), Act("ann", "launched", 1), Act("ann", "launched", 2)],
    ]
    ledger = asyncio.run(play(history))
    outcomes = {
        each.candidate.occasion: each.outcome
        for each in ledger.customers["ann"].decisions.values()
        if each.candidate.campaign.key == "launched"
    }
    assert outcomes == {"launch l1": Outcome.WITHHELD, "launch l2": Outcome.FIRED}


def test_an_opt_out_counts_in_its_own_batch() -> None:
    history = [[Act("ann", "enters"), Act("ann", "unsubscribed", 3)]]
    decisions = asyncio.run(play(history)).customers["ann"].decisions.values()
    assert {each.reason for each in decisions} == {"no_consented_channel"}
