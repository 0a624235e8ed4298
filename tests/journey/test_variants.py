"""An A/B test from its definition to its performance, on real services."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.journey.test_performance import convert
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"customer-{number}" for number in range(600)]
VARIANTS = [{"key": "plain"}, {"key": "gift", "offers": [2], "message": "Take {{ offer.name }}"}]


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """Of 600 customers who lapse a fifth is held out. Every second who gets the plain variant buys, and all others."""
    folder = tmp_path_factory.mktemp("variants")
    with workplace(endpoints, folder) as lent, ExitStack() as stack:
        tested = campaign("win-back", "lapsing", "on_enter") | {"holdout_percent": 20, "variants": VARIANTS}
        write_json(folder / "definitions" / "campaigns" / "win-back.json", tested)
        stack.callback(lent.start_worker().stop)
        lent.set_customers(CUSTOMERS)
        lent.update(*CUSTOMERS)
        lent.set_customers(CUSTOMERS, days=90)
        lent.update(*CUSTOMERS)
        sent = {key: of_variant(lent, "campaign-triggers", key) for key in ("plain", "gift")}
        lent.publish("outcomes", *(convert(lent, each, "0") for each in [*sent["plain"][::2], *sent["gift"]]))
        lent.settle()
        yield lent


def of_variant(place: Workplace, topic: str, key: str) -> list[dict[str, Any]]:
    return [each.body for each in place.see(topic) if each.body["campaign_variant"] == key]


def test_a_trigger_carries_what_its_variant_says(place: Workplace) -> None:
    """As does the exposure of a customer who is held out."""
    for topic in ("campaign-triggers", "campaign-triggers.control"):
        assert {each["offer"]["id"] for each in of_variant(place, topic, "gift")} == {2}
        assert {each["message"].startswith("Take ") for each in of_variant(place, topic, "gift")} == {True}
        assert {each["message"].startswith("Take ") for each in of_variant(place, topic, "plain")} == {False}


def test_performance_compares_the_variants(place: Workplace, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = place.holdfast("campaigns", "performance", "win-back", "--json", "--html", str(page))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    plain, gift = found["variants"]
    exposed = Counter(
        each.body["campaign_variant"]
        for topic in ("campaign-triggers", "campaign-triggers.control")
        for each in place.see(topic)
    )
    assert {each["variant"]: each["customers"] for each in (plain, gift)} == exposed
    assert gift["against_first"]["conversion_rate"]["difference"] == pytest.approx(0.5, abs=0.01)
    assert gift["against_first"]["conversion_rate"]["established"]
    assert gift["effect"]["conversion_rate"]["treated"] == 1
    assert found["variant_ratio"]["alarm"] is False
    assert "<h2>Variants</h2>" in page.read_text()


def test_the_terminal_says_which_variant_is_better(place: Workplace) -> None:
    done = place.holdfast("campaigns", "performance", "win-back")
    assert done.returncode == 0, done.stderr
    assert "Variant gift converts more customers than plain, by +" in done.stdout


def test_explain_names_the_variant(place: Workplace) -> None:
    trigger = of_variant(place, "campaign-triggers", "gift")[0]
    done = place.holdfast("explain", trigger["customer_id"])
    assert "win-back: contacted, entered lapsing, variant gift" in done.stdout
