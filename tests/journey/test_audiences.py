"""The campaigns of examples/audiences, one for each audience, on the real services."""

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

DEFINITIONS = Path(__file__).parents[2] / "examples" / "audiences" / "definitions"
GOLD, PLAIN = 2_000.0, 10.0


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace with the definitions of the example, and a view with the columns that they read."""
    with workplace(endpoints, tmp_path_factory.mktemp("audiences")) as lent:
        lent.environment = {**lent.environment, "HOLDFAST_DEFINITIONS_DIR": str(DEFINITIONS)}
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute("ALTER TABLE customer_features_view ADD language text, ADD sms_consent boolean")
        yield lent


def evaluated(place: Workplace, customer_id: str, *, revenue: float, language: str | None = None) -> None:
    """Let the worker evaluate a customer with a revenue."""
    place.set_customer(customer_id, revenue=revenue)
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(
            "UPDATE customer_features_view SET language = %s WHERE customer_id = %s", [language, customer_id]
        )
    place.update(customer_id)


def write(place: Workplace, event: dict[str, Any]) -> None:
    """Send a message of a conversation."""
    place.publish("conversations", event)
    place.settle()


def received(place: Workplace, customer_id: str) -> list[tuple[str, str]]:
    """Return campaign and occasion of a customer's triggers."""
    return [(each["campaign"], each["occasion"]) for each in place.triggers(customer_id)]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("language", "subject", "message"),
    [
        (
            "de_AT",
            "Willkommen bei Gold: A gift",
            "<p>Sie haben für 2.000,00\xa0€ bei uns gekauft. Für Sie: A gift.</p>",
        ),
        ("fr", "Welcome to gold: A gift", "<p>You spent €2,000.00 with us. A gift is yours.</p>"),
        (None, "Welcome to gold: A gift", "<p>You spent €2,000.00 with us. A gift is yours.</p>"),
    ],
)
def test_who_enters_gets_a_message_in_their_language(
    place: Workplace, language: str | None, subject: str, message: str
) -> None:
    customer = f"entering-{language}"
    evaluated(place, customer, revenue=PLAIN, language=language)
    evaluated(place, customer, revenue=GOLD, language=language)
    (trigger,) = place.triggers(customer)
    assert (trigger["campaign"], trigger["occasion"]) == ("gold-welcome", "1")
    assert trigger["subject"] == subject
    assert trigger["message"] == message


@pytest.mark.usefixtures("worker")
def test_who_leaves_gets_the_message_of_that_and_each_time_once(place: Workplace) -> None:
    for revenue in (PLAIN, GOLD, PLAIN, PLAIN, GOLD, PLAIN):
        evaluated(place, "leaving", revenue=revenue)
    assert received(place, "leaving") == [
        ("gold-welcome", "1"),
        ("gold-goodbye", "left 1"),
        # The second entry is in the cooldown of gold-welcome.
        ("gold-goodbye", "left 2"),
    ]
    explained = place.holdfast("explain", "leaving")
    assert "gold-goodbye: contacted, left gold" in explained.stdout


@pytest.mark.usefixtures("worker")
def test_who_was_a_member_from_the_start_gets_nothing_until_they_leave(place: Workplace) -> None:
    evaluated(place, "loyal", revenue=GOLD)
    assert received(place, "loyal") == []
    evaluated(place, "loyal", revenue=PLAIN)
    assert received(place, "loyal") == [("gold-goodbye", "left 1")]
    (trigger,) = place.triggers("loyal")
    assert trigger["offer"]["propensity"] == 0.5


@pytest.mark.usefixtures("worker")
def test_each_message_of_a_member_is_answered_once(place: Workplace) -> None:
    """Also when it is delivered again; that of an agent, and of others, is not."""
    evaluated(place, "writing", revenue=PLAIN)
    text = {"text": "Where is my parcel?", "role": "customer"}
    first, second, before = (place.event("writing", "conversation.message", **text) for _ in range(3))
    write(place, before)
    evaluated(place, "writing", revenue=GOLD)
    place.publish("conversations", first, second)
    write(place, {**place.event("writing", "conversation.message", **text), "role": "agent"})
    for again in (first, before, second):
        write(place, again)
    assert received(place, "writing") == [
        ("gold-welcome", "1"),
        ("gold-answer", f"event {first['id']}"),
        ("gold-answer", f"event {second['id']}"),
    ]
    assert f"event {first['id']} of a member of gold" in place.holdfast("explain", "writing").stdout


def launch(place: Workplace, launch_id: str) -> None:
    """Launch the invitation."""
    launched = place.holdfast("campaigns", "launch", "gold-invitation", "--launch-id", launch_id)
    assert launched.returncode == 0, launched.stderr
    place.settle()


@pytest.mark.usefixtures("worker")
def test_a_launch_reaches_the_members_with_the_offer_that_each_may_get(place: Workplace) -> None:
    """The gift not twice in 30 days; the adviser from a revenue of 5,000 on."""
    revenues = {"invited": GOLD, "not-invited": PLAIN, "advised": 5_000.0}
    for customer, revenue in revenues.items():
        evaluated(place, customer, revenue=revenue)
    launch(place, "june")
    launch(place, "july")
    made = {
        customer: [(each["occasion"], each["offer"]["key"]) for each in place.triggers(customer)]
        for customer in revenues
    }
    assert made == {
        "invited": [("launch june", "gift")],
        "not-invited": [],
        "advised": [("launch june", "adviser"), ("launch july", "adviser")],
    }
    assert place.decisions("invited")[-1] == ("gold-invitation", "withheld", "no_eligible_offer")
    explained = place.holdfast("explain", "invited").stdout
    assert "adviser: its rule does not hold; gift: not twice in 30 day(s), again from " in explained


def test_a_campaign_that_runs_by_itself_is_not_launched(place: Workplace) -> None:
    refused = place.holdfast("campaigns", "launch", "gold-answer")
    assert refused.returncode == 2
    assert "runs by itself at each conversation.message of a member of 'gold'" in refused.stderr
