"""What the usual way does with one event, apart from reading and writing: scores, rules, what a change leads to.

The stores are reached by usual_faust.py and usual_quix.py, as each framework's own examples would: one GET of what is
known of the customer, one SELECT of the row, one call of the shipped churn model, json-logic-qubit for each rule; where
a membership changed one upsert and one SET; one send for each trigger. No decision is recorded, no offer is scored, no
trigger is protected from doubling: all of that would cost it more. Environment variables say where things are.
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
    from collections.abc import Collection, Mapping

KEY = "usual:{}"
SELECT = "SELECT * FROM customer_features_view WHERE customer_id = %s"
CREATE = """
    CREATE TABLE IF NOT EXISTS usual_membership (
        customer_id text, segment text, is_member boolean, changed_at timestamptz, PRIMARY KEY (customer_id, segment))
"""
UPSERT = """
    INSERT INTO usual_membership SELECT %s, segment, is_member, %s
      FROM unnest(%s::text[], %s::boolean[]) AS t (segment, is_member)
    ON CONFLICT (customer_id, segment) DO UPDATE SET is_member = excluded.is_member, changed_at = excluded.changed_at
"""
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


class Places:
    """Where everything is, from the environment."""

    redis = os.environ["HOLDFAST_REDIS_URL"]
    ledger = os.environ["HOLDFAST_LEDGER_URL"]
    warehouse = os.environ["HOLDFAST_WAREHOUSE_URL"]
    definitions = Path(os.environ["HOLDFAST_DEFINITIONS_DIR"])
    models = Path(os.environ["HOLDFAST_MODELS_DIR"])
    triggers = os.environ["HOLDFAST_TOPIC_PREFIX"] + "campaign-triggers"
    warm = int(os.environ["BENCHMARK_WARM_EVENTS"])


class UsualJob:
    """Model, rules and campaigns, loaded once."""

    def __init__(self) -> None:
        churn = Places.models / "churn"
        version = (churn / "current").read_text().strip()
        self._model = Interpreter(str(churn / "versions" / version / "model.tflite"), num_threads=1)
        self._into = self._model.get_input_details()[0]["index"]
        self._model.resize_tensor_input(self._into, [1, len(COLUMNS)])
        self._model.allocate_tensors()
        self._out_of = self._model.get_output_details()[0]["index"]
        self._rules = {each["key"]: each["rule"] for each in _read_all(Places.definitions / "segments")}
        self._campaigns = [each for each in _read_all(Places.definitions / "campaigns") if isinstance(each, dict)]

    def score(self, row: Mapping[str, Any]) -> float:
        """Return the churn probability of a customer."""
        self._model.set_tensor(self._into, np.array([[row[name] for name in COLUMNS]], dtype=np.float32))
        self._model.invoke()
        return float(self._model.get_tensor(self._out_of)[0, 0])

    def classify(self, facts: Mapping[str, Any]) -> set[str]:
        """Return the segments of a customer."""
        return {key for key, rule in self._rules.items() if jsonLogic(rule, facts)}

    def find_triggers(self, facts: Mapping[str, Any], entered: Collection[str]) -> list[dict[str, Any]]:
        """Return what the campaign system is to be told."""
        if not facts["email_consent"]:
            return []
        return [
            {"customer_id": facts["customer_id"], "campaign": each["key"], "churn": facts["churn_probability"]}
            for each in self._campaigns
            if each["segment"] in entered
        ]


def changes(before: Collection[str], after: Collection[str]) -> tuple[list[str], list[bool]]:
    """Return the segments entered or left, and whether each was entered."""
    moved = sorted(set(before) ^ set(after))
    return moved, [each in after for each in moved]


def _read_all(folder: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
