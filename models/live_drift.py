"""Drift of the customers that a worker decides about, in bounded memory.

Each version that serves has counts by column and bin: of features and scores, over the latest `WINDOW` customers that
were looked at, in blocks. The oldest block goes when a new one is full, so the memory depends on neither traffic nor
time. One batch in `EVERY` is looked at, and of that at most `SAMPLE` customers at equal distances: that bounds the
cost, and the window of a busy worker covers more time.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import FeatureTable
from models.drift import ENOUGH_ROWS, LARGEST_PSI, stability_index
from models.errors import VersionError
from models.inputs import readable_inputs
from models.versions import SNAPSHOT_FILE, version_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.ports import Scorer

BLOCK, BLOCKS = 500, 10
WINDOW = BLOCK * BLOCKS
EVERY, SAMPLE = 4, 128
SETTLED = 0.8
"""Drift that was reported is over below this share of the threshold: it does not come and go around it."""


@dataclass(frozen=True, slots=True)
class Bins:
    """The bins of a version, one row for each column of its training snapshot.

    Attributes:
        names: of the columns, features first.
        features: places of the features among the model's inputs.
        scores: how many scores are compared.
        edges: upper edges, shape [columns, edges], infinite where a column has fewer.
        shares: of the training rows, shape [columns, edges + 2]; missing values last.
    """

    names: tuple[str, ...]
    features: NDArray[np.intp]
    scores: int
    edges: NDArray[np.float32]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, snapshot: Mapping[str, Any], inputs: Sequence[str]) -> Bins:
        """Return the bins of a training snapshot.

        Args:
            snapshot: what training/monitoring/drift.py describes.
            inputs: the model's features, in order.

        Raises:
            ValueError, KeyError, TypeError: it is not one.
        """
        known = [place for place, name in enumerate(inputs) if name in snapshot["features"]]
        columns = {inputs[place]: snapshot["features"][inputs[place]] for place in known} | snapshot["scores"]
        widest = max(len(each["edges"]) for each in columns.values())
        edges = np.full((len(columns), widest), np.inf, dtype=np.float32)
        shares = np.zeros((len(columns), widest + 2))
        for row, each in enumerate(columns.values()):
            count = len(each["edges"])
            edges[row, :count] = each["edges"]
            *shares[row, : count + 1], shares[row, -1] = each["shares"]
        return cls(tuple(columns), np.array(known, dtype=np.intp), len(snapshot["scores"]), edges, shares)

    def count(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return how many values are in each bin, shape [columns, edges + 2].

        Args:
            values: shape [rows, columns]; null is NaN.
        """
        columns, bins = self.shares.shape
        places = (values[:, :, None] > self.edges).sum(axis=2)
        places[np.isnan(values)] = bins - 1
        counts = np.bincount((places + np.arange(columns) * bins).ravel(), minlength=columns * bins)
        return counts.reshape(columns, bins)


@dataclass(slots=True)
class _Window:
    """The latest customers of one version, and the columns reported to have drifted."""

    bins: Bins
    blocks: deque[NDArray[np.int64]] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    counts: NDArray[np.int64] = field(init=False)
    drifted: frozenset[str] = frozenset()
    batches: int = 0

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.bins.shares.shape, dtype=np.int64)

    @property
    def rows(self) -> int:
        return int(self._total()[0].sum())

    def add(self, values: NDArray[np.float32]) -> bool:
        """Count customers, and return whether that filled a block."""
        self.counts += self.bins.count(values)
        if self.counts[0].sum() < BLOCK:
            return False
        self.blocks.append(self.counts)
        self.counts = np.zeros_like(self.counts)
        return True

    def measure(self) -> dict[str, float]:
        """Return the PSI by column; nothing before there are enough rows."""
        total = self._total()
        rows = int(total[0].sum())
        if rows < ENOUGH_ROWS:
            return {}
        return dict(zip(self.bins.names, stability_index(self.bins.shares, total / rows).tolist(), strict=True))

    def _total(self) -> NDArray[np.int64]:
        return sum(self.blocks, self.counts)


class LiveDrift:
    """The drift of the versions that serve.

    Args:
        models_dir: the folder of models, whose training snapshots are read once for each version.
        threshold: PSI above it is reported.
        report: called with model, version, the PSI of each column that has drifted since the last call, and of each
            that has not any more.
    """

    def __init__(
        self,
        models_dir: Path,
        report: Callable[[str, str, Mapping[str, float], Mapping[str, float]], None],
        *,
        threshold: float = LARGEST_PSI,
    ) -> None:
        self._models_dir = models_dir
        self._report = report
        self._threshold = threshold
        self._windows: dict[tuple[str, str], _Window | None] = {}

    def note(self, model: str, scorer: Scorer, table: FeatureTable, scores: NDArray[np.float32]) -> None:
        """Count some of the customers whom a version scored.

        Args:
            model: churn, nbo or ltv.
            scorer: scored them.
            table: has the columns that the scorer reads.
            scores: shape [customers, outputs].
        """
        window = self._find(model, scorer)
        if window is None or not len(table):
            return
        window.batches += 1
        if window.batches % EVERY != 1:
            return
        step = -(-len(table) // SAMPLE)
        rows = slice(window.batches // EVERY % step, None, step)
        bins, columns = window.bins, {name: table.columns[name][rows] for name in scorer.columns}
        inputs, _ = readable_inputs(FeatureTable(table.customer_ids[rows], columns), scorer.columns, scorer.categories)
        if window.add(np.hstack([inputs[:, bins.features], scores[rows, : bins.scores]])):
            self._compare(model, scorer.version, window)

    def measure(self) -> dict[tuple[str, str, str], float]:
        """Return the PSI by model, version and column, of the versions with enough customers."""
        return {(*key, column): psi for key, each in self._known() for column, psi in each.measure().items()}

    def count_rows(self) -> dict[tuple[str, str], int]:
        """Return how many customers the window of each version has, by model and version."""
        return {key: each.rows for key, each in self._known()}

    def find_drifted(self) -> dict[tuple[str, str, str], int]:
        """Return 1 for each model, version and column that is reported to have drifted."""
        return {(*key, column): 1 for key, each in self._known() for column in sorted(each.drifted)}

    def keep(self, versions: Mapping[str, str], *others: Mapping[str, str]) -> None:
        """Forget the windows of all other versions.

        Args:
            versions: the version of each model that serves.
            others: further versions in use.
        """
        used = {pair for each in (versions, *others) for pair in each.items()}
        self._windows = {key: each for key, each in self._windows.items() if key in used}

    def _known(self) -> list[tuple[tuple[str, str], _Window]]:
        return [(key, each) for key, each in self._windows.items() if each is not None]

    def _find(self, model: str, scorer: Scorer) -> _Window | None:
        key = (model, scorer.version)
        if key not in self._windows:
            bins = read_bins(self._models_dir / model, scorer)
            self._windows[key] = None if bins is None else _Window(bins)
        return self._windows[key]

    def _compare(self, model: str, version: str, window: _Window) -> None:
        measured, before = window.measure(), window.drifted
        limits = {name: self._threshold * (SETTLED if name in before else 1) for name in measured}
        window.drifted = frozenset(name for name, psi in measured.items() if psi > limits[name])
        begun = {name: measured[name] for name in sorted(window.drifted - before)}
        over = {name: measured[name] for name in sorted(before - window.drifted)}
        if begun or over:
            self._report(model, version, begun, over)


def read_bins(home: Path, scorer: Scorer) -> Bins | None:
    """Return the bins of a version; None where it has no training snapshot that can be used.

    Args:
        home: the model's folder.
        scorer: runs the version.
    """
    manifest: Mapping[str, Any] = getattr(scorer, "manifest", {})
    try:
        path = version_folder(home, scorer.version) / SNAPSHOT_FILE
        return Bins.of(json.loads(path.read_bytes()), manifest["features"])
    except (OSError, ValueError, KeyError, TypeError, VersionError):
        return None
