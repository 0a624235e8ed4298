"""The contract of deliveries, run on the in-memory fake and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from campaigns.consent import ConsentChange, find_revocation
from campaigns.errors import LedgerUnavailableError
from delivery.bursts import DomainCounts
from delivery.outcomes import OptOut, Report
from delivery.postgres_deliveries import PostgresDeliveries
from tests.fakes.deliveries import InMemoryDeliveries
from tests.triggers import NOW, received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from delivery.ports import Claimed, Deliveries

ANN, BOB = received("ann"), received("bob")
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["in memory", "PostgreSQL"])
async def deliveries(request: pytest.FixtureRequest) -> AsyncIterator[Deliveries]:
    """Empty deliveries, of either kind."""
    if request.param == "in memory":
        yield InMemoryDeliveries()
        return
    url = request.getfixturevalue("ledger_url")
    postgres = PostgresDeliveries(url)
    await postgres.open()
    yield postgres
    await postgres.close()


async def claim(deliveries: Deliveries, minutes: float = 0, limit: int = 10) -> dict[str, Claimed]:
    """Claim what is due some minutes after NOW, for a minute; return it by customer."""
    at = NOW + minutes * MINUTE
    claimed = await deliveries.claim("email", now=at, until=at + MINUTE, limit=limit)
    return {each.trigger.customer_id: each for each in claimed}


async def test_a_trigger_is_accepted_once(deliveries: Deliveries) -> None:
    """Also twice in one batch, and after it is settled."""
    assert await deliveries.accept([ANN, BOB, ANN], now=NOW) == 2
    assert await deliveries.accept([ANN], now=NOW) == 0
    await deliveries.settle(ANN.trigger, "delivered", "", at=NOW)
    assert await deliveries.accept([ANN], now=NOW) == 0
    assert set(await claim(deliveries)) == {"bob"}
    assert await deliveries.accept([], now=NOW) == 0


async def test_a_claim_returns_the_trigger_as_it_was_published(deliveries: Deliveries) -> None:
    await deliveries.accept([ANN], now=NOW)
    claimed = (await claim(deliveries))["ann"]
    assert (claimed.trigger, claimed.body, claimed.attempts) == (ANN.trigger, ANN.body, 1)


async def test_a_claimed_trigger_is_due_again_when_its_claim_has_ended(deliveries: Deliveries) -> None:
    """As after a crash; the attempt counts."""
    await deliveries.accept([ANN], now=NOW)
    assert set(await claim(deliveries)) == {"ann"}
    assert await claim(deliveries, 0.9) == {}
    assert (await claim(deliveries, 1))["ann"].attempts == 2


async def test_triggers_of_a_channel_are_claimed_in_the_order_in_which_they_are_due(deliveries: Deliveries) -> None:
    await deliveries.accept([BOB], now=NOW - MINUTE)
    await deliveries.accept([ANN, received("eve", channel="sms")], now=NOW - 2 * MINUTE)
    assert set(await claim(deliveries, limit=1)) == {"ann"}
    assert set(await claim(deliveries, limit=1)) == {"bob"}
    assert await deliveries.count_waiting() == {"email": 2, "sms": 1}


async def test_a_postponed_trigger_waits_and_has_not_been_attempted(deliveries: Deliveries) -> None:
    await deliveries.accept([ANN], now=NOW)
    await deliveries.postpone((await claim(deliveries))["ann"], NOW + 5 * MINUTE)
    assert await claim(deliveries, 4) == {}
    assert (await claim(deliveries, 5))["ann"].attempts == 1


async def test_an_attempt_that_failed_counts(deliveries: Deliveries) -> None:
    await deliveries.accept([ANN], now=NOW)
    await deliveries.retry((await claim(deliveries))["ann"], NOW + 5 * MINUTE, "smtp 451")
    assert await claim(deliveries, 4) == {}
    assert (await claim(deliveries, 5))["ann"].attempts == 2


@pytest.mark.parametrize("late", ["postpone", "retry"])
async def test_a_process_whose_claim_has_passed_to_another_changes_nothing(deliveries: Deliveries, late: str) -> None:
    """A process that slept."""
    await deliveries.accept([ANN], now=NOW)
    slept = (await claim(deliveries))["ann"]
    await claim(deliveries, 1)
    if late == "postpone":
        await deliveries.postpone(slept, NOW)
    else:
        await deliveries.retry(slept, NOW, "late")
    assert await claim(deliveries, 1.5) == {}
    assert (await claim(deliveries, 2))["ann"].attempts == 3


async def test_the_first_outcome_stands(deliveries: Deliveries) -> None:
    """Either process stores it; nothing is due afterwards."""
    await deliveries.accept([ANN], now=NOW)
    claimed = (await claim(deliveries))["ann"]
    assert await deliveries.settle(ANN.trigger, "bounced", "smtp 550", at=NOW, mail_domain="b.example")
    assert not await deliveries.settle(ANN.trigger, "delivered", "", at=NOW + MINUTE)
    await deliveries.retry(claimed, NOW, "late")
    assert await claim(deliveries, 10) == {}
    reports, _ = await deliveries.unreported(10)
    assert reports == [Report(ANN.trigger.id, "ann", "email", "bounced", "smtp 550", NOW)]
    assert await deliveries.count_waiting() == {}


async def test_outcomes_and_opt_outs_are_reported_until_they_are_marked(deliveries: Deliveries) -> None:
    """Oldest first."""
    await deliveries.accept([ANN, BOB], now=NOW)
    await deliveries.settle(BOB.trigger, "delivered", "", at=NOW + MINUTE)
    await deliveries.settle(ANN.trigger, "failed", "expired", at=NOW)
    opted = OptOut("unsubscribe-1", "ann", "email", ANN.trigger.id, NOW)
    for _ in range(2):
        await deliveries.opt_out(opted)
    reports, opt_outs = await deliveries.unreported(10)
    assert ([each.customer_id for each in reports], opt_outs) == (["ann", "bob"], [opted])
    assert [each.customer_id for each in (await deliveries.unreported(1))[0]] == ["ann"]
    await deliveries.mark_reported(reports[:1], [], at=NOW)
    assert await deliveries.unreported(10) == (reports[1:], [opted])
    await deliveries.mark_reported(reports, opt_outs, at=NOW)
    assert await deliveries.unreported(10) == ([], [])


async def test_an_opt_out_counts_before_a_worker_has_read_it(deliveries: Deliveries) -> None:
    """Next to the changes that workers have read."""
    change = ConsentChange("bob", "o-1", "*", granted=False, changed_at=NOW, source="complained")
    if isinstance(deliveries, InMemoryDeliveries):
        deliveries.changes.append(change)
    else:
        assert isinstance(deliveries, PostgresDeliveries)
        await _store_change(deliveries, change)
    await deliveries.opt_out(OptOut("unsubscribe-1", "ann", "email", ANN.trigger.id, NOW))
    consent = await deliveries.consent(["ann", "bob", "eve"])
    assert set(consent) == {"ann", "bob"}
    assert find_revocation(consent["ann"], "email") == NOW
    assert find_revocation(consent["ann"], "sms") is None
    assert find_revocation(consent["bob"], "sms") == NOW


async def _store_change(deliveries: PostgresDeliveries, change: ConsentChange) -> None:
    async with await psycopg.AsyncConnection.connect(deliveries._pool._url, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO consent_change (customer_id, event_id, channel, granted, changed_at, source)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [change.customer_id, change.event_id, change.channel, change.granted, change.changed_at, change.source],
        )


async def test_bounces_and_opt_outs_are_counted_by_mail_domain(deliveries: Deliveries) -> None:
    """Within the window; what was never sent to a domain is not counted."""
    names = [f"c{number}" for number in range(5)]
    triggers = {name: received(name).trigger for name in names}
    await deliveries.accept([received(name) for name in names], now=NOW)
    await deliveries.settle(triggers["c0"], "bounced", "", at=NOW, mail_domain="a.example")
    await deliveries.settle(triggers["c1"], "delivered", "", at=NOW, mail_domain="a.example")
    await deliveries.settle(triggers["c2"], "delivered", "", at=NOW - MINUTE, mail_domain="b.example")
    await deliveries.settle(triggers["c3"], "failed", "no_consent", at=NOW)
    for number, name in enumerate(("c2", "c2", "c4")):
        await deliveries.opt_out(OptOut(f"u-{number}", name, "email", triggers[name].id, NOW))
    counts = await deliveries.count_domains(since=NOW)
    assert sorted(counts, key=lambda each: each.domain) == [
        DomainCounts("a.example", 2, 1, 0),
        DomainCounts("b.example", 0, 0, 1),
    ]


async def test_a_ledger_that_cannot_be_reached_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailableError, match="HOLDFAST_LEDGER_URL"):
        await PostgresDeliveries("postgresql://127.0.0.1:1/none").open()


async def test_a_ledger_that_goes_away_is_unavailable(ledger_url: str) -> None:
    deliveries = PostgresDeliveries(ledger_url, connect_timeout=0.2)
    await deliveries.open()
    await deliveries.close()
    with pytest.raises(LedgerUnavailableError):
        await deliveries.count_waiting()
