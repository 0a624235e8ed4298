"""What batch jobs have learned of a customer decides a segment and stands in a message, on real services."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from campaigns.postgres_insights import write_insights
from console.use_cases.recommendations import as_facts
from features.insights import CLUSTER, RECOMMENDATIONS
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.services import Endpoints

WORDS = "For you: {{ recommendations[0].name }}."


def test_a_segment_reads_the_cluster_and_a_message_the_recommendation(endpoints: Endpoints, tmp_path: Path) -> None:
    """A customer without a recommendation is not contacted."""
    with workplace(endpoints, tmp_path) as place:
        definitions = tmp_path / "definitions"
        rule = {"==": [{"var": "cluster"}, "c3"]}
        write_json(definitions / "segments" / "bargains.json", {"key": "bargains", "name": "Bargains", "rule": rule})
        told = campaign("to-bargains", "bargains", "on_enter") | {"message": WORDS}
        write_json(definitions / "campaigns" / "to-bargains.json", told)
        worker, ledger = place.start_worker(), place.environment["HOLDFAST_LEDGER_URL"]
        place.set_customers(["ann", "bob", "cy"])
        place.update("ann", "bob", "cy")
        place.settle()
        clusters = [("ann", {"cluster": "c3"}), ("bob", {"cluster": "c3"}), ("cy", {"cluster": "c1"})]
        write_insights(ledger, CLUSTER, clusters, at=datetime.now(UTC))
        lamps = [("ann", {"recommendations": [{"product_id": "p1", "name": "Lamp"}]})]
        write_insights(ledger, RECOMMENDATIONS, lamps, at=datetime.now(UTC))
        place.update("ann", "bob", "cy")
        place.settle()
        sent = [(each.body["customer_id"], each.body["message"]) for each in place.see("campaign-triggers")]
        assert sent == [("ann", "For you: Lamp.")]
        withheld = place.ask_ledger("SELECT customer_id, reason FROM decision WHERE outcome = 'withheld'")
        assert [customer for customer, _ in withheld] == ["bob"]
        worker.stop()


def test_an_offer_is_chosen_by_what_is_recommended(endpoints: Endpoints, tmp_path: Path) -> None:
    """Of ann; bob has no recommendations, and those of cy are too old. A decision made again is the same."""
    with workplace(endpoints, tmp_path) as place:
        definitions, known = tmp_path / "definitions", ["ann", "bob", "cy"]
        write_json(definitions / "segments" / "known.json", {"key": "known", "name": "Known", "rule": {}})
        offers = [
            {"id": 1, "key": "gift", "name": "A gift"},
            {"id": 2, "key": "lamps", "name": "A tenth off", "categories": ["lamps"]},
        ]
        write_json(definitions / "campaigns" / "offers.json", offers)
        words = "{{ offer.name }}{% if offer.product %}: {{ offer.product.name }}{% endif %}"
        policy = {"offers": [1, 2], "offer_policy": "recommended", "message": words, "holdout_percent": 0}
        for each in (definitions / "campaigns").glob("*.json"):
            if each.name != "offers.json":
                each.unlink()
        event = {"launch": "on_event", "event": "customer.updated"}
        write_json(definitions / "campaigns" / "lamps.json", campaign("lamps", "known", "on_enter") | policy | event)
        at, old = datetime.now(UTC), datetime(2011, 6, 1, tzinfo=UTC)
        lamp = {"product_id": "p1", "name": "Lamp", "category": "lamps"}
        rows = [("ann", as_facts([fields(lamp)], at)), ("cy", as_facts([fields(lamp)], old))]
        worker = place.start_worker()
        write_insights(place.environment["HOLDFAST_LEDGER_URL"], RECOMMENDATIONS, rows, at=at)
        place.set_customers(known)
        place.update(*known)
        place.settle()
        sent = {each.body["customer_id"]: each.body["message"] for each in place.see("campaign-triggers")}
        assert sent["ann"] == "A tenth off: Lamp"
        assert sent["bob"] in {"A gift", "A tenth off"}
        details = dict(place.ask_ledger("SELECT customer_id, split_part(detail, ': ', 3) FROM decision"))
        assert details == {
            "ann": "recommendation 1 of 1 is p1",
            "bob": "by expected value, the customer has no recommendations",
            "cy": "by expected value, the recommendations of 2011-06-01 are older than 30 day(s)",
        }
        assert "recomputed: the same" in place.do("explain", "ann", "--recompute")
        worker.stop()


def fields(product: dict[str, Any]) -> dict[str, Any]:
    """A recommendation with all that a batch job states of it."""
    return {"price": 5.0, "score": 0.2, "bought_before": False, "reason": "popular", **product}
