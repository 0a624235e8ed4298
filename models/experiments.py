"""Experiments on a model: a challenger next to the version that serves, the champion.

    <models_dir>/<name>/experiments.jsonl     every experiment, the oldest first; the last one may run

The file is replaced by one rename under the lock of the model's folder, as `current` is: a reader sees an experiment
with all of its fields, or none. An experiment is in force while its champion serves: promotions and rollbacks end it.
A worker ends it in the ledger when the challenger is clearly worse, because workers may not write here; see
campaigns/model_experiments.py.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models.errors import ExperimentError
from models.folder import format_moment, replace_file
from models.regular_file import read_regular_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

EXPERIMENTS_FILE = "experiments.jsonl"
FILE_BYTES = 64 * 2**20
"""The most that the file may have."""
ACTOR = "holdfast"
"""Who stopped an experiment that no person stopped."""


class Arm(StrEnum):
    """Whose scores decide for a customer; in a shadow experiment the champion's for all."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A line of the file.

    Attributes:
        key: names it in decisions, and is the salt of its assignment.
        model: churn, nbo or ltv.
        champion: the version that served when it began.
        challenger: the version that is tried.
        share: of the customers whom the challenger's scores decide for; 0 for a shadow, whose scores decide nothing.
        started_at: RFC 3339, UTC.
        started_by: who started it.
        why: the reason given; empty when none was.
        stopped_at: RFC 3339, UTC; None while it runs.
        stopped_by: who stopped it, promoted or rolled back; `holdfast` where it stopped by itself.
        stop_reason: why it ended.
    """

    key: str
    model: str
    champion: str
    challenger: str
    share: float
    started_at: str
    started_by: str
    why: str = ""
    stopped_at: str | None = None
    stopped_by: str = ""
    stop_reason: str = ""

    @property
    def is_shadow(self) -> bool:
        """Whether the challenger decides nothing."""
        return not self.share

    @property
    def mode(self) -> str:
        """What it is, as a word."""
        return "shadow" if self.is_shadow else "live"

    @property
    def threshold(self) -> int:
        """The share in units of 2**-64: a customer whose number is below it has the challenger."""
        return round(self.share * 2**64)

    def assign(self, customer_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return which customers have the challenger, shape [customers]: the same whenever and wherever it is asked.

        A hash of experiment and customer, as the control group of a campaign: no storage, and independent of the
        assignment of every other experiment, campaign and variant.
        """
        if self.is_shadow:
            return np.zeros(len(customer_ids), dtype=np.bool_)
        salt, threshold = f"model\x1f{self.key}\x1f".encode(), self.threshold.to_bytes(8)
        return np.fromiter(
            (hashlib.sha256(salt + each.encode()).digest()[:8] < threshold for each in customer_ids),
            dtype=np.bool_,
            count=len(customer_ids),
        )

    def arm_of(self, customer_id: str) -> Arm:
        """Return the arm of one customer."""
        return Arm.CHALLENGER if self.assign([customer_id])[0] else Arm.CHAMPION


def read_experiments(home: Path) -> list[Experiment]:
    """Return every experiment, the oldest first.

    Raises:
        ExperimentError: the file cannot be read, or a line is no experiment.
    """
    path = home / EXPERIMENTS_FILE
    try:
        lines = read_regular_file(path, FILE_BYTES, follow=True).decode().splitlines()
        return [msgspec.convert(json.loads(line), Experiment) for line in lines]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise ExperimentError(f"{path}: not a record of experiments ({error}); restore the file") from error


def find_running(home: Path) -> Experiment | None:
    """Return the experiment that runs, None without one.

    Raises:
        ExperimentError: see `read_experiments`.
    """
    last = read_experiments(home)[-1:]
    return last[0] if last and last[0].stopped_at is None else None


def find_tested(home: Path) -> set[str]:
    """Return the versions of the experiment that runs: they must not be deleted.

    Raises:
        ExperimentError: see `read_experiments`.
    """
    running = find_running(home)
    return {running.champion, running.challenger} if running else set()


def add_experiment(home: Path, experiment: Experiment) -> None:
    """Store a new experiment; the caller holds the lock of the folder.

    Raises:
        ExperimentError: see `read_experiments`.
    """
    _write(home, [*read_experiments(home), experiment])


def close_experiment(home: Path, *, at: datetime, by: str, reason: str) -> Experiment | None:
    """End the experiment that runs, and return it; None without one. The caller holds the lock of the folder.

    Raises:
        ExperimentError: see `read_experiments`.
    """
    running = find_running(home)
    if running is None:
        return None
    ended = replace(running, stopped_at=format_moment(at), stopped_by=by, stop_reason=reason)
    _write(home, [*read_experiments(home)[:-1], ended])
    return ended


def _write(home: Path, experiments: Sequence[Experiment]) -> None:
    replace_file(home / EXPERIMENTS_FILE, "".join(json.dumps(asdict(each)) + "\n" for each in experiments))
