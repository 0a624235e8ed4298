"""The facts that rules can read, remembered for the builder of rules, which asks at every press of a button."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from console.use_cases.segment_columns import list_fact_columns

if TYPE_CHECKING:
    from console.use_cases.segment_columns import FactColumns
    from streams.settings import Settings

FRESH_S = 300.0


class FactCatalogue:
    """Remembers the last sample of the warehouse.

    Args:
        settings: of the deployment.
        fresh_s: how long a sample is given to all who ask.
    """

    def __init__(self, settings: Settings, *, fresh_s: float = FRESH_S) -> None:
        self._settings = settings
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._columns: FactColumns | None = None
        self._sampled_at = 0.0

    def read(self) -> FactColumns:
        """Return the facts; of personal columns no values. Those who ask meanwhile wait for the same sample.

        Raises:
            WarehouseError: the warehouse cannot be read.
            CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
        """
        with self._lock:
            if self._columns is None or time.monotonic() - self._sampled_at > self._fresh_s:
                found = list_fact_columns(self._settings)
                personal = self._settings.personal_columns
                facts = [replace(each, values=()) if each.name in personal else each for each in found.facts]
                self._columns = replace(found, facts=facts)
                self._sampled_at = time.monotonic()
            return self._columns
