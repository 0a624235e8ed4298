"""Sample predictions for trying things out without a model: ML_MOCK_MODE."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import FeatureTable


class MockScorer:
    """A Scorer whose scores depend on nothing but the customer's id and the name of the model."""

    version = "mock"
    basis = "mock"
    columns = ()
    spreads = 0

    def __init__(self, name: str, outputs: int, scale: float = 1.0) -> None:
        self._name = name
        self._outputs = outputs
        self._scale = scale

    def score(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return scores from 0 to `scale`, shape [customers, outputs], the same for the same customer."""
        hashes = [
            [crc32(f"{self._name}:{output}:{customer_id}".encode()) for output in range(self._outputs)]
            for customer_id in table.customer_ids
        ]
        unit = np.array(hashes, dtype=np.float64).reshape(len(table), self._outputs) / 2**32
        # Squared, since real scores crowd at the low end too.
        return (self._scale * unit**2).astype(np.float32)

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return the same: samples have no spread."""
        return self.score(table)
