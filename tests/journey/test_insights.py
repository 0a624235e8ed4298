"""What batch jobs have learned of a customer decides a segment and stands in a message, on real services."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaigns.postgres_insights import write_insights
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
