"""The contract of a ledger, run on the in-memory fake and on PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from msgspec import structs
from psycopg import sql

from campaigns.errors import LedgerConflictError, LedgerFencedError, LedgerUnavailableError
from campaigns.migrations import migrate
from campaigns.ports import BatchChanges, OutcomeReport
from campaigns.postgres_ledger import PostgresLedger
from campaigns.queries import QUERIES
from campaigns.triggers import decision_message, trigger_message
from features.daily_counts import DayCounts
from features.signals import Signals
from features.table import FeatureTable
from segments.engine import EARLIER_KEPT, Episode, MembershipState, classify
from tests.builders import AS_OF, campaign, candidate, control, decision, segment, transition
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    migrate(url)
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


def report(outcome: str, value: float | None = None, **changes: Any) -> OutcomeReport:
    return replace(OutcomeReport("outcome-1", "ann", TRIGGER, outcome, value, AS_OF), **changes)


async def contact(ledger: Ledger) -> tuple[Any, ...] | None:
    """Status and value of ann's contact; only an outcome report reads them in production."""
    if isinstance(ledger, InMemoryLedger):
        found = ledger.customers["ann"].contacts.get(uuid.UUID(TRIGGER))
        return (found.status, found.value) if found else None
    assert isinstance(ledger, PostgresLedger)
    async with ledger._connection() as connection:
        cursor = await connection.execute("SELECT status, value FROM contact WHERE customer_id = 'ann'")
        return await cursor.fetchone()


async def test_a_customer_the_ledger_never_saw_is_in_none_of_the_mappings(ledger: Ledger) -> None:
    state = await ledger.read(["nobody"], [("nobody", "message-1")])
    assert (state.memberships, state.signals, state.contact_histories, set(state.seen_messages)) == ({}, {}, {}, set())


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
    migrate(ledger_url)
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
    first = await ledger.commit(BatchChanges(messages=[replace(message, message_id=n) for n in names]), owners=OWNED)
    second = await ledger.commit(BatchChanges(messages=[replace(message, message_id="0")]), owners=OWNED)
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
    odd = replace(decision_message(decision()), customer_id="", key=None, value=None, headers=headers)
    await ledger.commit(BatchChanges(messages=[odd]), owners=OWNED)
    assert [each.message for each in await ledger.unsent(3)] == [odd]


async def test_unsent_messages_are_those_of_the_partition(ledger: Ledger) -> None:
    elsewhere = replace(decision_message(decision()), partition=4)
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


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([], "reserved"),
        (["delivered"], "delivered"),
        (["delivered", "clicked", "opened"], "clicked"),
        (["converted", "delivered"], "converted"),
        (["bounced"], "refunded"),
        (["delivered", "bounced"], "delivered"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_outcomes_move_a_contact_forward_only(
    ledger: Ledger, outcomes: list[str], status: str, *, together: bool
) -> None:
    """Whether they are in one batch or in several."""
    await ledger.commit(batch(decision()), owners=OWNED)
    reports = [report(outcome) for outcome in outcomes]
    for each in [reports] if together else [[one] for one in reports]:
        await ledger.commit(BatchChanges(outcomes=each), owners=OWNED)
    assert await contact(ledger) == (status, None)


async def test_a_contact_that_bounced_counts_for_no_cooldown(ledger: Ledger) -> None:
    await ledger.commit(batch(decision(), outcomes=[report("bounced")]), owners=OWNED)
    assert (await ledger.read(["ann"], [])).contact_histories == {}


async def test_the_value_of_a_conversion_is_kept(ledger: Ledger) -> None:
    await ledger.commit(batch(decision()), owners=OWNED)
    await ledger.commit(BatchChanges(outcomes=[report("converted", 49.5)]), owners=OWNED)
    await ledger.commit(BatchChanges(outcomes=[report("delivered")]), owners=OWNED)
    assert await contact(ledger) == ("converted", 49.5)


async def test_an_outcome_in_the_batch_of_its_contact_counts(ledger: Ledger) -> None:
    await ledger.commit(batch(decision(), outcomes=[report("delivered")]), owners=OWNED)
    assert await contact(ledger) == ("delivered", None)


async def test_outcomes_of_a_contact_that_never_was_change_nothing(ledger: Ledger) -> None:
    await ledger.commit(batch(decision()), owners=OWNED)
    strange = [report(each, customer_id="bob") for each in ("delivered", "unsubscribed")]
    await ledger.commit(BatchChanges(outcomes=strange), owners=OWNED)
    assert await contact(ledger) == ("reserved", None)
    assert (await ledger.read(["bob"], [])).contact_histories == {}


@pytest.mark.parametrize("outcome", ["unsubscribed", "complained"])
async def test_an_unsubscription_revokes_the_channel_of_the_contact(ledger: Ledger, outcome: str) -> None:
    """Repeated reports, in one batch and in the next, have the same result."""
    await ledger.commit(batch(decision()), owners=OWNED)
    for _ in range(2):
        await ledger.commit(BatchChanges(outcomes=[report(outcome), report(outcome)]), owners=OWNED)
    standing = (await ledger.read(["ann"], [])).contact_histories["ann"]
    assert set(standing.revoked_channels) == {"email"}
    assert await contact(ledger) == ("reserved", None)


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


async def test_a_control_exposure_is_recorded_and_starts_no_cooldown(ledger: Ledger) -> None:
    await ledger.commit(batch(control()), owners=OWNED)
    assert await contact(ledger) == ("reserved", None)
    assert (await ledger.read(["ann"], [])).contact_histories == {}


async def test_a_withheld_decision_makes_no_contact(ledger: Ledger) -> None:
    withheld = decision(campaign=campaign(message="Dear {{ surname }}"))
    committed = await ledger.commit(batch(withheld), owners=OWNED)
    assert await contact(ledger) is None
    assert [each.message.destination for each in committed.outbox] == ["decisions"]


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
    migrate(ledger_url)
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
    migrate(ledger_url)
    postgres = PostgresLedger(ledger_url)
    await postgres.open()
    await postgres.claim(3)
    async with await psycopg.AsyncConnection.connect(ledger_url) as commit:
        await commit.execute(QUERIES["hold_partitions"], {"partitions": [3]})
        claim = asyncio.create_task(postgres.claim(3))
        await _wait_until_blocked(ledger_url)
        assert not claim.done()
        await commit.commit()
        assert await claim == 2
    await postgres.close()


async def test_two_workers_that_meet_a_new_roster_at_once_both_commit(ledger_url: str) -> None:
    """The second waits for the first and then finds its entry."""
    migrate(ledger_url)
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
    migrate(ledger_url)
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
