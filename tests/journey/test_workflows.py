"""The workflows of examples/workflows, each on the real services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.journey.test_worker import workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

DEFINITIONS = Path(__file__).parents[2] / "examples" / "workflows" / "definitions"
LOYAL = {"days": 5, "revenue": 100.0}
CANCELS = {"text": "Please cancel my account, I want to leave", "role": "customer"}


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace with the definitions of the example, and a view with the columns that they read."""
    with workplace(endpoints, tmp_path_factory.mktemp("workflows")) as lent:
        environment = {**lent.environment, "HOLDFAST_DEFINITIONS_DIR": str(DEFINITIONS), "ML_MOCK_MODE": "false"}
        lent.environment = environment
        change(lent, "ALTER TABLE customer_features_view ADD lead_score integer, ADD sms_consent boolean DEFAULT true")
        yield lent


def change(place: Workplace, statement: str, *values: Any) -> None:
    """Change the warehouse."""
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(statement.encode(), values or None)


def known(place: Workplace, customer_id: str, **row: Any) -> None:
    """Let the worker evaluate a customer for the first time: in no segment."""
    place.set_customer(customer_id, **{**LOYAL, **row})
    place.update(customer_id)
    assert place.triggers(customer_id) == []


def received(place: Workplace, customer_id: str) -> dict[str, str]:
    """Return the campaigns that sent a trigger for a customer, with their channel."""
    return {each["campaign"]: each["channel"] for each in place.triggers(customer_id)}


@pytest.mark.usefixtures("worker")
def test_high_risk_brings_a_retention_email_and_a_notification_of_sales(place: Workplace) -> None:
    known(place, "ann")
    place.set_customer("ann", days=300)
    place.update("ann")
    assert received(place, "ann") == {"retention-email": "email", "retention-call": "sales"}
    call = next(each for each in place.triggers("ann") if each["campaign"] == "retention-call")
    assert call["recipient"] == "staff"
    assert call["message"].startswith("Call ann: probability of churn 0.77")


@pytest.mark.usefixtures("worker")
def test_medium_risk_brings_a_promotion(place: Workplace) -> None:
    known(place, "bob")
    place.set_customer("bob", days=90)
    place.update("bob")
    assert received(place, "bob") == {"promotion": "email"}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("preferred", ["email", "sms"])
def test_a_vip_gets_an_offer_on_the_preferred_channel(place: Workplace, preferred: str) -> None:
    customer = f"vip-{preferred}"
    known(place, customer)
    place.set_customer(customer, revenue=20_000.0)
    change(
        place, "UPDATE customer_features_view SET preferred_channel = %s WHERE customer_id = %s", preferred, customer
    )
    place.update(customer)
    (offer,) = place.triggers(customer)
    assert (offer["campaign"], offer["channel"]) == ("vip-offer", preferred)
    assert ("quiet_hours" in offer) == (preferred == "sms")


@pytest.mark.usefixtures("worker")
def test_a_hot_lead_alerts_sales_without_consent(place: Workplace) -> None:
    known(place, "cy", consent=False)
    change(place, "UPDATE customer_features_view SET lead_score = 85, sms_consent = false WHERE customer_id = 'cy'")
    place.update("cy")
    (alert,) = place.triggers("cy")
    assert (alert["campaign"], alert["channel"], alert["recipient"]) == ("hot-lead-alert", "sales", "staff")
    assert alert["message"].startswith("Hot lead cy: score 85.")


@pytest.mark.usefixtures("worker")
def test_an_unhappy_customer_gets_an_apology_and_a_call_although_contacted_this_week(place: Workplace) -> None:
    """A service message goes beyond the limit that keeps an offer back."""
    known(place, "di")
    place.set_customer("di", days=90)
    place.update("di")
    place.publish("conversations", place.event("di", "conversation.message", **CANCELS))
    place.settle()
    assert received(place, "di") == {
        "promotion": "email",
        "service-recovery": "email",
        "service-recovery-call": "care",
    }
    place.set_customer("di", days=90, revenue=20_000.0)
    place.update("di")
    assert place.decisions("di")[-1] == ("vip-offer", "withheld", "contact_limit")


@pytest.mark.usefixtures("worker")
def test_a_customer_who_enters_several_segments_at_once_gets_one_contact(place: Workplace) -> None:
    """Of the highest expected net value; the others are recorded with value and reason, and explained."""
    known(place, "ed")
    place.set_customer("ed", days=300, revenue=20_000.0)
    place.update("ed")
    contacts = {name for name, channel in received(place, "ed").items() if channel != "sales"}
    assert len(contacts) == 1
    ((loser, value, detail),) = place.ask_ledger(
        "SELECT campaign, net_value, detail FROM decision WHERE customer_id = 'ed' AND reason = 'outranked'"
    )
    (winner,) = contacts
    assert {winner, loser} == {"retention-email", "vip-offer"}
    assert detail.startswith(f"{winner} has an expected net value of ")
    assert detail.endswith(f", this one {value:g}")
    assert detail in place.holdfast("explain", "ed").stdout
