"""A worker that keeps customers in memory decides on what one that always reads them would read."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from campaigns.consent import ConsentChange
from campaigns.contact_state import ContactState
from campaigns.feedback import Feedback
from campaigns.guardrails import Reason
from campaigns.kept_customers import LATENESS
from campaigns.ports import BatchChanges, LedgerState
from campaigns.postgres_erasure import PostgresErasure
from campaigns.postgres_ledger import PostgresLedger
from features.signals import Signals
from tests.builders import AS_OF, campaign, control, decision, segment, transition
from tests.examples import examples
from tests.journey.workplace import lend_ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from console.embedded.services import Endpoints

SEGMENT = segment()
COOLING = campaign(cooldown_days=30)
OTHER = campaign(key="other", cooldown_days=30)
OLD = {"at-risk": f"{SEGMENT.version} churn@20110601T1-new"}
NOW = {"at-risk": SEGMENT.version}
UNOWNED: dict[int, int] = {}
"""No partitions: a claim would make a worker forget all customers."""
CUSTOMERS = ("ann", "bob", "cy")
KINDS = (
    *("entered", "exited", "evaluated", "evaluated before", "evaluated, not due", "due", "not due", "talked"),
    *(
        "contacted",
        "held out",
        "withheld",
        "answered",
        "revoked",
        "consented",
        "blocked",
        "unblocked",
        "nothing",
        "erased",
    ),
)
AN_HOUR_LATER = "UPDATE evaluated SET since = since - interval '1 hour' WHERE since > now() - interval '1 minute'"


@dataclass(frozen=True)
class Step:
    """Something that a batch of one of two workers, or an operator, does about customers."""

    kind: str
    customers: Sequence[str]
    worker: Literal[0, 1]
    number: int


@dataclass(frozen=True)
class Asked:
    """What is read: under which versions, and contacts after how many days."""

    versions: Mapping[str, str]
    days: int | None
    customers: Sequence[str]


SOME = st.lists(st.sampled_from(CUSTOMERS), min_size=1, unique=True)
CHANGES = st.builds(Step, st.sampled_from(KINDS), SOME, st.sampled_from((0, 1)), st.integers(0, 3))
READS = st.builds(
    Asked,
    st.sampled_from((NOW, NOW, NOW, OLD)),
    st.none() | st.integers(-2, 3),
    SOME,
)
STEPS = st.lists(CHANGES | READS, min_size=2, max_size=25)


def changes_of(step: Step, names: Sequence[str]) -> BatchChanges:
    """What a batch with this step changes of the customers of these names."""
    number, at = step.number, AS_OF + timedelta(days=step.number)
    about = [{"customer_id": each, "occasion": f"{number}", "as_of": at} for each in names]
    moved = {"transitions_at": dict.fromkeys(names, at)}
    triggers = [(each, decision(**one).candidate.trigger_id) for each, one in zip(names, about, strict=True)]
    consent = [ConsentChange(each, f"o-{number}", "email", granted=True, changed_at=at, source="s") for each in names]
    feedback = [Feedback(each, f"f-{number}", "do_not_contact", at, "sam", "asked", at) for each in names]
    talked = Signals(number, number, 0.5, 0, ("price",), at, f"m-{number}")
    changes: dict[str, Any] = {
        "entered": {"transitions": [transition(each, episode=number + 1) for each in names], **moved},
        "exited": {"transitions": [transition(each, entered=False, episode=number + 1) for each in names], **moved},
        "evaluated": {"evaluated": names, "versions": NOW, "due_times": dict.fromkeys(names, number)},
        "evaluated before": {"evaluated": names, "versions": OLD},
        "evaluated, not due": {"evaluated": names, "versions": NOW, "due_times": dict.fromkeys(names)},
        "due": {"due_times": dict.fromkeys(names, 1 + number)},
        "not due": {"due_times": dict.fromkeys(names)},
        "talked": {"signals": dict.fromkeys(names, talked)},
        "contacted": {"decisions": [decision(**each) for each in about]},
        "held out": {"decisions": [control(**each) for each in about]},
        "withheld": {"decisions": [decision(withheld=Reason.NOT_A_MEMBER, **each) for each in about]},
        "answered": {"contact_states": dict.fromkeys(triggers, ContactState("delivered"))},
        "revoked": {"consent_changes": [replace(each, granted=False, event_id=f"r-{number}") for each in consent]},
        "consented": {"consent_changes": consent},
        "blocked": {"feedback": feedback},
        "unblocked": {
            "feedback": [replace(each, event_id=f"u-{number}", kind="withdrawn", withdraws="f-1") for each in feedback]
        },
    }
    return BatchChanges(**changes.get(step.kind, {}))


@dataclass(frozen=True, slots=True)
class Workers:
    """Two that keep as many customers as a limit says, one that keeps none, and an operator."""

    keeping: Sequence[PostgresLedger]
    reading: PostgresLedger
    operator: psycopg.AsyncConnection[Any]

    async def commit(self, changes: BatchChanges, worker: int = 0) -> None:
        """Commit changes, and let a minute pass."""
        await self.keeping[worker].commit(changes, owners=UNOWNED)
        await self.operator.execute(AN_HOUR_LATER)

    async def read(self, asked: Asked, names: Mapping[str, str]) -> tuple[Sequence[LedgerState], LedgerState]:
        """Read twice by those that keep, so that the second time they can use what they kept, and once by the other."""
        after = None if asked.days is None else AS_OF + timedelta(days=asked.days)
        customers, about = [names[each] for each in asked.customers], {"contacts_after": after}
        kept = [
            await each.read(customers, [], versions=asked.versions, **about) for each in self.keeping for _ in range(2)
        ]
        return kept, await self.reading.read(customers, [], versions=asked.versions, **about)


async def open_workers(url: str, stack: AsyncExitStack, limit: int = 2) -> Workers:
    """Open workers whose definitions are in force."""
    ledgers = [PostgresLedger(url, kept_customers=each) for each in (limit, limit, 0)]
    for each in ledgers:
        await each.open()
        stack.push_async_callback(each.close)
        await each.activate([SEGMENT], [COOLING], at=AS_OF)
    operator = await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
    return Workers(ledgers[:2], ledgers[2], operator)


@pytest.fixture
async def workers(ledger_url: str) -> AsyncIterator[Workers]:
    """Workers on an empty ledger, who keep at most two customers."""
    async with AsyncExitStack() as stack:
        yield await open_workers(ledger_url, stack)


def in_order(state: LedgerState) -> LedgerState:
    """The contacts of a history are in any order."""
    histories = {
        customer: structs.replace(history, contacts=tuple(sorted(history.contacts, key=structs.astuple)))
        for customer, history in state.contact_histories.items()
    }
    return replace(state, contact_histories=histories)


async def find_differences(url: str, histories: Sequence[Sequence[Step | Asked]]) -> list[Any]:
    """Return the reads of some histories in which what was kept differs from what the ledger holds."""
    found = []
    async with AsyncExitStack() as stack:
        workers = await open_workers(url, stack)
        with psycopg.connect(url, autocommit=True) as operator:
            for steps in histories:
                names = {each: f"{each}-{secrets.token_hex(4)}" for each in CUSTOMERS}
                await workers.commit(BatchChanges(evaluated=list(names.values()), versions=NOW))
                await workers.read(Asked(NOW, -2, CUSTOMERS), names)
                for step in steps:
                    if isinstance(step, Asked):
                        kept, read = await workers.read(step, names)
                        found += [(each, read) for each in kept if in_order(each) != in_order(read)]
                        continue
                    concerned = [names[each] for each in step.customers]
                    if step.kind == "erased":
                        PostgresErasure(operator).erase(concerned, by="sam", why="asked")
                    else:
                        await workers.commit(changes_of(step, concerned), step.worker)
    return found


@pytest.fixture(scope="module")
def shared_ledger_url(endpoints: Endpoints) -> Iterator[str]:
    """A ledger for all examples, each of which has customers of its own."""
    with lend_ledger(endpoints.ledger_url) as url:
        yield url


@examples(20)
@given(histories=st.lists(STEPS, min_size=5, max_size=5))
def test_whatever_happens_what_is_kept_is_what_would_be_read(
    shared_ledger_url: str, histories: Sequence[Sequence[Step | Asked]]
) -> None:
    """Two owners, batches of several customers, evictions, other versions, late events, both arms, erasures."""
    assert asyncio.run(find_differences(shared_ledger_url, histories)) == []


EVALUATED = BatchChanges(evaluated=["ann"], versions=NOW)
TALKED = BatchChanges(signals={"ann": Signals(1)})


async def kept_by(worker: PostgresLedger, *customers: str, **asked: Any) -> LedgerState:
    """Read customers twice, and return what the second time gave."""
    for _ in range(2):
        state = await worker.read(customers, [], versions=NOW, **asked)
    return state


async def forge(workers: Workers) -> None:
    """Change ann's signals without a new revision: a worker that reads them sees it, one that keeps them does not."""
    await workers.operator.execute("""UPDATE signal SET signals = jsonb_set(signals, '{message_count}', '99')""")


async def test_a_customer_who_is_kept_is_not_read_again(workers: Workers) -> None:
    await workers.commit(EVALUATED)
    await workers.commit(TALKED)
    await kept_by(workers.keeping[0], "ann")
    await forge(workers)
    assert (await workers.keeping[0].read(["ann"], [], versions=NOW)).signals["ann"].message_count == 1
    assert (await workers.reading.read(["ann"], [], versions=NOW)).signals["ann"].message_count == 99


@pytest.mark.parametrize(
    "happens",
    ["evicted", "another worker claims a partition", "other versions", "another cooldown", "an earlier contact"],
)
async def test_a_customer_is_read_again_once(workers: Workers, happens: str) -> None:
    """Whatever the reason."""
    worker = workers.keeping[0]
    await workers.commit(EVALUATED)
    await workers.commit(TALKED)
    await workers.commit(BatchChanges(evaluated=["bob", "cy"], versions=NOW))
    await kept_by(worker, "ann", contacts_after=AS_OF)
    await forge(workers)
    asked: dict[str, Any] = {"contacts_after": AS_OF}
    if happens == "evicted":
        await kept_by(worker, "bob", "cy", **asked)
    elif happens == "another worker claims a partition":
        await worker.claim(4)
    elif happens == "other versions":
        await worker.read(["bob"], [], versions=OLD, **asked)
        await worker.commit(BatchChanges(evaluated=["bob"], versions=OLD), owners=UNOWNED)
        await worker.read(["bob"], [], versions=OLD, **asked)
    elif happens == "another cooldown":
        await worker.activate([SEGMENT], [COOLING, OTHER], at=AS_OF)
    else:
        asked = {"contacts_after": AS_OF - LATENESS - timedelta(seconds=1)}
    assert (await worker.read(["ann"], [], versions=NOW, **asked)).signals["ann"].message_count == 99


async def test_a_customer_is_not_kept_in_the_minute_after_the_first_evaluation(workers: Workers) -> None:
    """A transaction that began before, and is still open, found no revision to replace."""
    await workers.keeping[0].commit(EVALUATED, owners=UNOWNED)
    await workers.keeping[0].commit(TALKED, owners=UNOWNED)
    await kept_by(workers.keeping[0], "ann")
    await forge(workers)
    assert (await workers.keeping[0].read(["ann"], [], versions=NOW)).signals["ann"].message_count == 99


async def test_a_trial_run_leaves_a_customer_as_they_are(workers: Workers) -> None:
    await workers.commit(EVALUATED)
    await workers.commit(TALKED)
    before = await kept_by(workers.keeping[0], "ann")
    await workers.keeping[0].dry_run(BatchChanges(signals={"ann": Signals(7)}))
    assert await workers.keeping[0].read(["ann"], [], versions=NOW) == before
