"""The rows that a model of leads is trained on, read from the ledger."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from campaigns.leads import LeadRecord
from campaigns.ports import BatchChanges
from campaigns.postgres_ledger import PostgresLedger
from tests.builders import AS_OF
from training.data.lead_rows import read_ledger_rows
from training.errors import TrainingSourceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def record(lead: str, event: str, kind: str, day: int, content: Mapping[str, Any] | None = None) -> LeadRecord:
    return LeadRecord(lead, event, lead, f"lead.{kind}", AS_OF + timedelta(days=day), content or {})


def update(lead: str, event: str, day: int, urgency: float) -> LeadRecord:
    return record(lead, event, "updated", day, {"features": {"urgency_score": urgency, "response_rate": None}})


STORY = [
    update("won", "u1", 1, 0.2),
    update("won", "u2", 2, 0.8),
    record("won", "o1", "lost", 3),
    record("won", "o2", "converted", 5),
    update("won", "u3", 5, 1.0),
    update("lost", "u1", 4, 0.1),
    record("lost", "o1", "lost", 6),
    record("lost", "f1", "wrong_score", 7, {"value": 90}),
    update("judged", "u1", 7, 0.5),
    record("judged", "f1", "wrong_score", 8, {"value": 10}),
    record("judged", "f2", "wrong_score", 9, {"value": 70}),
    record("judged", "f3", "wrong_score", 10, {"value": None}),
    update("open", "u1", 1, 0.4),
    record("unknown", "o1", "converted", 2),
]


async def test_a_row_has_what_was_known_before_the_outcome(ledger_url: str) -> None:
    """The latest outcome counts, before feedback; feedback with a value labels a lead that has none."""
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    epoch = await ledger.claim(3)
    await ledger.commit(BatchChanges(lead_records=STORY), owners={3: epoch})
    await ledger.close()
    rows = read_ledger_rows(ledger_url, date(1970, 1, 1))
    found = zip(rows.customer_ids, rows.columns["urgency_score"], rows.columns["converted"], strict=True)
    assert list(found) == [("won", 0.8, 1), ("lost", 0.1, 0), ("judged", 0.5, 1)]
    assert np.isnan(rows.columns["response_rate"]).all()
    assert len(read_ledger_rows(ledger_url, (AS_OF + timedelta(days=5)).date())) == 1


def test_a_ledger_without_leads_is_named(empty_ledger_url: str) -> None:
    with pytest.raises(TrainingSourceError, match="HOLDFAST_LEDGER_URL"):
        read_ledger_rows(empty_ledger_url, date(1970, 1, 1))
