"""The per-event baseline without its I/O: scores, rules and the campaigns that a membership change triggers.

usual_faust.py and usual_quix.py do the I/O in the style of each framework's own examples: one GET of the customer's
segments, one SELECT of the row, one call of the shipped churn model, json-logic-qubit for each rule, one INSERT and one
send of the outcome, and a SET if memberships changed. The baseline scores no offers, reads no sentiment and does not
deduplicate triggers: all of that would cost it more. Environment variables hold the addresses.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from json_logic import jsonLogic
from tflite_runtime.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

KEY = "usual:{}"
SELECT = "SELECT * FROM customer_features_view WHERE customer_id = %s"
CREATE = """
    CREATE TABLE IF NOT EXISTS usual_outcome (
        event_id text, customer_id text, occurred_at timestamptz, churn double precision, campaigns text[])
"""
INSERT = "INSERT INTO usual_outcome VALUES (%s, %s, %s, %s, %s)"
COLUMNS = (
    "total_revenue",
    "transaction_count",
    "days_since_last_transaction",
    "avg_transaction_value",
    "lifetime_value",
    "transactions_90d",
    "items_total",
    "cancellations",
)
"""The inputs of the shipped churn model, in its order."""


class Addresses:
    """Addresses and folders, from the environment."""

    redis = os.environ["HOLDFAST_REDIS_URL"]
    ledger = os.environ["HOLDFAST_LEDGER_URL"]
    warehouse = os.environ["HOLDFAST_WAREHOUSE_URL"]
    definitions = Path(os.environ["HOLDFAST_DEFINITIONS_DIR"])
    models = Path(os.environ["HOLDFAST_MODELS_DIR"])
    outcomes = os.environ["HOLDFAST_TOPIC_PREFIX"] + "decisions"
    warm = int(os.environ["BENCHMARK_WARM_EVENTS"])


class BaselineJob:
    """Model, rules and campaigns, loaded once."""

    def __init__(self) -> None:
        churn = Addresses.models / "churn"
        version = (churn / "current").read_text().strip()
        self._model = Interpreter(str(churn / "versions" / version / "model.tflite"), num_threads=1)
        self._into = self._model.get_input_details()[0]["index"]
        self._model.resize_tensor_input(self._into, [1, len(COLUMNS)])
        self._model.allocate_tensors()
        self._out_of = self._model.get_output_details()[0]["index"]
        self._rules = {each["key"]: each["rule"] for each in _read_all(Addresses.definitions / "segments")}
        self._campaigns = [each for each in _read_all(Addresses.definitions / "campaigns") if isinstance(each, dict)]

    def score(self, row: Mapping[str, Any]) -> float:
        """Return the churn probability of a customer."""
        self._model.set_tensor(self._into, np.array([[row[name] for name in COLUMNS]], dtype=np.float32))
        self._model.invoke()
        return float(self._model.get_tensor(self._out_of)[0, 0])

    def classify(self, facts: Mapping[str, Any]) -> set[str]:
        """Return the segments of a customer."""
        return {key for key, rule in self._rules.items() if jsonLogic(rule, facts)}

    def find_campaigns(self, facts: Mapping[str, Any], entered: Collection[str]) -> list[str]:
        """Return the campaigns that contact the customer now."""
        return [each["key"] for each in self._campaigns if each["segment"] in entered and facts["email_consent"]]


def outcome(event: Mapping[str, Any], churn: float, campaigns: Sequence[str]) -> dict[str, Any]:
    """Return the outcome to store and send for an event, in the order of the table's columns."""
    return {
        "event_id": event["id"],
        "customer_id": event["customer_id"],
        "occurred_at": event["occurred_at"],
        "churn": churn,
        "campaigns": list(campaigns),
    }


def _read_all(folder: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
