"""Re-evaluations in memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaigns.errors import ReevaluationError
from campaigns.records import ReevaluationRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tests.fakes.ledger import InMemoryLedger


class InMemoryReevaluations:
    """Implements `campaigns.ports.Reevaluations` over a ledger in memory."""

    def __init__(self, ledger: InMemoryLedger) -> None:
        self._ledger = ledger
        self._taken = False
        self.records: dict[str, ReevaluationRecord] = {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See the port."""
        if self._taken:
            raise ReevaluationError("another process re-evaluates the customers now; wait until it ends")
        self._taken = True
        try:
            yield
        finally:
            self._taken = False

    def find_unfinished(self, fingerprint: str) -> ReevaluationRecord | None:
        """See the port."""
        found = (each for each in self.records.values() if each.fingerprint == fingerprint and each.done_at is None)
        return next(found, None)

    def begin(self, reevaluation_id: str, fingerprint: str, *, as_of: datetime, by: str) -> ReevaluationRecord:
        """See the port."""
        begun = ReevaluationRecord(reevaluation_id, fingerprint, as_of, by, datetime.now(UTC), None, 0, None)
        self.records[reevaluation_id] = begun
        return begun

    def advance(self, reevaluation_id: str, *, last: str, customers: int) -> None:
        """See the port."""
        record = self.records[reevaluation_id]
        changes = {"last_customer_id": last, "customers": record.customers + customers}
        self.records[reevaluation_id] = replace(record, **changes)

    def finish(self, reevaluation_id: str) -> None:
        """See the port."""
        self.records[reevaluation_id] = replace(self.records[reevaluation_id], done_at=datetime.now(UTC))

    def evaluated(self, customer_ids: Sequence[str], versions: Mapping[str, str]) -> Collection[str]:
        """See the port."""
        known = self._ledger.customers
        return {each for each in customer_ids if each in known and known[each].evaluated_versions == versions}
