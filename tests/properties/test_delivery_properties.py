"""Deliveries under any crash and redelivery."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.answers import Settled, TryAgain
from delivery.config import Alarm, Retries
from delivery.courier import Courier
from delivery.permission import Permitted, Unknown, Withheld
from delivery.process import DeliveryProcess
from delivery.trigger import read_trigger
from streams.observability.health import Health
from streams.runtime.retry import RetryPolicy
from tests.fakes.deliveries import InMemoryDeliveries
from tests.fakes.delivery_edges import InMemoryPermissions, InMemoryReports, InMemoryTransport, InMemoryTriggers
from tests.triggers import NOW, trigger_bytes

if TYPE_CHECKING:
    from delivery.answers import Answer
    from delivery.permission import Permission

TIMEOUT_S = 5.0
CUSTOMERS = ("ann", "bob", "eve")
ANSWERS: list[Answer] = [
    Settled("delivered", "smtp 250"),
    Settled("bounced", "smtp recipient: 550"),
    TryAgain("smtp connection: 421"),
    TryAgain("http 503", timedelta(minutes=7)),
]
PERMISSIONS: list[Permission] = [Permitted("a@b.example"), Withheld("no_consent"), Unknown("down")]
MINUTES = st.sampled_from([-5, 0, 1, 10, 60, 120])


class CrashError(Exception):
    """The process is killed here."""


@dataclass(slots=True)
class Crashes:
    """Kills the process at some calls: before the call has an effect, or after it."""

    at: dict[int, str]
    calls: int = 0

    def guard(self, part: Any) -> Any:
        """Return a part whose calls may kill the process."""
        return _Guarded(part, self)


class _Guarded:
    def __init__(self, part: Any, crashes: Crashes) -> None:
        self._part, self._crashes = part, crashes

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            self._crashes.calls += 1
            when = self._crashes.at.get(self._crashes.calls)
            if when == "before":
                raise CrashError
            result = await getattr(self._part, name)(*arguments, **named)
            if when == "after":
                raise CrashError
            return result

        return call


@dataclass(slots=True)
class World:
    """What outlives a process."""

    triggers: InMemoryTriggers
    answers: dict[str, list[Answer]]
    permissions: InMemoryPermissions
    crashes: Crashes
    now: datetime = NOW
    deliveries: InMemoryDeliveries = field(default_factory=InMemoryDeliveries)
    reports: InMemoryReports = field(default_factory=InMemoryReports)
    lost: Counter[str] = field(default_factory=Counter)
    transport: InMemoryTransport = field(init=False)

    def __post_init__(self) -> None:
        self.transport = InMemoryTransport(lambda: self.now, self.answers)

    def start(self) -> tuple[DeliveryProcess, Courier]:
        """Return a new process."""
        self.triggers.restart()
        guard, retry = self.crashes.guard, RetryPolicy(Health())
        deliveries = guard(self.deliveries)
        courier = Courier(
            "email",
            deliveries,
            guard(self.permissions),
            guard(self.transport),
            retry=retry,
            retries=Retries(first_pause_s=60, longest_pause_s=600),
            connections=2,
            timeout_s=TIMEOUT_S,
            clock=lambda: self.now,
        )
        process = DeliveryProcess(
            deliveries,
            guard(self.triggers),
            guard(self.reports),
            [courier],
            Alarm(),
            retry,
            clock=lambda: self.now,
        )
        return process, courier

    async def run(self) -> None:
        """Run until all is settled and reported; start a new process after each crash."""
        process, courier = self.start()
        for _ in range(2_000):
            try:
                await process.receive()
                await courier.deliver_due()
                await process.report()
            except CrashError:
                self.note_lost_answers()
                process, courier = self.start()
            self.permissions.given = {
                customer: each for customer, each in self.permissions.given.items() if not isinstance(each, Unknown)
            }
            self.now += timedelta(minutes=1)
            if self.is_done():
                return
        raise AssertionError("something is never settled")

    def is_done(self) -> bool:
        """Whether all that was read is settled and reported."""
        rows = self.deliveries.rows.values()
        return self.triggers.committed == len(self.triggers.log) and all(row.reported for row in rows)

    def note_lost_answers(self) -> None:
        """Count the crashes between a final answer and its record, by customer: only then may a send be repeated."""
        final = Counter(customer for customer, _, answer in self.transport.sent if isinstance(answer, Settled))
        for row in self.deliveries.rows.values():
            customer = row.received.trigger.customer_id
            if row.report is None and final[customer] > self.lost[customer]:
                self.lost[customer] = final[customer]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Triggers of three customers, delivered in any order and number, with answers, permissions and crashes."""
    values = [
        trigger_bytes(
            each,
            expires_at=NOW + timedelta(minutes=draw(MINUTES)),
            deliver_after=draw(st.none() | MINUTES.map(lambda minutes: NOW + timedelta(minutes=minutes))),
            quiet_hours=draw(st.sampled_from([None, {"from": "12:05", "to": "12:30", "zone": "Etc/UTC"}])),
        )
        for each in CUSTOMERS
    ]
    log = draw(st.lists(st.sampled_from([*values, b"no trigger"]), max_size=6))
    answers = {each: draw(st.lists(st.sampled_from(ANSWERS), max_size=3)) for each in CUSTOMERS}
    permissions = {each: draw(st.sampled_from(PERMISSIONS)) for each in CUSTOMERS}
    crashes = draw(
        st.dictionaries(st.integers(1, 40), st.sampled_from(["before", "after"]), max_size=8),
    )
    return World(InMemoryTriggers(list(log)), answers, InMemoryPermissions(permissions), Crashes(crashes))


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_any_crash_and_redelivery_settles_each_trigger_once(world: World) -> None:
    """With one outcome, reported under one id; sent once, but for crashes between the answer and its record."""
    allowed = {customer for customer, each in world.permissions.given.items() if not isinstance(each, Withheld)}
    asyncio.run(world.run())
    triggers = {
        read_trigger(value).customer_id: read_trigger(value) for value in world.triggers.log if value != b"no trigger"
    }  # type: ignore[arg-type]
    events = {event["id"]: event for event in world.reports.events}
    assert {event["customer_id"]: event["id"] for event in events.values()} == {
        customer: f"delivery-{trigger.id}" for customer, trigger in triggers.items()
    }
    assert all(event == events[event["id"]] for event in world.reports.events)
    final = Counter(customer for customer, _, answer in world.transport.sent if isinstance(answer, Settled))
    for customer, at, _ in world.transport.sent:
        trigger = triggers[customer]
        assert customer in allowed
        assert (trigger.deliver_after or at) <= at < trigger.expires_at
        quiet = trigger.read_quiet_hours()
        assert quiet is None or quiet.find_end(at, quiet.choose_zone(None)) is None
    for customer, trigger in triggers.items():
        assert final[customer] <= 1 + world.lost[customer]
        outcome = events[f"delivery-{trigger.id}"]["type"].removeprefix("outcome.")
        if final[customer] and not world.lost[customer]:
            (answer,) = (each for who, _, each in world.transport.sent if who == customer and isinstance(each, Settled))
            assert outcome == answer.outcome
        answered = {
            each.outcome for who, _, each in world.transport.sent if who == customer and isinstance(each, Settled)
        }
        assert outcome in {*answered, "failed"}
        if customer not in allowed:
            assert outcome == "failed"
