"""`holdfast predict` next to a worker, on real services."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from tests.journey.test_worker import workplace
from tests.model_versions import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

# With these the table has every column of the shipped models.
MORE_COLUMNS = """
ALTER TABLE customer_features_view ADD COLUMN IF NOT EXISTS transactions_90d integer DEFAULT 1,
    ADD COLUMN IF NOT EXISTS items_total integer DEFAULT 30, ADD COLUMN IF NOT EXISTS cancellations integer DEFAULT 2
"""


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose worker has the shipped models of churn and of offers, and the rule of lifetime value."""
    folder = tmp_path_factory.mktemp("predictions")
    models = shutil.copytree(SHIPPED, folder / "models")
    with workplace(endpoints, folder) as lent:
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute(MORE_COLUMNS)
        environment = {**lent.environment, "HOLDFAST_MODELS_DIR": str(models), "ML_MOCK_MODE": "false"}
        yield replace(lent, environment=environment)


def ask(place: Workplace, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.do("predict", *arguments, "--json").splitlines()]


def test_the_command_says_what_the_worker_decided_with(place: Workplace) -> None:
    """The trigger carries the same probability, band, value and version; `high` of a trigger includes critical."""
    place.start_worker()
    for customer, days in (("pia", 90), ("per", 300)):
        place.set_customer(customer)
        place.update(customer)
        place.set_customer(customer, days=days)
        place.update(customer)
    for customer in ("pia", "per"):
        (trigger,) = place.triggers(customer)
        (churn,), (ltv,), (nbo,) = (ask(place, kind, customer) for kind in ("churn", "ltv", "nbo"))
        assert churn["churn_probability"] == pytest.approx(trigger["churn_probability"], abs=2e-6)
        assert churn["churn_risk"].replace("critical", "high") == trigger["churn_risk"]
        assert churn["decision_basis"] == trigger["decision_basis"] == "model"
        assert churn["model_version"] == f"ml_{trigger['versions']['churn']}"
        assert (ltv["predicted_ltv"], ltv["model_version"]) == (trigger["predicted_ltv"], "rules_v1")
        assert {each["offer_id"]: each["score"] for each in nbo["all_offers"]}[trigger["offer"]["id"]] == pytest.approx(
            trigger["offer"]["score"], abs=2e-6
        )


def test_a_segment_and_all_customers_are_predicted(place: Workplace) -> None:
    for customer, days in (("sue", 10), ("sam", 100)):
        place.set_customer(customer, days=days)
    members = {each["customer_id"] for each in ask(place, "rfm", "--segment", "lapsing")}
    assert "sam" in members
    assert "sue" not in members
    out = place.folder / "all.parquet"
    said = place.do("predict", "churn", "--all", "--out", str(out))
    rows = duckdb.read_parquet(str(out)).fetchall()
    assert said == f"wrote {len(rows)} predictions to {out}\n"
    assert {"sue", "sam"} <= {row[0] for row in rows}
    (sam,) = ask(place, "churn", "sam")
    assert {row[0]: row[1] for row in rows}["sam"] == pytest.approx(sam["churn_probability"], abs=2e-6)


def test_a_warehouse_that_cannot_be_read_is_one_sentence(place: Workplace) -> None:
    """No server, no table, and a row that the view cannot compute."""
    url = place.environment["HOLDFAST_WAREHOUSE_URL"]
    away = place.holdfast("predict", "churn", "ann", HOLDFAST_WAREHOUSE_URL="postgresql://127.0.0.1:1/none")
    lost = place.holdfast("predict", "churn", "ann", DWH_CUSTOMER_FEATURES_TABLE="nowhere")
    with psycopg.connect(url) as warehouse:
        warehouse.execute(
            """CREATE OR REPLACE VIEW broken_view AS SELECT customer_id, 1 / (days_since_last_transaction - 7) AS odd,
               days_since_last_transaction, total_revenue, transaction_count FROM customer_features_view"""
        )
    place.set_customer("odd", days=7)
    broken = place.holdfast("predict", "churn", "odd", DWH_CUSTOMER_FEATURES_TABLE="broken_view")
    for ended, sentence in (
        (away, "no connection to the warehouse"),
        (lost, "no table nowhere"),
        (broken, "the server cannot compute a row (division by zero)"),
    ):
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("holdfast: ")
        assert sentence in ended.stderr
        assert "Traceback" not in ended.stderr
