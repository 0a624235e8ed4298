"""Errors of a benchmark run.

BenchmarkError
├── WorkerEndedError        a worker ended before it had finished
├── WorkerStalledError      a worker has stopped committing
├── ContenderError          a contender ended without figures
├── WorkloadError           the events did not produce the expected triggers
└── ResultsError            the results are missing or incomplete
"""

from __future__ import annotations

import click


class BenchmarkError(click.ClickException):
    """Any error that invalidates a measurement; the message says what to do."""


class WorkerEndedError(BenchmarkError):
    """A worker ended before it had finished; the message shows the end of its log."""


class WorkerStalledError(BenchmarkError):
    """Nothing was committed for two minutes; the message shows the end of the worker's log."""


class ContenderError(BenchmarkError):
    """A contender is not installed, or ended without figures."""


class WorkloadError(BenchmarkError):
    """The events did not produce the expected number of triggers, or not all triggers were published."""


class ResultsError(BenchmarkError):
    """The results are missing or incomplete."""
