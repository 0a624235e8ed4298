"""What is read of a campaign's contacts and customers, from the decisions and outcomes that a worker stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.channels import Channel
from campaigns.decide import ContactHistory
from campaigns.definition import Campaign
from campaigns.errors import LedgerUnavailableError
from campaigns.exposures import ContactCounts, ExposureDay
from campaigns.guardrails import Reason
from campaigns.ports import BatchChanges, Refusal
from campaigns.postgres_performance import open_performance
from campaigns.triggers import outgoing
from campaigns.unpublishable import set_aside
from streams.outcomes import fold_outcomes, outcome_keys, trigger_keys
from tests.builders import AS_OF, campaign, candidate, decide, decision, facts, offers, scores
from tests.records import arrive, decode, outcome

if TYPE_CHECKING:
    from campaigns.decide import Decision
    from campaigns.ports import OutboxRow
    from campaigns.postgres_ledger import PostgresLedger

# Ann is in the control group of the one and not of the other.
HOLDING, OPEN = campaign(holdout_percent=50), campaign()
EMAIL = Channel(key="email", message_format="html", cost=0.1)
PAID = Campaign.model_validate(
    campaign().model_dump() | {"channels": ["email"]}, context={"channels": {"email": EMAIL}}
)
TODAY, TOMORROW = AS_OF.date(), AS_OF.date() + timedelta(days=1)
LATER = AS_OF + timedelta(days=1)


async def store(ledger: PostgresLedger, *decisions: Decision) -> list[OutboxRow]:
    """Commit decisions and what is published of them."""
    changes = BatchChanges(decisions=decisions, messages=outgoing(decisions))
    return list((await ledger.commit(changes, owners={3: 1})).outbox)


async def report(ledger: PostgresLedger, *contents: dict[str, Any]) -> int:
    """Fold outcomes as a worker does, and return the number of those that are rejected."""
    # Whenever they happen: the records of the builder all have one timestamp.
    reported = list(decode(*map(arrive, contents), max_future_s=1e9).events)
    state = await ledger.read([], outcome_keys(reported), triggers=trigger_keys(reported))
    folded = fold_outcomes(reported, state, {"email", "sms", "push"})
    changes = BatchChanges(outcome_ids=folded.outcome_ids, contact_states=folded.contact_states)
    await ledger.commit(changes, owners={3: 1})
    return len(folded.rejects)


def said(kind: str, of: Decision, **changes: Any) -> dict[str, Any]:
    """The outcome of a decision, one day later."""
    about = {"customer_id": of.candidate.customer_id, "trigger_id": of.candidate.trigger_id}
    return outcome(
        kind, **{"id": f"{kind} {of.candidate.trigger_id}", **about, "occurred_at": LATER.isoformat(), **changes}
    )


def day(arm: str = "treatment", on: date = TODAY, version: str | None = "c0ffee", **counts: Any) -> ExposureDay:
    """One customer of win-back, exposed and not converted unless a change says so."""
    defaults = {"customers": 1, "converted": 0, "revenue": Decimal(0), "revenue_squared": Decimal(0)}
    return ExposureDay(version, arm, on, **{**defaults, **counts})


def bought(arm: str = "treatment", on: date = TOMORROW, value: str = "0", **more: Any) -> ExposureDay:
    """One customer of win-back who converts on a day."""
    squared = Decimal(value) ** 2
    return day(arm, on, customers=0, converted=1, revenue=Decimal(value), revenue_squared=squared, **more)


def days_of(ledger_url: str, key: str = "win-back") -> list[ExposureDay]:
    with open_performance(ledger_url) as found:
        return list(found.exposure_days(key))


def counts_of(ledger_url: str, key: str = "win-back") -> dict[str, ContactCounts]:
    with open_performance(ledger_url) as found:
        return dict(found.count_contacts(key))


async def test_a_contact_and_a_control_exposure_are_customers_of_their_arm(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    bob = decision(customer_id="bob")
    await store(ledger, bob, decision(campaign=HOLDING), decision(customer_id="cid", campaign=campaign(key="other")))
    await report(ledger, said("converted", bob, value=20.5))
    assert days_of(ledger_url) == [day("control"), day("treatment"), bought(value="20.5")]
    assert counts_of(ledger_url)["control"] == ContactCounts(decided=1, waiting=1)


async def test_contacts_are_counted_by_each_outcome_that_was_reported(ledger: PostgresLedger, ledger_url: str) -> None:
    """A bounce stays one after a late delivery, and what is opened is not delivered until that is reported."""
    bob, cid = decision(customer_id="bob"), decision(customer_id="cid")
    await store(ledger, bob, cid)
    kinds = ("bounced", "delivered", "opened", "clicked")
    await report(ledger, *(said(kind, bob) for kind in kinds), said("opened", cid))
    await report(ledger, said("converted", bob, value=0.1), said("converted", bob, id="again", value=0.2))
    found = counts_of(ledger_url)["treatment"]
    expected = ContactCounts(decided=2, waiting=2, delivered=1, bounced=1, opened=2, clicked=1, converted=1)
    assert found == replace(expected, conversions=2, revenue=Decimal("0.3"))


async def test_a_contact_that_was_never_sent_has_failed_and_costs_nothing(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Whatever is reported later shows that it was sent."""
    bob, cid = decision(customer_id="bob", campaign=PAID), decision(customer_id="cid", campaign=PAID)
    await ledger.mark_sent([row for row in await store(ledger, bob, cid) if row.message.destination != "decisions"])
    await report(ledger, said("failed", bob), said("failed", cid), said("delivered", cid))
    found = counts_of(ledger_url)["treatment"]
    assert (found.failed, found.delivered, found.contact_cost) == (2, 1, Decimal("0.1"))
    assert sum(each.cost for each in days_of(ledger_url)) == Decimal("0.1")


async def test_messages_are_published_waiting_or_refused(ledger: PostgresLedger, ledger_url: str) -> None:
    """A dead letter that is published in place of a trigger does not publish the trigger; a deleted row was sent."""
    names = ("sent", "refused", "waiting", "deleted")
    stored = {row.message.message_id: row for row in await store(ledger, *(decision(customer_id=n) for n in names))}
    sent, refused, _, deleted = (stored[candidate(customer_id=name).trigger_id] for name in names)
    letter = set_aside(refused, Refusal("campaign-triggers", "too large"))
    await ledger.mark_failed([letter])
    await ledger.mark_sent([sent, letter, deleted])
    async with ledger._pool.connection() as connection:
        await connection.execute("DELETE FROM outbox WHERE customer_id = 'deleted'")
    assert counts_of(ledger_url) == {"treatment": ContactCounts(decided=4, published=2, refused=1, waiting=1)}


async def test_a_customer_counts_once_in_the_arm_and_version_of_the_first_exposure(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Whichever was stored first; conversions of all contacts of the campaign are the customer's."""
    second = decision(occasion="2", as_of=LATER, versions={"campaign": "second"})
    first = decision(campaign=HOLDING, versions={"campaign": "first"})
    await store(ledger, second)
    await store(ledger, first)
    await report(ledger, said("converted", first, value=2), said("converted", second, value=3))
    assert days_of(ledger_url) == [
        day("control", version="first"),
        bought("control", value="5", version="first"),
    ]
    with open_performance(ledger_url) as found:
        assert found.count_in_both_arms("win-back") == 1
        assert found.count_in_both_arms("other") == 0


async def test_a_contact_costs_what_it_did_when_it_was_decided(ledger: PostgresLedger, ledger_url: str) -> None:
    """Once it is published, and its offer once it is accepted; a control exposure costs nothing."""
    paid = PAID.model_copy(update={"holdout_percent": 50})
    priced = {id_: each.model_copy(update={"value": 30.0, "cost": 5.0}) for id_, each in offers().items()}
    made = {
        name: decide(candidate(campaign=paid, customer_id=name), facts(), ContactHistory(), priced, scores(3))
        for name in ("bob", "cid", "dot", "eve", "fay", "ann")
    }
    treated = [name for name, each in made.items() if each.outcome == "fired"]
    rows = {row.message.message_id: row for row in await store(ledger, *made.values())}
    sent = [rows[made[name].candidate.trigger_id] for name in treated[:2]]
    await ledger.mark_sent([*sent, rows[made["ann"].candidate.trigger_id]])
    await report(ledger, *(said("converted", made[name], value=20) for name in (treated[0], "ann")))
    counts = counts_of(ledger_url)
    assert (counts["treatment"].contact_cost, counts["treatment"].offer_cost) == (Decimal("0.2"), Decimal(5))
    assert (counts["control"].cost, made["ann"].outcome) == (0, "control")
    exposed = [each for each in days_of(ledger_url) if each.customers]
    assert {each.arm: each.cost for each in exposed} == {"treatment": Decimal("5.2"), "control": 0}
    squares = {"treatment": Decimal("14.9") ** 2 - Decimal(20) ** 2 + Decimal("0.1") ** 2, "control": Decimal(0)}
    assert {each.arm: each.cost_in_squares for each in exposed} == squares


async def test_a_customer_is_of_the_variant_of_the_first_exposure_in_both_arms(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Whatever a later version makes of it; the ledger keeps it with each contact, and explain reads it."""
    varied = campaign(variants=[{"key": "plain"}, {"key": "short", "message": "Hi"}], holdout_percent=50)
    first = [decision(campaign=varied, customer_id=name) for name in ("ann", "bob", "cid", "dot")]
    await store(ledger, *first)
    await store(ledger, decision(occasion="2", as_of=LATER))
    found = days_of(ledger_url)
    assert sum(each.customers for each in found) == 4
    expected = {("control" if each.outcome == "control" else "treatment", each.variant) for each in first}
    assert {(each.arm, each.variant) for each in found} == expected
    assert [each.variant for each in await ledger.decisions_of("ann")] == [first[0].variant, None]


async def test_of_several_campaigns_a_customer_counts_once_for_the_first_exposure_to_any(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Conversions and contacts are those of all of them; others do not count."""
    first = decision(campaign=HOLDING, versions={"campaign": "v1"})
    second = decision(campaign=campaign(key="second"), as_of=LATER, versions={"campaign": "v2"})
    elsewhere = decision(campaign=campaign(key="elsewhere"), customer_id="bob")
    await store(ledger, second, first, elsewhere)
    await report(ledger, said("converted", first, value=2), said("converted", second, value=3))
    with open_performance(ledger_url) as found:
        keys = ("win-back", "second")
        days = [day("control", version="win-back v1"), bought("control", value="5", version="win-back v1")]
        assert list(found.exposure_days(*keys)) == days
        assert {arm: each.decided for arm, each in found.count_contacts(*keys).items()} == {
            "treatment": 1,
            "control": 1,
        }
        assert found.count_in_both_arms(*keys) == 1


async def test_an_outcome_that_is_delivered_again_counts_once(ledger: PostgresLedger, ledger_url: str) -> None:
    bob = decision(customer_id="bob")
    await store(ledger, bob)
    for _ in range(2):
        await report(ledger, said("converted", bob, value=4))
    assert days_of(ledger_url) == [day(), bought(value="4")]
    assert counts_of(ledger_url)["treatment"].conversions == 1


async def test_a_withheld_customer_is_in_no_arm(ledger: PostgresLedger, ledger_url: str) -> None:
    """A conversion that names the decision is rejected."""
    withheld = decision(customer_id="bob", withheld=Reason.NOT_A_MEMBER)
    await store(ledger, withheld)
    assert await report(ledger, said("converted", withheld, value=4)) == 1
    assert (days_of(ledger_url), counts_of(ledger_url)) == ([], {})


async def test_an_outcome_after_the_expiry_counts(ledger: PostgresLedger, ledger_url: str) -> None:
    """The expiry is that of the trigger: it may not be sent any more. Both arms are observed without an end."""
    held = decision(campaign=HOLDING)
    await store(ledger, held)
    late = AS_OF + timedelta(days=OPEN.valid_days + 60)
    await report(ledger, said("converted", held, occurred_at=late.isoformat()))
    assert days_of(ledger_url) == [day("control"), bought("control", late.date())]


async def test_days_are_those_of_utc_whatever_zone_an_event_or_the_server_has(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Half past midnight in Berlin is the day before."""
    berlin = timezone(timedelta(hours=2))
    bob = decision(customer_id="bob", as_of=datetime(2011, 6, 2, 0, 30, tzinfo=berlin))
    await store(ledger, bob)
    await report(ledger, said("converted", bob, occurred_at="2011-06-03T23:30:00-02:00"))
    async with ledger._pool.connection() as connection:
        name = ledger_url.rpartition("/")[2]
        await connection.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Tokyo'".encode())
    assert days_of(ledger_url) == [day(on=date(2011, 6, 1)), bought(on=date(2011, 6, 4))]


async def test_a_conversion_dated_before_its_exposure_counts_on_the_day_of_the_exposure(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    bob = decision(customer_id="bob")
    await store(ledger, bob)
    await report(ledger, said("converted", bob, occurred_at=(AS_OF - timedelta(days=3)).isoformat()))
    assert days_of(ledger_url) == [day(converted=1)]


async def test_a_contact_without_its_decision_has_no_version(ledger: PostgresLedger, ledger_url: str) -> None:
    bob = decision(customer_id="bob")
    await store(ledger, bob)
    async with ledger._pool.connection() as connection:
        await connection.execute("DELETE FROM decision")
    assert days_of(ledger_url) == [day(version=None)]


async def test_revenue_is_exact_and_squared_by_customer(ledger: PostgresLedger, ledger_url: str) -> None:
    """Of two on one day the squares are added, and not the sum squared."""
    contacts = [decision(customer_id=name) for name in ("bob", "cid")]
    await store(ledger, *contacts)
    await report(ledger, *(said("converted", each, value=0.1) for each in contacts))
    both = day(on=TOMORROW, customers=0, converted=2, revenue=Decimal("0.2"), revenue_squared=Decimal("0.02"))
    assert days_of(ledger_url) == [day(customers=2), both]


def test_a_ledger_without_tables_says_what_to_do(empty_ledger_url: str) -> None:
    with (
        pytest.raises(LedgerUnavailableError, match="run: holdfast ledger migrate"),
        open_performance(empty_ledger_url) as it,
    ):
        it.count_contacts("win-back")


def test_reading_writes_nothing(ledger_url: str) -> None:
    with pytest.raises(LedgerUnavailableError, match="read-only"), open_performance(ledger_url) as found:
        found._connection.execute("DELETE FROM contact")
