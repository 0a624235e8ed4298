"""What the ledger holds of experiments on models, on one connection."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaigns.exposures import ExposureDay
from campaigns.postgres_connections import connect_ledger
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    import psycopg


@dataclass(frozen=True, slots=True)
class ExperimentStop:
    """That an experiment stopped by itself, when and why."""

    reason: str
    stopped_at: datetime


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the scores of a shadow experiment agree, over the customers that both versions scored.

    Attributes:
        customers: how many.
        correlation: Pearson's, of the scores; None where one of them does not vary.
        distance: the mean absolute difference of the scores; None without customers.
        differing: customers whose band, value segment or best offer differs.
    """

    customers: int
    correlation: float | None
    distance: float | None
    differing: int


class PostgresExperiments:
    """The experiments of a ledger. Calls block."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def find_stops(self, experiments: Collection[str]) -> Mapping[str, ExperimentStop]:
        """Return which of the experiments stopped by themselves, by key."""
        rows = self._rows("experiment_stops", experiments=list(experiments))
        return {experiment: ExperimentStop(*stop) for experiment, *stop in rows}

    def stop(self, experiment: str, reason: str) -> bool:
        """Let an experiment be stopped, and return whether it was not already: then nothing changes."""
        return bool(self._rows("stop_experiment", experiment=experiment, reason=reason))

    def find_days(self, experiment: str, until: datetime | None = None) -> Sequence[ExposureDay]:
        """Return the customers of both arms, the challenger's as the treated ones, by day, and what came of them.

        Args:
            experiment: its key.
            until: leave out contacts that were recorded later; None for all.
        """
        return [ExposureDay(*row) for row in self._rows("experiment_days", experiment=experiment, until=until)]

    def find_agreement(self, experiment: str) -> Agreement:
        """Return how far champion and challenger of a shadow experiment agree."""
        return Agreement(*self._rows("experiment_agreement", experiment=experiment)[0])

    def count_answers(self, experiment: str) -> Mapping[tuple[str | None, str | None], int]:
        """Return customers by what the scores of champion and challenger lead to, the most frequent pair first."""
        rows = self._rows("experiment_answers", experiment=experiment)
        return {(champion, challenger): count for champion, challenger, count in rows}

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_experiments(ledger_url: str) -> Iterator[PostgresExperiments]:
    """Open the ledger for what it holds of experiments.

    Raises:
        LedgerUnavailableError: it cannot be reached, or has no tables yet.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresExperiments(connection)
