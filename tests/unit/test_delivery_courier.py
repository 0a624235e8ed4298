"""What happens to the triggers of a channel, and to the parts around it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from campaigns.errors import LedgerUnavailableError
from delivery.answers import Settled, TryAgain
from delivery.config import Alarm, Retries
from delivery.courier import Courier
from delivery.metrics import DeliveryMetrics
from delivery.outcomes import OptOut, name_opt_out
from delivery.permission import Unknown, Withheld
from delivery.process import DeliveryProcess
from features.errors import WarehouseUnavailableError
from streams.errors import SinkUnavailableError
from streams.observability.health import Health
from streams.runtime.retry import RetryPolicy
from tests.fakes.deliveries import InMemoryDeliveries
from tests.fakes.delivery_edges import InMemoryPermissions, InMemoryReports, InMemoryTransport, InMemoryTriggers
from tests.triggers import NOW, received, trigger_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from delivery.answers import Answer, Outcome
    from delivery.permission import Permission
    from delivery.ports import Claimed, Record
    from delivery.trigger import Trigger


class Place:
    """A courier of e-mails with in-memory ports, at a time that a test changes."""

    def __init__(self, deliveries: InMemoryDeliveries | None = None, **more: Any) -> None:
        self.now: datetime = NOW
        self.deliveries = deliveries or InMemoryDeliveries()
        self.permissions = InMemoryPermissions()
        self.transport = InMemoryTransport(lambda: self.now)
        self.triggers, self.reports = InMemoryTriggers([]), InMemoryReports()
        self.retry = RetryPolicy(Health(), first_pause_s=0)
        parts: dict[str, Any] = {"permissions": self.permissions, "transport": self.transport, "timeout_s": 5, **more}
        self.courier = Courier(
            "email",
            self.deliveries,
            parts["permissions"],
            parts["transport"],
            retry=self.retry,
            retries=Retries(first_pause_s=60, longest_pause_s=600),
            connections=2,
            timeout_s=parts["timeout_s"],
            clock=lambda: self.now,
        )
        self.process = self.make_process()

    def make_process(self) -> DeliveryProcess:
        """Return a process around the courier."""
        return DeliveryProcess(
            self.deliveries, self.triggers, self.reports, [self.courier], Alarm(), self.retry, clock=lambda: self.now
        )

    async def accept(self, *names: str, **changes: Any) -> None:
        """Store triggers of these customers."""
        await self.deliveries.accept([received(name, **changes) for name in names], now=self.now)

    def outcome(self, name: str = "ann") -> tuple[Outcome, str] | None:
        """Return the outcome of a customer's trigger, with its reason."""
        report = self.deliveries.rows[received(name).trigger.id].report
        return report and (report.outcome, report.reason)


async def test_a_trigger_is_sent_and_settled() -> None:
    place = Place()
    await place.accept("ann")
    assert await place.courier.deliver_due() == 1
    assert await place.courier.deliver_due() == 0
    assert (len(place.transport.sent), place.outcome()) == (1, ("delivered", "smtp 250"))
    assert place.deliveries.rows[received().trigger.id].mail_domain == "mail.example"
    assert place.courier.results == {"delivered": 1}


async def test_as_many_are_sent_at_once_as_there_are_connections() -> None:
    place = Place()
    await place.accept("ann", "bob", "eve")
    assert [await place.courier.deliver_due() for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("permission", [Withheld("no_consent"), Withheld("no_address")])
async def test_what_must_not_be_sent_has_failed_with_its_reason(permission: Withheld) -> None:
    place = Place()
    place.permissions.given = {"ann": permission}
    await place.accept("ann", "bob")
    await place.courier.deliver_due()
    assert [each[0] for each in place.transport.sent] == ["bob"]
    assert place.outcome() == ("failed", permission.reason)


async def test_quiet_hours_hold_a_trigger_and_no_other() -> None:
    """Due at their end, without an attempt counted."""
    place = Place()
    await place.accept("ann", deliver_after=NOW + timedelta(hours=1))
    await place.accept("bob")
    await place.courier.deliver_due()
    assert ([each[0] for each in place.transport.sent], place.outcome()) == (["bob"], None)
    place.now += timedelta(hours=1)
    await place.courier.deliver_due()
    assert place.outcome() == ("delivered", "smtp 250")
    assert place.deliveries.rows[received().trigger.id].attempts == 1
    assert place.courier.results["later"] == 1


async def test_an_expired_trigger_is_not_sent() -> None:
    place = Place()
    await place.accept("ann", expires_at=NOW)
    await place.courier.deliver_due()
    assert (place.transport.sent, place.outcome()) == ([], ("failed", "expired"))


async def test_an_attempt_that_failed_is_repeated_until_the_trigger_expires() -> None:
    place = Place()
    place.transport.answers = {"ann": [TryAgain("smtp connection: 421")] * 9}
    await place.accept("ann", expires_at=NOW + timedelta(minutes=10))
    for _ in range(12):
        await place.courier.deliver_due()
        place.now += timedelta(minutes=1)
    assert [(at - NOW).total_seconds() / 60 for _, at, _ in place.transport.sent] == [0, 1, 3, 7]
    assert place.outcome() == ("failed", "expired after 4 attempts, the last one: smtp connection: 421")


async def test_an_expired_trigger_says_that_it_was_attempted() -> None:
    """Its last attempt may have been cut short after the server accepted it."""
    place = Place()
    await place.accept("ann", expires_at=NOW + timedelta(minutes=1))
    await place.deliveries.claim("email", now=NOW, until=NOW + timedelta(minutes=1), limit=1)
    place.now += timedelta(minutes=1)
    await place.courier.deliver_due()
    assert place.outcome() == ("failed", "expired after 1 attempts")


class Away:
    """Permissions that cannot be found now."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def find(self, _triggers: Sequence[Trigger]) -> Sequence[Permission]:
        """Fail."""
        raise self.error


@pytest.mark.parametrize("error", [WarehouseUnavailableError("away"), LedgerUnavailableError("away"), TimeoutError()])
async def test_without_knowledge_of_consent_nothing_is_sent_or_settled(error: Exception) -> None:
    place = Place(permissions=Away(error))
    await place.accept("ann")
    with capture_logs() as logs:
        await place.courier.deliver_due()
    assert (place.transport.sent, place.outcome(), place.courier.results) == ([], None, {"retry": 1})
    assert [each["event"] for each in logs] == ["consent_unknown"]


async def test_a_customer_whose_consent_is_unknown_waits_alone() -> None:
    place = Place()
    place.permissions.given = {"ann": Unknown("the customer's row cannot be read")}
    await place.accept("ann", "bob")
    await place.courier.deliver_due()
    assert (place.outcome("ann"), place.outcome("bob")) == (None, ("delivered", "smtp 250"))


class Slow:
    """A transport that does not answer."""

    async def send(self, _claimed: Claimed, _address: str | None) -> Answer:
        """Wait."""
        await asyncio.sleep(60)
        raise AssertionError


async def test_an_attempt_ends_in_time() -> None:
    """While its claim still holds."""
    place = Place(transport=Slow(), timeout_s=0.05)
    await place.accept("ann")
    await place.courier.deliver_due()
    assert place.outcome() is None
    assert place.deliveries.rows[received().trigger.id].last_problem == "no answer within 0.05 s"


class Forgetful(InMemoryDeliveries):
    """Deliveries that cannot be reached at the first `failures` calls of settle."""

    failures = 3

    async def settle(self, *arguments: Any, **named: Any) -> bool:
        """Fail, then do it."""
        if self.failures:
            self.failures -= 1
            raise LedgerUnavailableError("away")
        return await super().settle(*arguments, **named)


async def test_an_answer_is_kept_until_the_ledger_takes_it() -> None:
    """An outage of the ledger is no reason to send again."""
    place = Place(Forgetful())
    await place.accept("ann")
    await place.courier.deliver_due()
    place.now += timedelta(hours=1)
    assert await place.courier.deliver_due() == 0
    assert (len(place.transport.sent), place.outcome()) == (1, ("delivered", "smtp 250"))


async def test_an_outcome_that_another_process_has_stored_stands() -> None:
    place = Place()
    await place.accept("ann")

    class Raced:
        async def send(self, claimed: Claimed, _address: str | None) -> Answer:
            await place.deliveries.settle(claimed.trigger, "bounced", "smtp recipient: 550", at=NOW)
            return Settled("delivered", "smtp 250")

    place.courier._transport = Raced()
    with capture_logs() as logs:
        await place.courier.deliver_due()
    assert place.outcome() == ("bounced", "smtp recipient: 550")
    assert ([each["event"] for each in logs], place.courier.results) == (["delivery_settled_before"], {})


async def test_an_unexpected_error_ends_the_process() -> None:
    """And the others of the batch are settled first."""
    place = Place()
    await place.accept("ann", "bob")

    class Broken:
        async def send(self, claimed: Claimed, _address: str | None) -> Answer:
            if claimed.trigger.customer_id == "ann":
                raise ZeroDivisionError
            return Settled("delivered", "smtp 250")

    place.courier._transport = Broken()
    with pytest.raises(ZeroDivisionError):
        await place.courier.deliver_due()
    assert (place.outcome("ann"), place.outcome("bob")) == (None, ("delivered", "smtp 250"))


async def test_logs_have_neither_address_nor_customer() -> None:
    place = Place()
    await place.accept("ann", "bob")
    place.permissions.given = {"bob": Withheld("no_consent")}
    with capture_logs() as logs:
        await place.courier.deliver_due()
    assert len(logs) == 2
    assert "mail.example" not in str(logs)
    assert "ann" not in str(logs)


async def test_records_are_stored_before_their_offsets_are_committed() -> None:
    place = Place()
    place.triggers.log = [trigger_bytes("ann"), b"x", trigger_bytes("bob", channel="sms"), trigger_bytes("ann")]
    with capture_logs() as logs:
        await place.process.receive()
        await place.process.receive()
        await place.process.receive()
    assert (list(place.deliveries.rows), place.triggers.committed) == ([received("ann").trigger.id], 4)
    assert [(each["event"], each["offset"]) for each in logs] == [("trigger_unreadable", 1)]
    figures = place.process.figures
    assert (figures.received, figures.unreadable, figures.others) == (1, 1, {"sms": 1})


class Rebalanced(InMemoryTriggers):
    """A topic that takes no offsets, as after a rebalance."""

    async def commit(self, _records: Sequence[Record]) -> None:
        """Fail."""
        raise SinkUnavailableError("unknown member")


async def test_offsets_that_cannot_be_committed_stop_nothing() -> None:
    place = Place()
    place.triggers = Rebalanced([trigger_bytes("ann")])
    await place.make_process().receive()
    assert len(place.deliveries.rows) == 1


async def test_outcomes_and_opt_outs_are_published_and_marked() -> None:
    """With the reason; an opt-out has an id of its own each second."""
    place = Place()
    trigger = received().trigger
    await place.accept("ann")
    await place.deliveries.settle(trigger, "failed", "no_consent", at=NOW)
    for seconds in (0, 0.5, 1):
        at = NOW + timedelta(seconds=seconds)
        await place.deliveries.opt_out(OptOut(name_opt_out(trigger.id, at), "ann", "email", trigger.id, at))
    assert await place.process.report() == 0
    assert await place.process.report() > 0
    *opt_outs, outcome = place.reports.events
    assert outcome == {
        "id": f"delivery-{trigger.id}",
        "type": "outcome.failed",
        "customer_id": "ann",
        "occurred_at": NOW,
        "trigger_id": trigger.id,
        "channel": "email",
        "reason": "no_consent",
    }
    assert [each["type"] for each in opt_outs] == ["outcome.unsubscribed"] * 2
    assert len({each["id"] for each in opt_outs}) == 2


async def test_a_burst_is_logged_once_and_shown_while_it_lasts() -> None:
    place = Place()
    names = [f"c{number}" for number in range(12)]
    await place.accept(*names)
    for name in names:
        await place.deliveries.settle(
            received(name).trigger, "bounced", "smtp recipient: 550", at=NOW, mail_domain="mail.example"
        )
    await place.accept("ann")
    shown = DeliveryMetrics(place.process.figures).registry.get_sample_value
    labels = {"kind": "bounced", "domain": "mail.example"}
    with capture_logs() as logs:
        for _ in range(2):
            await place.process.watch()
    (event,) = logs
    assert (event["event"], event["domain"], event["count"], event["of"]) == ("delivery_burst", "mail.example", 12, 12)
    assert shown("holdfast_delivery_burst", labels) == 12
    assert shown("holdfast_deliveries_waiting", {"channel": "email"}) == 1
    place.now += timedelta(hours=2)
    await place.process.watch()
    assert shown("holdfast_delivery_burst", labels) is None


async def test_a_process_runs_until_it_is_stopped() -> None:
    """Then all that was due is delivered and reported."""
    place = Place()
    place.triggers.log = [trigger_bytes("ann"), trigger_bytes("bob", channel="sms")]
    stop = asyncio.Event()
    running = asyncio.create_task(place.process.run(stop))
    while not place.reports.events:  # noqa: ASYNC110 - the fakes have no event
        await asyncio.sleep(0.01)
    stop.set()
    async with asyncio.timeout(5):
        await running
    shown = DeliveryMetrics(place.process.figures).registry.get_sample_value
    assert shown("holdfast_deliveries_total", {"channel": "email", "result": "delivered"}) == 1
    assert shown("holdfast_delivery_ignored_total", {"channel": "sms"}) == 1
    assert shown("holdfast_delivery_received_total") == 1


async def test_a_part_that_fails_ends_the_process() -> None:
    """With its error."""
    place = Place()
    place.courier._clock = lambda: None  # type: ignore[assignment,return-value]
    with pytest.raises(TypeError):
        async with asyncio.timeout(5):
            await place.process.run(asyncio.Event())
