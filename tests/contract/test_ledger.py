"""The contract of a ledger, run on the in-memory fake and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from msgspec import structs
from psycopg import sql

from campaigns.breaker import CampaignStop, hour_of
from campaigns.channels import Channel
from campaigns.consent import ConsentChange, ConsentTimes
from campaigns.contact_limits import PastContact
from campaigns.contact_state import Contact, ContactState
from campaigns.decide import ContactHistory
from campaigns.definition import Campaign
from campaigns.errors import LedgerConflictError, LedgerFencedError, LedgerUnavailableError
from campaigns.feedback import Feedback, Standing
from campaigns.guardrails import Reason
from campaigns.leads import LeadRecord, LeadState
from campaigns.ports import BatchChanges, Refusal
from campaigns.postgres_ledger import PostgresLedger
from campaigns.queries import QUERIES
from campaigns.recomputation import recompute
from campaigns.triggers import decision_message, outgoing, trigger_body, trigger_message
from campaigns.unpublishable import set_aside
from features.daily_counts import DayCounts
from features.signals import Signals
from features.table import FeatureTable
from segments.engine import EARLIER_KEPT, Episode, MembershipState, classify
from streams.formats.dead_letters import dead_letter
from streams.formats.events import Reject, RejectReason
from streams.outcomes import fold_outcomes, outcome_keys, trigger_keys
from tests.builders import (
    AS_OF,
    campaign,
    candidate,
    control,
    decide,
    decision,
    facts,
    offers,
    scores,
    segment,
    transition,
)
from tests.fakes.ledger import InMemoryLedger
from tests.records import Arrived, events, outcome
from tests.simulation import OFFERS, Act, campaigns, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from campaigns.decide import Decision
    from campaigns.ports import Ledger
    from segments.engine import Transition

SEGMENT = segment()
COOLING = [campaign(cooldown_days=30), campaign(key="other", cooldown_days=30)]
SIGNALS = Signals(3, 2, -0.1 / 3, 1, ("price", "delivery"), AS_OF, "message-3")
TRIGGER = candidate().trigger_id
OWNED = {3: 1}


@pytest.fixture(params=["memory", "postgres"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """A ledger with one segment activated and partition 3 claimed."""
    if request.param == "memory":
        yield await _prepared(InMemoryLedger())
        return
    url = request.getfixturevalue("ledger_url")
    postgres = PostgresLedger(url)
    await postgres.open()
    yield await _prepared(postgres)
    await postgres.close()


async def _prepared(ledger: Ledger) -> Ledger:
    await ledger.activate([SEGMENT], COOLING, at=AS_OF)
    await ledger.claim(3)
    return ledger


def batch(*decisions: Decision, **changes: Any) -> BatchChanges:
    """The changes of a batch in which ann enters the segment, with these decisions."""
    triggers = [trigger_message(each) for each in decisions if each.offer]
    defaults = {
        "transitions": [transition()],
        "transitions_at": {"ann": AS_OF},
        "evaluated": ["ann"],
        "signals": {"ann": SIGNALS},
        "decisions": decisions,
        "messages": [*triggers, *map(decision_message, decisions)],
    }
    return BatchChanges(**{**defaults, **changes})


def opt_out(event_id: str = "outcome-1", channel: str = "email", **changes: Any) -> ConsentChange:
    """Ann revokes consent for e-mail."""
    return replace(
        ConsentChange("ann", event_id, channel, granted=False, changed_at=AS_OF, source="unsubscribed"), **changes
    )


async def contact(ledger: Ledger) -> Contact | None:
    """Return ann's contact."""
    return (await ledger.read([], [], triggers=[("ann", TRIGGER)])).contacts.get(("ann", TRIGGER))


async def consent(ledger: Ledger, customer_id: str = "ann") -> Any:
    """Return a customer's consent; a customer without changes has no contact history."""
    histories = (await ledger.read([customer_id], [])).contact_histories
    return histories[customer_id].consent if customer_id in histories else {}


async def test_a_customer_the_ledger_never_saw_is_in_none_of_the_mappings(ledger: Ledger) -> None:
    state = await ledger.read(["nobody"], [("nobody", "message-1")])
    assert (state.memberships, state.signals, state.contact_histories, set(state.seen_messages)) == ({}, {}, {}, set())


async def test_customers_are_recorded_under_the_versions_of_their_batch(ledger: Ledger) -> None:
    """With the changeovers of models, which a worker that is behind does not have yet: for it they are other ones."""
    before, now = {"at-risk": SEGMENT.version}, {"at-risk": f"{SEGMENT.version} churn@20110601T1-new"}
    await ledger.commit(batch(), owners=OWNED)
    await ledger.commit(BatchChanges(evaluated=["ann"], versions=now), owners=OWNED)
    up_to_date = (await ledger.read(["ann"], [], versions=now)).memberships["ann"]
    behind = (await ledger.read(["ann"], [], versions=before)).memberships["ann"]
    assert (up_to_date.evaluated_versions, up_to_date.earlier_versions) == (now, ())
    assert (behind.evaluated_versions, behind.earlier_versions) == (now, (before,))
    assert (await ledger.read(["ann"], [])).memberships["ann"] == behind
    await ledger.commit(BatchChanges(evaluated=["ann"], versions=before), owners=OWNED)
    again = (await ledger.read(["ann"], [], versions=now)).memberships["ann"]
    assert (again.evaluated_versions, again.earlier_versions) == (before, (now,))


async def test_what_a_batch_changed_comes_back_in_a_read(ledger: Ledger) -> None:
    await ledger.commit(batch(decision()), owners=OWNED)
    state = await ledger.read(["ann", "bob"], [])
    assert state.memberships == {
        "ann": MembershipState({"at-risk": Episode(1, is_member=True)}, {"at-risk": SEGMENT.version})
    }
    assert state.signals == {"ann": SIGNALS}
    assert state.contact_histories["ann"].last_contacts == {"win-back": AS_OF}


async def test_committing_a_batch_twice_changes_nothing(ledger: Ledger) -> None:
    first = await ledger.commit(batch(decision()), owners=OWNED)
    state, unsent = await ledger.read(["ann"], []), await ledger.unsent(3)
    second = await ledger.commit(batch(decision()), owners=OWNED)
    assert list(unsent) == list(first.outbox)
    assert list(second.outbox) == []
    assert await ledger.read(["ann"], []) == state
    assert await ledger.unsent(3) == unsent


async def test_a_batch_without_changes_can_be_committed(ledger: Ledger) -> None:
    committed = await ledger.commit(BatchChanges(), owners=OWNED)
    assert (list(committed.outbox), committed.cache_generation) == ([], 1)


async def test_a_batch_without_changes_is_fenced_too(ledger: Ledger) -> None:
    """Its owner must not acknowledge what it may have decided on rows that the next owner has changed."""
    await ledger.claim(3)
    with pytest.raises(LedgerFencedError):
        await ledger.commit(BatchChanges(), owners=OWNED)


async def test_a_batch_without_changes_locks_nothing(ledger_url: str) -> None:
    """PostgreSQL alone: a lock is a write."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await _prepared(postgres)
    with psycopg.connect(ledger_url, autocommit=True) as operator:
        for changes, locked in ((BatchChanges(transitions_at={"ann": AS_OF}), "0"), (batch(), "1")):
            await postgres.commit(changes, owners=OWNED)
            ((lock,),) = operator.execute("SELECT least(xmax::text::bigint, 1)::text FROM partition_owner").fetchall()
            assert lock == locked
    await postgres.close()


async def test_a_former_primary_fences_a_batch_without_changes(ledger_url: str) -> None:
    """It may be behind, so that a batch that changes nothing there may change something."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await postgres.claim(3)
    former = PostgresLedger(ledger_url, read_only=True)
    await former.open()
    with pytest.raises(LedgerFencedError):
        await former.commit(BatchChanges(), owners=OWNED)
    await postgres.close()
    await former.close()


async def test_an_episode_ends_and_the_next_begins(ledger: Ledger) -> None:
    moves = [transition(), transition(entered=False), transition(episode=2)]
    memberships = []
    for move in moves:
        await ledger.commit(batch(transitions=[move]), owners=OWNED)
        memberships.append((await ledger.read(["ann"], [])).memberships["ann"].members["at-risk"])
    assert memberships == [Episode(1, is_member=True), Episode(1, is_member=False), Episode(2, is_member=True)]


async def test_thousands_of_segments_can_be_remembered(ledger: Ledger) -> None:
    many = [segment(f"a-segment-with-a-rather-long-name-{number}") for number in range(2000)]
    activations = await ledger.activate(many, [campaign()], at=AS_OF)
    await ledger.commit(batch(transitions=[]), owners=OWNED)
    memberships = (await ledger.read(["ann"], [])).memberships["ann"]
    assert memberships.evaluated_versions == {key: activation.version for key, activation in activations.items()}


async def evaluate(ledger: Ledger, threshold: int, value: int) -> tuple[Transition, ...]:
    """Evaluate ann under the version of the segment with this threshold, and commit the outcome."""
    versions = [segment(rule={">=": [{"var": "p"}, threshold]})]
    activations = await ledger.activate(versions, [], at=AS_OF)
    memberships = (await ledger.read(["ann"], [])).memberships
    table = FeatureTable.from_rows(["ann"], ["p"], [[value]])
    outcome = classify(versions, table, memberships, activations=activations, joined_at={})
    changes = BatchChanges(
        transitions=outcome.changes,
        transitions_at={"ann": AS_OF},
        evaluated=outcome.versions_changed,
        earlier_results=outcome.earlier_results,
    )
    for _ in range(2):  # a batch may be committed twice
        await ledger.commit(changes, owners=OWNED)
    return outcome.changes


async def test_a_real_entry_under_a_restored_version_is_not_suppressed(ledger: Ledger) -> None:
    """No member under version 5 at first, then version 9 for one event, then version 5 again."""
    assert [await evaluate(ledger, 5, 0), await evaluate(ledger, 9, 0)] == [(), ()]
    assert await evaluate(ledger, 5, 6) == (transition(),)


async def test_a_member_whom_another_version_removed_is_restored_silently(ledger: Ledger) -> None:
    assert [each.suppressed for each in await evaluate(ledger, 5, 6)] == [True]
    assert [each.kind for each in await evaluate(ledger, 9, 6)] == ["exited"]
    assert await evaluate(ledger, 5, 6) == (transition(episode=2, suppressed=True),)
    assert await evaluate(ledger, 5, 0) == (transition(episode=2, entered=False),)
    assert await evaluate(ledger, 5, 6) == (transition(episode=3),)


async def test_a_member_by_a_suppressed_entry_of_another_version_enters_the_restored_one(ledger: Ledger) -> None:
    """A version that admits every customer by mistake, and is rolled back, loses no entry."""
    await evaluate(ledger, 5, 0)
    assert [each.suppressed for each in await evaluate(ledger, 0, 0)] == [True]
    assert await evaluate(ledger, 5, 6) == (transition(episode=2),)


async def test_a_member_who_was_contacted_under_another_version_does_not_enter_the_restored_one(ledger: Ledger) -> None:
    await evaluate(ledger, 5, 0)
    await evaluate(ledger, 3, 0)
    assert await evaluate(ledger, 3, 4) == (transition(),)
    assert await evaluate(ledger, 5, 6) == ()


async def test_results_under_earlier_versions_come_back_in_a_read(ledger: Ledger) -> None:
    for threshold, value in ((5, 6), (6, 6), (9, 6)):
        await evaluate(ledger, threshold, value)
    await ledger.activate([segment(rule={">=": [{"var": "p"}, 5]})], [], at=AS_OF)
    state = (await ledger.read(["ann"], [])).memberships["ann"]
    versions = [segment(rule={">=": [{"var": "p"}, threshold]}).version for threshold in (9, 6, 5)]
    assert [state.evaluated_versions, *state.earlier_versions] == [{"at-risk": version} for version in versions]
    assert state.members["at-risk"] == Episode(1, is_member=False, suppressed=True, member_under=tuple(versions[1:]))


async def test_as_many_earlier_versions_are_kept_as_promised_and_an_older_one_is_as_new(ledger: Ledger) -> None:
    for threshold in range(EARLIER_KEPT + 2):
        await evaluate(ledger, threshold, 0)
    await ledger.activate([segment()], [], at=AS_OF)
    state = (await ledger.read(["ann"], [])).memberships["ann"]
    assert len(state.earlier_versions) == EARLIER_KEPT
    assert [each.suppressed for each in await evaluate(ledger, 1, 6)] == [False]
    assert [each.suppressed for each in await evaluate(ledger, 100, 6)] == [True]
    for threshold in range(200, 201 + EARLIER_KEPT):
        await evaluate(ledger, threshold, 0)
    assert [each.suppressed for each in await evaluate(ledger, 1, 6)] == [True]


async def test_a_worker_that_starts_reads_the_same_earlier_versions(ledger_url: str) -> None:
    """It has no evaluated versions in memory yet, and reads the current ones with the customers."""
    workers = [PostgresLedger(ledger_url), PostgresLedger(ledger_url)]
    for worker in workers:
        await worker.open()
    await workers[0].claim(3)
    for threshold in (5, 9, 5):
        await evaluate(workers[0], threshold, 6)
    await workers[1].activate([segment(rule={">=": [{"var": "p"}, 5]})], [], at=AS_OF)
    states = [(await worker.read(["ann"], [])).memberships["ann"] for worker in workers]
    assert states[0] == states[1]
    assert states[0].earlier_versions == ()
    for worker in workers:
        await worker.close()


async def test_signals_are_replaced_by_newer_ones(ledger: Ledger) -> None:
    days = (DayCounts(15_126, 2, 1, 1, -2500), DayCounts(15_127, 1, 1, 0, 10_000))
    newer = structs.replace(
        SIGNALS, days=days, message_count=4, sentiment_score=None, last_message_at=None, key_concerns=()
    )
    await ledger.commit(batch(), owners=OWNED)
    await ledger.commit(batch(signals={"ann": newer}), owners=OWNED)
    assert (await ledger.read(["ann"], [])).signals == {"ann": newer}


async def test_seen_messages_come_back_among_those_asked_for(ledger: Ledger) -> None:
    await ledger.commit(batch(message_ids=[("ann", "m-1"), ("ann", "m-2")]), owners=OWNED)
    assert set((await ledger.read(["ann"], [("ann", "m-2"), ("ann", "m-3")])).seen_messages) == {("ann", "m-2")}


async def test_a_message_seen_before_is_a_conflict_and_nothing_is_stored(ledger: Ledger) -> None:
    await ledger.commit(BatchChanges(message_ids=[("ann", "m-1")]), owners=OWNED)
    conflicting = batch(decision(), message_ids=[("ann", "m-0"), ("ann", "m-1")], cache_lost=True)
    with pytest.raises(LedgerConflictError):
        await ledger.commit(conflicting, owners=OWNED)
    state = await ledger.read(["ann"], [("ann", "m-0")])
    assert (state.memberships, state.signals, state.contact_histories, set(state.seen_messages)) == ({}, {}, {}, set())
    assert list(await ledger.unsent(3)) == []
    assert (await ledger.commit(BatchChanges(), owners=OWNED)).cache_generation == 1


async def test_a_batch_decided_again_after_a_conflict_can_be_committed(ledger: Ledger) -> None:
    """No part of the rejected attempt counts as stored."""
    await ledger.commit(BatchChanges(message_ids=[("ann", "m-1")]), owners=OWNED)
    with pytest.raises(LedgerConflictError):
        await ledger.commit(batch(message_ids=[("ann", "m-1")]), owners=OWNED)
    await ledger.commit(batch(), owners=OWNED)
    assert (await ledger.read(["ann"], [])).memberships["ann"].evaluated_versions == {"at-risk": SEGMENT.version}


async def test_the_same_message_id_of_another_customer_is_no_conflict(ledger: Ledger) -> None:
    await ledger.commit(batch(message_ids=[("ann", "m-1")]), owners=OWNED)
    await ledger.commit(BatchChanges(message_ids=[("bob", "m-1")]), owners=OWNED)
    assert set((await ledger.read(["bob"], [("bob", "m-1")])).seen_messages) == {("bob", "m-1")}


async def test_a_claim_fences_the_older_epoch_and_nothing_is_stored(ledger: Ledger) -> None:
    assert await ledger.claim(3) == 2
    with pytest.raises(LedgerFencedError):
        await ledger.commit(batch(decision()), owners={3: 1})
    assert (await ledger.read(["ann"], [])).memberships == {}
    assert len((await ledger.commit(batch(decision()), owners={3: 2})).outbox) == 2


@pytest.mark.parametrize("owners", [{7: 1}, {3: 1, 7: 1}, {3: 0}, {3: -1}, {3: 2}])
async def test_an_epoch_that_was_never_given_is_fenced(ledger: Ledger, owners: dict[int, int]) -> None:
    with pytest.raises(LedgerFencedError):
        await ledger.commit(BatchChanges(), owners=owners)


async def test_a_claim_of_one_partition_leaves_the_others_alone(ledger: Ledger) -> None:
    assert [await ledger.claim(4), await ledger.claim(4)] == [1, 2]
    await ledger.commit(batch(), owners={3: 1, 4: 2})


async def test_sequences_grow_in_the_order_of_the_messages(ledger: Ledger) -> None:
    """The ids sort differently from the messages."""
    message = decision_message(decision())
    names = ["z", "b", "y", "a"]
    first = await ledger.commit(
        BatchChanges(messages=[structs.replace(message, message_id=n) for n in names]), owners=OWNED
    )
    second = await ledger.commit(BatchChanges(messages=[structs.replace(message, message_id="0")]), owners=OWNED)
    stored = [*first.outbox, *second.outbox]
    assert [each.message.message_id for each in stored] == [*names, "0"]
    assert sorted({each.sequence for each in stored}) == [each.sequence for each in stored]


async def test_the_last_sequence_is_that_of_the_latest_message(ledger: Ledger) -> None:
    assert await ledger.last_sequence() == 0
    committed = await ledger.commit(batch(decision()), owners=OWNED)
    assert await ledger.last_sequence() == max(each.sequence for each in committed.outbox)


async def test_a_rehearsal_stores_nothing(ledger: Ledger) -> None:
    await ledger.dry_run(batch(decision(), message_ids=[("ann", "message-1")], cache_lost=True))
    assert (await ledger.read(["ann"], [("ann", "message-1")])).memberships == {}
    assert (await ledger.unsent(3), await ledger.cache_generation()) == ([], 1)


async def test_a_rehearsal_fails_as_the_commit_would(ledger: Ledger) -> None:
    await ledger.commit(batch(message_ids=[("ann", "message-1")]), owners=OWNED)
    with pytest.raises(LedgerConflictError):
        await ledger.dry_run(batch(message_ids=[("ann", "message-1")]))


async def test_unsent_messages_come_back_whole_and_in_order_until_marked_sent(ledger: Ledger) -> None:
    stored = (await ledger.commit(batch(decision()), owners=OWNED)).outbox
    assert list(await ledger.unsent(3)) == list(stored)
    await ledger.mark_sent(stored[:1])
    assert list(await ledger.unsent(3)) == list(stored[1:])
    await ledger.mark_sent(stored)
    assert list(await ledger.unsent(3)) == []


async def test_a_message_without_key_or_value_comes_back_as_it_is(ledger: Ledger) -> None:
    """A dead letter keeps the original bytes."""
    headers = (("empty", None), ("raw", b"\xff\x00"), ("raw", b"again"))
    odd = structs.replace(decision_message(decision()), customer_id="", key=None, value=None, headers=headers)
    await ledger.commit(BatchChanges(messages=[odd]), owners=OWNED)
    assert [each.message for each in await ledger.unsent(3)] == [odd]


async def test_unsent_messages_are_those_of_the_partition(ledger: Ledger) -> None:
    elsewhere = structs.replace(decision_message(decision()), partition=4)
    await ledger.commit(BatchChanges(messages=[elsewhere]), owners=OWNED)
    assert list(await ledger.unsent(3)) == []
    assert len(await ledger.unsent(4)) == 1


async def test_a_message_published_before_is_not_stored_again(ledger: Ledger) -> None:
    await ledger.mark_sent((await ledger.commit(batch(decision()), owners=OWNED)).outbox)
    assert list((await ledger.commit(batch(decision()), owners=OWNED)).outbox) == []
    assert list(await ledger.unsent(3)) == []


async def test_a_lost_cache_raises_the_generation_for_good(ledger: Ledger) -> None:
    assert await ledger.cache_generation() == 1
    changes = [BatchChanges(), BatchChanges(cache_lost=True), BatchChanges()]
    assert [(await ledger.commit(each, owners=OWNED)).cache_generation for each in changes] == [1, 2, 2]
    assert await ledger.cache_generation() == 2


async def test_an_activation_is_recorded_once_and_keeps_its_first_time(ledger: Ledger) -> None:
    later = AS_OF + timedelta(days=1)
    again = await ledger.activate([SEGMENT], [], at=later)
    assert (again["at-risk"].activated_at, again["at-risk"].mode) == (AS_OF, "silent")
    assert again["at-risk"].version == SEGMENT.version


async def test_another_version_of_a_segment_is_another_activation(ledger: Ledger) -> None:
    later = AS_OF + timedelta(days=1)
    changed = segment(rule={">": [{"var": "churn_probability"}, 0.9]})
    found = await ledger.activate([changed], [], at=later)
    assert (found["at-risk"].version, found["at-risk"].activated_at) == (changed.version, later)


CHANGED = segment(rule={">": [{"var": "churn_probability"}, 0.9]})
LATER = AS_OF + timedelta(days=1)


async def noted(ledger: Ledger) -> list[tuple[str, str, datetime, str]]:
    """Return (version, mode, time, reason) of the segment's history, the latest first."""
    history = await ledger.segment_history("at-risk")
    assert all(each.actor for each in history)
    return [(each.version, each.mode, each.activated_at, each.why) for each in history]


async def test_each_version_that_comes_into_force_is_noted_with_its_rules(ledger: Ledger) -> None:
    """A restart with the same version is not; a rollback is."""
    assert [list(await ledger.find_changed([each, segment("new")])) for each in (SEGMENT, CHANGED)] == [[], ["at-risk"]]
    for each in (SEGMENT, CHANGED, CHANGED, SEGMENT):
        await ledger.activate([each], [], at=LATER)
    assert await noted(ledger) == [
        (SEGMENT.version, "silent", LATER, ""),
        (CHANGED.version, "silent", LATER, ""),
        (SEGMENT.version, "silent", AS_OF, ""),
    ]
    rules = [each.rules for each in await ledger.segment_history("at-risk")]
    everybody = {"rule": None, "exit_rule": None}
    assert rules == [everybody, {**everybody, "rule": {">": [{"var": "churn_probability"}, 0.9]}}, everybody]
    assert list(await ledger.segment_history("nothing")) == []


async def test_who_sets_the_mode_of_a_version_and_why_is_noted(ledger: Ledger) -> None:
    """Before a worker has started with it, which then notes nothing of its own, and again afterwards."""
    await ledger.set_mode(CHANGED, "new", at=LATER, by="olga", why="spring")
    found = await ledger.activate([CHANGED], [], at=LATER + timedelta(hours=1))
    assert (found["at-risk"].mode, found["at-risk"].activated_at) == ("new", LATER)
    await ledger.set_mode(CHANGED, "emit", at=LATER, by="ann", why="summer")
    assert (await ledger.activate([CHANGED], [], at=LATER))["at-risk"].mode == "emit"
    assert (await noted(ledger))[:2] == [
        (CHANGED.version, "emit", LATER, "summer"),
        (CHANGED.version, "new", LATER, "spring"),
    ]
    assert [each.actor for each in await ledger.segment_history("at-risk")][:2] == ["ann", "olga"]


async def test_only_mode_new_comes_with_the_other_versions(ledger: Ledger) -> None:
    for mode, versions in (("silent", set()), ("emit", set()), ("new", {SEGMENT.version, CHANGED.version})):
        await ledger.set_mode(CHANGED, mode, at=LATER, by="olga", why="")  # type: ignore[arg-type]
        found = await ledger.activate([CHANGED], [], at=LATER)
        assert set(found["at-risk"].others) == versions
    other = found["at-risk"].others[CHANGED.version]
    assert (other.key, other.version, other.exit_rule) == ("at-risk", CHANGED.version, None)
    assert [other.rule.holds({"churn_probability": value}) for value in (0.95, 0.5)] == [True, False]


async def test_a_new_contact_is_reserved(ledger: Ledger) -> None:
    await ledger.commit(batch(decision()), owners=OWNED)
    assert await contact(ledger) == Contact("email", ContactState())


@pytest.mark.parametrize("value", [None, Decimal(0), Decimal("0.1"), Decimal("1e308"), Decimal("5e-324"), Decimal(-25)])
async def test_the_state_of_a_contact_comes_back_as_it_is(ledger: Ledger, value: Decimal | None) -> None:
    """Or a sum would depend on how its conversions are cut into batches."""
    state = ContactState("converted", value, 2, {"bounced": AS_OF, "converted": AS_OF + timedelta(microseconds=1)})
    await ledger.commit(batch(decision()), owners=OWNED)
    await ledger.commit(BatchChanges(contact_states={("ann", TRIGGER): state}), owners=OWNED)
    assert await contact(ledger) == Contact("email", state)


async def test_a_contact_of_the_same_batch_takes_its_state(ledger: Ledger) -> None:
    state = ContactState("delivered")
    await ledger.commit(batch(decision(), contact_states={("ann", TRIGGER): state}), owners=OWNED)
    assert await contact(ledger) == Contact("email", state)


async def test_only_the_contacts_asked_for_are_read(ledger: Ledger) -> None:
    await ledger.commit(batch(decision(), decision(occasion="2")), owners=OWNED)
    asked = [("ann", TRIGGER), ("bob", TRIGGER), ("ann", str(UUID(int=7)))]
    assert set((await ledger.read([], [], triggers=asked)).contacts) == {("ann", TRIGGER)}


async def test_only_the_decisions_asked_for_are_read(ledger: Ledger) -> None:
    withheld = decision(withheld=Reason.NOT_A_MEMBER)
    await ledger.commit(batch(withheld, decision(occasion="2")), owners=OWNED)
    asked = [("ann", TRIGGER), ("bob", TRIGGER), ("ann", str(UUID(int=7)))]
    assert set((await ledger.read([], [], decisions=asked)).decided) == {("ann", TRIGGER)}


async def test_an_outcome_seen_before_is_a_conflict_and_nothing_is_stored(ledger: Ledger) -> None:
    await ledger.commit(batch(decision(), outcome_ids=[("ann", "o-1")]), owners=OWNED)
    states = {("ann", TRIGGER): ContactState("converted", Decimal(25), 1)}
    again = BatchChanges(outcome_ids=[("ann", "o-1")], contact_states=states, consent_changes=[opt_out()])
    with pytest.raises(LedgerConflictError):
        await ledger.commit(again, owners=OWNED)
    assert (await contact(ledger), await consent(ledger)) == (Contact("email", ContactState()), {})


@pytest.mark.parametrize(
    "batches", [[[0, 1, 2, 3, 4, 5, 6]], [[6], [5], [4], [3], [2], [1], [0]], [[2, 1, 2], [6, 0, 5, 2], [4, 3, 6]]]
)
async def test_any_order_duplication_and_batching_of_outcomes_gives_the_same_contact(
    ledger: Ledger, batches: list[list[int]]
) -> None:
    """Folded as the pipeline does, over what the ledger gave back."""
    reports = [
        ("bounced", None),
        ("converted", 0.1),
        ("converted", 0.2),
        ("converted", None),
        ("opened", 0),
        ("opened", 1),
        ("failed", None),
    ]
    await ledger.commit(batch(decision()), owners=OWNED)
    for numbers in batches:
        await _report(
            ledger, [outcome(reports[n][0], id=f"o{n}", trigger_id=TRIGGER, value=reports[n][1]) for n in numbers]
        )
    at = {"bounced": AS_OF, "converted": AS_OF, "failed": AS_OF, "opened": AS_OF}
    assert await contact(ledger) == Contact("email", ContactState("converted", Decimal("0.3"), 3, at))


async def _report(ledger: Ledger, contents: list[dict[str, Any]]) -> None:
    reported = events(*contents)
    state = await ledger.read([], outcome_keys(reported), triggers=trigger_keys(reported))
    folded = fold_outcomes(reported, state, {"email", "sms", "push"})
    changes = BatchChanges(outcome_ids=folded.outcome_ids, contact_states=folded.contact_states)
    await ledger.commit(changes, owners=OWNED)


async def test_a_contact_that_bounced_keeps_its_cooldown(ledger: Ledger) -> None:
    """A control exposure cannot bounce."""
    bounced = {("ann", TRIGGER): ContactState("bounced", first_at={"bounced": AS_OF})}
    await ledger.commit(batch(decision(), contact_states=bounced), owners=OWNED)
    assert (await ledger.read(["ann"], [])).contact_histories["ann"].last_contacts == {"win-back": AS_OF}


LATER = AS_OF + timedelta(days=1)
CHANGES = [
    opt_out(),
    opt_out("outcome-2", "*", changed_at=LATER),
    opt_out("outcome-3", granted=True, changed_at=LATER, source="resubscribed"),
    opt_out("outcome-4", changed_at=AS_OF - timedelta(days=1), trigger_id=TRIGGER),
]


@pytest.mark.parametrize("batches", [[[0, 1, 2, 3]], [[3], [2], [1], [0]], [[1, 2], [2, 1], [0, 3, 1]]])
async def test_any_order_and_batching_of_changes_gives_the_same_consent(
    ledger: Ledger, batches: list[list[int]]
) -> None:
    """A change is recorded once."""
    for each in batches:
        await ledger.commit(BatchChanges(consent_changes=[CHANGES[number] for number in each]), owners=OWNED)
    assert await consent(ledger) == {"email": ConsentTimes(LATER, AS_OF), "*": ConsentTimes(None, LATER)}
    assert await consent(ledger, "bob") == {}


FEEDBACK = [
    Feedback("ann", "f-1", "do_not_contact", AS_OF, "sam", "asked by phone", LATER),
    Feedback("ann", "f-2", "always_vip", LATER, "sam", 'the founder\'s "aunt"'),
    Feedback("ann", "f-3", "wrong_score", LATER, "kim", "signed, for two years", None, "churn", 0.05),
    Feedback("ann", "f-4", "withdrawn", LATER, "kim", "called back", withdraws="f-1"),
]


@pytest.mark.parametrize("batches", [[[0, 1, 2, 3]], [[3], [2], [1], [0]], [[1, 2], [2, 1], [0, 3, 1]]])
async def test_any_order_and_batching_of_feedback_gives_the_same_state(
    ledger: Ledger, batches: list[list[int]]
) -> None:
    """Of one event id the first counts; what changes no decision is kept, and not read with it."""
    for each in batches:
        await ledger.commit(BatchChanges(feedback=[FEEDBACK[number] for number in each]), owners=OWNED)
    await ledger.commit(BatchChanges(feedback=[replace(FEEDBACK[0], until=None)]), owners=OWNED)
    histories = (await ledger.read(["ann", "bob"], [])).contact_histories
    assert list(histories) == ["ann"]
    assert histories["ann"].feedback == (
        Standing("f-1", "do_not_contact", LATER),
        Standing("f-2", "always_vip"),
        Standing("f-4", "withdrawn", withdraws="f-1"),
    )
    assert isinstance(ledger, InMemoryLedger | PostgresLedger)
    assert list(await ledger.feedback_of("ann")) == FEEDBACK
    assert list(await ledger.feedback_of("bob")) == []


async def test_the_history_of_consent_is_kept_with_its_sources(ledger_url: str) -> None:
    """PostgreSQL alone: the pipeline does not read it."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await postgres.claim(3)
    await postgres.commit(BatchChanges(consent_changes=CHANGES), owners=OWNED)
    found = await postgres.consent_history("ann")
    assert sorted(found, key=lambda each: each.event_id) == CHANGES
    assert [each.event_id for each in found][:2] == ["outcome-4", "outcome-1"]
    await postgres.close()


async def test_a_channel_that_only_the_definitions_know_is_recorded_and_revoked(ledger: Ledger) -> None:
    """Nothing but a data file names it."""
    whatsapp = Channel.model_validate({"key": "whatsapp", "message_format": "text"})
    words = campaign().model_dump() | {"channels": ["whatsapp"]}
    chatting = Campaign.model_validate(words, context={"channels": {"whatsapp": whatsapp}})
    made = decide(candidate(campaign=chatting), facts(whatsapp_consent=True), ContactHistory(), offers(), scores(3))
    assert (made.channel, trigger_body(made)["message_format"]) == ("whatsapp", "text")
    await ledger.commit(batch(made), owners=OWNED)
    await ledger.commit(BatchChanges(consent_changes=[opt_out(channel="whatsapp")]), owners=OWNED)
    history = (await ledger.read(["ann"], [])).contact_histories["ann"]
    again = decide(candidate(campaign=chatting), facts(whatsapp_consent=True), history, offers(), scores(3))
    assert again.reason is Reason.NO_CONSENTED_CHANNEL


async def test_the_latest_contact_of_each_campaign_counts_for_cooldowns(ledger: Ledger) -> None:
    later = AS_OF + timedelta(days=3)
    other = campaign(key="other")
    made = [decision(occasion="2", as_of=later), decision(), decision(campaign=other)]
    await ledger.commit(batch(*made), owners=OWNED)
    last = (await ledger.read(["ann"], [])).contact_histories["ann"].last_contacts
    assert last == {"win-back": later, "other": AS_OF}


async def test_contacts_that_no_cooldown_counts_from_are_not_read(ledger: Ledger) -> None:
    """Otherwise reads of a customer with daily contacts would become slower and slower."""
    await ledger.commit(batch(decision(), decision(campaign=campaign(key="untiring"))), owners=OWNED)
    assert (await ledger.read(["ann"], [])).contact_histories["ann"].last_contacts == {"win-back": AS_OF}


async def test_the_contacts_after_a_time_are_listed_for_limits_in_both_arms(ledger: Ledger) -> None:
    """With their offers, whether their campaign has a cooldown or not; without a time none is."""
    later = AS_OF + timedelta(days=3)
    untiring = campaign(key="untiring", holdout_percent=0)
    await ledger.commit(
        batch(decision(), control(occasion="2"), decision(campaign=untiring, as_of=later)), owners=OWNED
    )
    listed = (await ledger.read(["ann"], [], contacts_after=AS_OF)).contact_histories["ann"].contacts
    assert listed == (PastContact("untiring", "email", later, offer=3),)
    earlier = AS_OF - timedelta(microseconds=1)
    everything = (await ledger.read(["ann", "bob"], [], contacts_after=earlier)).contact_histories
    assert sorted(each.campaign for each in everything["ann"].contacts) == ["untiring", "win-back", "win-back"]
    assert list(everything) == ["ann"]
    assert (await ledger.read(["ann"], [])).contact_histories["ann"].contacts == ()


async def test_a_control_exposure_is_a_contact_for_every_cooldown(ledger: Ledger) -> None:
    """The contact history of both arms is the same."""
    await ledger.commit(batch(control()), owners=OWNED)
    assert await contact(ledger) == Contact("email", ContactState())
    assert (await ledger.read(["ann"], [])).contact_histories["ann"].last_contacts == {"win-back": AS_OF}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("later", ["fired", "control"])
async def test_the_first_outcome_of_a_decision_stands_everywhere(ledger: Ledger, later: str, *, together: bool) -> None:
    """Withheld first: no contact, no trigger and no second record of the decision, whatever is decided later."""
    withheld = decision(withheld=Reason.NOT_A_MEMBER)
    second = decision() if later == "fired" else control()
    other = decision(occasion="2")
    await ledger.commit(batch(withheld), owners=OWNED)
    committed = await ledger.commit(batch(second, *([other] if together else [])), owners=OWNED)
    stored = [each.message.message_id for each in committed.outbox]
    assert stored == ([other.candidate.trigger_id, f"{other.candidate.trigger_id}/decision"] if together else [])
    assert await contact(ledger) is None
    first, *_ = await ledger.unsent(3)
    assert msgspec.json.decode(first.message.value or b"")["outcome"] == "withheld"


async def test_a_later_outcome_of_a_fired_decision_changes_nothing(ledger: Ledger) -> None:
    await ledger.commit(batch(decision()), owners=OWNED)
    unsent = await ledger.unsent(3)
    committed = await ledger.commit(batch(decision(withheld=Reason.NOT_A_MEMBER)), owners=OWNED)
    assert (list(committed.outbox), await ledger.unsent(3)) == ([], unsent)
    assert await contact(ledger) == Contact("email", ContactState())


async def test_messages_of_no_decision_are_stored_next_to_a_decision_that_is_not(ledger: Ledger) -> None:
    """As a dead letter in the batch of a decision that the ledger has already."""
    await ledger.commit(batch(decision()), owners=OWNED)
    letter = structs.replace(decision_message(decision()), message_id=str(UUID(int=1)), customer_id="")
    again = batch(decision())
    committed = await ledger.commit(replace(again, messages=[*again.messages, letter]), owners=OWNED)
    assert [each.message for each in committed.outbox] == [letter]


async def test_a_withheld_decision_makes_no_contact(ledger: Ledger) -> None:
    withheld = decision(campaign=campaign(message="Dear {{ surname }}"))
    committed = await ledger.commit(batch(withheld), owners=OWNED)
    assert await contact(ledger) is None
    assert [each.message.destination for each in committed.outbox] == ["decisions"]


async def letters(ledger: Ledger) -> dict[str, str]:
    """The reason of each dead letter that the ledger keeps, by id: only operators read them."""
    if isinstance(ledger, InMemoryLedger):
        return {name: dict(each.headers)["holdfast_reason"].decode() for name, each in ledger.letters.items()}  # type: ignore[union-attr]
    assert isinstance(ledger, PostgresLedger)
    async with ledger._pool.connection() as connection:
        return dict(await (await connection.execute("SELECT letter_id, reason FROM dead_letter")).fetchall())


LETTER = dead_letter(Reject(Arrived(partition=3), "decode", RejectReason.NOT_JSON, "a \0 in the detail"))


async def test_a_dead_letter_is_kept_and_published(ledger: Ledger) -> None:
    committed = await ledger.commit(BatchChanges(messages=[LETTER]), owners=OWNED)
    assert [each.message for each in committed.outbox] == [LETTER]
    assert await letters(ledger) == {LETTER.message_id: "not_json"}


async def test_a_refused_message_is_replaced_by_its_dead_letter_under_its_sequence(ledger: Ledger) -> None:
    """In the order it had, and in no other way however often that is stored."""
    before = list((await ledger.commit(batch(decision()), owners=OWNED)).outbox)
    letter = set_aside(before[0], Refusal("campaign-triggers", "too large"))
    for _ in range(2):
        await ledger.mark_failed([letter])
    assert list(await ledger.unsent(3)) == [letter, *before[1:]]
    assert await letters(ledger) == {letter.message.message_id: "unpublishable"}
    await ledger.mark_sent([letter])
    assert list(await ledger.unsent(3)) == before[1:]


async def test_a_dead_letter_that_its_topic_refused_is_kept_whole(ledger: Ledger) -> None:
    """Only what is published is cut."""
    large = structs.replace(LETTER, value=b"x" * 9_000)
    (stored,) = (await ledger.commit(BatchChanges(messages=[large]), owners=OWNED)).outbox
    cut = set_aside(stored, Refusal("dead-letters", "too large"))
    await ledger.mark_failed([cut])
    assert list(await ledger.unsent(3)) == [cut]
    assert await letters(ledger) == {LETTER.message_id: "not_json"}


async def test_a_dead_letter_outlives_its_row_in_the_outbox(ledger_url: str) -> None:
    """And a redelivery of its record does not publish it once more."""
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    await ledger.commit(BatchChanges(messages=[LETTER]), owners={})
    async with ledger._pool.connection() as connection:
        await connection.execute("DELETE FROM outbox")
    committed = await ledger.commit(BatchChanges(messages=[LETTER]), owners={})
    assert list(committed.outbox) == []
    assert await letters(ledger) == {LETTER.message_id: "not_json"}
    await ledger.close()


async def test_decisions_made_again_from_their_rows_are_the_same(ledger_url: str) -> None:
    """PostgreSQL alone: of a history with contacts, limits, consent, feedback and campaigns that compete."""
    kinds = ("enters", "launched", "unsubscribed", "leaves", "enters", "resubscribed", "blocked", "leaves", "enters")
    acts = [[Act(name, kind, number) for name in ("ann", "bob")] for number, kind in enumerate((*kinds, *kinds))]
    history = [[Act("ann", "enters"), Act("bob", "warehouse consents")], *acts]
    played = await play(history, holdout_percent=50)
    decisions = [each for customer in played.customers.values() for each in customer.decisions.values()]
    assert len({each.reason for each in decisions}) > 5
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    await ledger.commit(BatchChanges(decisions=decisions, messages=outgoing(decisions)), owners={})
    defined = {each.key: each for each in campaigns(50)}
    for name, customer in played.customers.items():
        records = await ledger.decisions_of(name)
        assert len(records) == len(customer.decisions)
        assert {each.message is None for each in records} == {True, False}
        for each in records:
            assert recompute(name, each, defined, OFFERS, {}).differences == ()
    await ledger.close()


async def test_what_is_asked_of_the_ledger_comes_as_records(ledger_url: str) -> None:
    """A trigger that could not be published is reported with its decision."""
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    await ledger.activate([SEGMENT], COOLING, at=AS_OF)
    rows = (await ledger.commit(batch(decision()), owners={})).outbox
    await ledger.mark_failed([set_aside(rows[0], Refusal("campaign-triggers", "too large"))])
    (recorded,) = await ledger.decisions_of("ann")
    (held,) = await ledger.memberships_of("ann")
    assert (recorded.campaign, recorded.outcome, recorded.failure) == ("win-back", "fired", "too large")
    assert (held.segment, held.episode, held.is_member) == ("at-risk", 1, True)
    assert await ledger.segment_sizes() == {"at-risk": 1}
    await ledger.close()


async def test_a_ledger_out_of_reach_says_so() -> None:
    away = InMemoryLedger()
    away.away = True
    postgres = PostgresLedger("postgresql://127.0.0.1:1/nowhere", connect_timeout=0.2)
    with pytest.raises(LedgerUnavailableError):
        await away.read(["ann"], [])
    with pytest.raises(LedgerUnavailableError):
        await postgres.open()
    await postgres.close()


async def test_a_session_that_turns_out_to_be_read_only_is_not_used_again(ledger_url: str) -> None:
    """PostgreSQL only: a connection to a former primary stays read-only until it is closed."""
    with psycopg.connect(ledger_url, autocommit=True) as operator:
        operator.execute(_set_read_only(ledger_url, "on"))
        postgres = PostgresLedger(ledger_url)
        await postgres.open()
        with pytest.raises(LedgerUnavailableError, match="read-only"):
            await postgres.claim(3)
        operator.execute(_set_read_only(ledger_url, "off"))
        assert await postgres.claim(3) == 1
    await postgres.close()


def _set_read_only(url: str, value: str) -> sql.Composed:
    name = sql.Identifier(url.rpartition("/")[2])
    return sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(name, sql.SQL(value))


async def test_a_claim_waits_for_a_commit_in_flight(ledger_url: str) -> None:
    """PostgreSQL only: the in-memory fake has no commits in flight."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await postgres.claim(3)
    async with await psycopg.AsyncConnection.connect(ledger_url) as commit:
        await commit.execute(QUERIES["hold_partitions"], {"partitions": [3], "epochs": [1]})
        claim = asyncio.create_task(postgres.claim(3))
        await _wait_until_blocked(ledger_url)
        assert not claim.done()
        await commit.commit()
        assert await claim == 2
    await postgres.close()


async def test_a_commit_that_waits_for_a_claim_is_fenced_by_it(ledger_url: str) -> None:
    """PostgreSQL only, likewise: it sees the epoch of the claim, not the one from before it waited."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await _prepared(postgres)
    async with await psycopg.AsyncConnection.connect(ledger_url) as other:
        await other.execute("UPDATE partition_owner SET epoch = epoch + 1 WHERE partition = 3")
        commit = asyncio.create_task(postgres.commit(batch(), owners=OWNED))
        await _wait_until_blocked(ledger_url)
        await other.commit()
        with pytest.raises(LedgerFencedError):
            await commit
    assert (await postgres.read(["ann"], [])).memberships == {}
    await postgres.close()


async def test_two_workers_that_meet_a_new_roster_at_once_both_commit(ledger_url: str) -> None:
    """The second waits for the first and then finds its entry."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await _prepared(postgres)
    async with await psycopg.AsyncConnection.connect(ledger_url) as first:
        evaluated_versions = psycopg.types.json.Jsonb({"at-risk": SEGMENT.version})
        await first.execute(QUERIES["find_roster"], {"versions": evaluated_versions})
        second = asyncio.create_task(postgres.commit(batch(), owners=OWNED))
        await _wait_until_blocked(ledger_url)
        await first.commit()
        await second
    assert (await postgres.read(["ann"], [])).memberships["ann"].evaluated_versions == {"at-risk": SEGMENT.version}
    await postgres.close()


async def test_a_violation_of_an_index_that_is_not_ours_is_no_conflict(ledger_url: str) -> None:
    """Retrying it as a conflict would never end: the error says which index and which row."""
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await _prepared(postgres)
    async with await psycopg.AsyncConnection.connect(ledger_url, autocommit=True) as operator:
        await operator.execute("CREATE UNIQUE INDEX one_customer_a_segment ON membership (segment)")
    await postgres.commit(batch(message_ids=[("ann", "m-1")]), owners=OWNED)
    other = batch(
        transitions=[transition("bob")],
        transitions_at={"bob": AS_OF},
        evaluated=["bob"],
        message_ids=[("bob", "m-1")],
    )
    for write in (partial(postgres.commit, owners=OWNED), postgres.dry_run):
        with pytest.raises(psycopg.errors.UniqueViolation, match="one_customer_a_segment"):
            await write(other)
    assert set((await postgres.read(["bob"], [("bob", "m-1")])).seen_messages) == set()
    await postgres.close()


async def _wait_until_blocked(url: str) -> None:
    """Return as soon as a session of the database waits for a lock."""
    blocked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watcher, asyncio.timeout(30):
        while not await (await watcher.execute(blocked)).fetchone():  # noqa: ASYNC110 - another process ends the wait
            await asyncio.sleep(0.01)


WATCHED = campaign(breaker={"contacts": 2, "hours": 24})
NOW = hour_of(AS_OF)
STOP = CampaignStop("win-back", "too many")


async def watch(ledger: Ledger) -> None:
    await ledger.activate([SEGMENT], [WATCHED, campaign(key="other")], at=AS_OF)


async def hours(ledger: Ledger, *ranges: tuple[int, int]) -> Any:
    return (await ledger.read([], [], hours=ranges or [(NOW - 23, NOW + 23)])).contact_hours


async def test_contacts_of_campaigns_with_a_breaker_are_counted_by_hour_in_both_arms(ledger: Ledger) -> None:
    """Once, however often a decision is committed; withheld ones and other campaigns' do not count."""
    await watch(ledger)
    held = decision(campaign=campaign(holdout_percent=50))
    made = [
        decision(customer_id="bob"),
        decision(customer_id="cid", as_of=AS_OF + timedelta(hours=1)),
        decision(customer_id="dot", campaign=campaign(key="other")),
        decision(customer_id="eve", withheld=Reason.NOT_A_MEMBER),
    ]
    assert held.outcome == "control"
    for _ in range(2):
        await ledger.commit(BatchChanges(decisions=[held, *made]), owners=OWNED)
    assert await hours(ledger) == {"win-back": {NOW: 2, NOW + 1: 1}}
    await ledger.commit(BatchChanges(decisions=[decision(customer_id="fay")]), owners=OWNED)
    assert await hours(ledger) == {"win-back": {NOW: 3, NOW + 1: 1}}


async def test_only_the_hours_asked_for_are_read(ledger: Ledger) -> None:
    """Several ranges, where a batch has events that lie apart."""
    await watch(ledger)
    old = decision(as_of=AS_OF - timedelta(hours=30))
    await ledger.commit(BatchChanges(decisions=[old, decision(customer_id="bob")]), owners=OWNED)
    assert await hours(ledger) == {"win-back": {NOW: 1}}
    assert await hours(ledger, (NOW - 30, NOW - 29), (NOW, NOW)) == {"win-back": {NOW - 30: 1, NOW: 1}}
    assert (await ledger.read([], [])).contact_hours == {}


async def test_a_dry_run_counts_and_stops_nothing(ledger: Ledger) -> None:
    await watch(ledger)
    await ledger.dry_run(BatchChanges(decisions=[decision()], stops=[STOP]))
    assert await hours(ledger) == {}
    assert (await ledger.read([], [])).stops == {}


async def test_a_campaign_is_stopped_once_and_stays_so_until_it_is_resumed(ledger: Ledger) -> None:
    """Of two workers that stop it, the first one does. A resumed campaign counts from 0."""
    assert isinstance(ledger, InMemoryLedger | PostgresLedger)
    await watch(ledger)
    await ledger.commit(BatchChanges(decisions=[decision()], stops=[STOP]), owners=OWNED)
    await ledger.commit(BatchChanges(stops=[CampaignStop("win-back", "later")]), owners=OWNED)
    assert (await ledger.read([], [])).stops == {"win-back": "too many"}
    assert not await ledger.stop_campaign(CampaignStop("win-back", "by hand", "ann"))
    assert await ledger.resume_campaign("win-back", actor="ann", reason="checked")
    assert not await ledger.resume_campaign("win-back", actor="ann", reason="checked")
    state = await ledger.read([], [], hours=[(NOW, NOW)])
    assert (state.stops, sum(state.contact_hours.get("win-back", {}).values())) == ({}, 0)
    assert await ledger.stop_campaign(CampaignStop("win-back", "by hand", "ann"))
    assert (await ledger.read([], [])).stops == {"win-back": "by hand"}


async def test_the_history_of_stops_is_kept(ledger_url: str) -> None:
    """Who, when and why, of both."""
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    await ledger.stop_campaign(CampaignStop("win-back", "wrong prices", "ann"))
    assert [(each.campaign, each.reason, each.actor) for each in await ledger.stops()] == [
        ("win-back", "wrong prices", "ann")
    ]
    await ledger.resume_campaign("win-back", actor="bob", reason="prices are right")
    async with ledger._pool.connection() as connection:
        rows = await connection.execute(
            "SELECT stopped_by, reason, stopped_at <= resumed_at, resumed_by, resume_reason FROM campaign_stop"
        )
        assert await rows.fetchall() == [("ann", "wrong prices", True, "bob", "prices are right")]
    await ledger.close()


LEAD = LeadState(
    "l1", "ann", AS_OF, {"urgency_score": 0.9, "response_rate": None}, 86.5, "hot", "points", "heuristic-1", None, 1
)
UPDATE = LeadRecord("l1", "e1", "ann", "lead.updated", AS_OF, {"score": 86.5})


async def test_a_lead_is_read_as_it_was_stored_and_never_goes_back(ledger: Ledger) -> None:
    """An event that was folded is known under the lead, and conflicts when it is stored again."""
    folded = [("l1", "lead\x1fe1")]
    later = replace(LEAD, updated_at=AS_OF + timedelta(days=1), score=40.0, tier="cold", outcome="lead.lost")
    changes = BatchChanges(leads=[LEAD, LeadState("l2", "l2")], lead_records=[UPDATE], outcome_ids=folded)
    await ledger.commit(changes, owners=OWNED)
    with pytest.raises(LedgerConflictError):
        await ledger.commit(changes, owners=OWNED)
    await ledger.commit(BatchChanges(leads=[later]), owners=OWNED)
    await ledger.commit(BatchChanges(leads=[LEAD]), owners=OWNED)
    state = await ledger.read([], folded, leads=["l1", "l2", "nobody"])
    assert state.leads == {"l1": later, "l2": LeadState("l2", "l2")}
    assert set(state.seen_messages) == set(folded)
