"""Stops an experiment on a model by itself when its challenger is clearly worse.

Every worker looks, now and then. The first one that finds it stores the stop in the ledger; every worker takes it up
within seconds (runtime/model_reload.py), and the champion decides for everybody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from campaigns.errors import LedgerUnavailableError
from campaigns.model_experiments import evaluate_experiment, find_harm
from campaigns.postgres_experiments import open_experiments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from models.experiments import Experiment

log = structlog.get_logger()


class ExperimentWatch:
    """Looks at the experiments in force.

    Args:
        ledger_url: the ledger.
        running: returns the experiments in force.
        every_s: the pause between two looks.
    """

    def __init__(self, ledger_url: str, running: Callable[[], Collection[Experiment]], *, every_s: float) -> None:
        self._ledger_url = ledger_url
        self._running = running
        self._every_s = every_s

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            live = [each for each in self._running() if not each.is_shadow]
            for experiment in live:
                try:
                    reason = await asyncio.to_thread(stop_if_worse, self._ledger_url, experiment)
                except LedgerUnavailableError:
                    continue  # the worker's own requests report it
                if reason is not None:
                    log.warning("experiment_stopped", experiment=experiment.key, model=experiment.model, reason=reason)


def stop_if_worse(ledger_url: str, experiment: Experiment) -> str | None:
    """Stop an experiment whose challenger is clearly worse; return why, None where it goes on or was stopped before.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached now.
    """
    with open_experiments(ledger_url) as ledger:
        reason = find_harm(evaluate_experiment(ledger.find_days(experiment.key), experiment.share))
        return reason if reason is not None and ledger.stop(experiment.key, reason) else None
