"""What can go wrong in a measurement.

BenchmarkError
├── WorkerEndedError        a worker ended before it was done
├── WorkerStalledError      a worker commits nothing any more
├── ContenderError          a peer ended without figures
├── WorkloadError           the events did not lead to what they should
└── ResultsError            results that are not there, or incomplete
"""

from __future__ import annotations

import click


class BenchmarkError(click.ClickException):
    """Anything that makes a measurement worthless; the message says what to do."""


class WorkerEndedError(BenchmarkError):
    """A worker ended before its time; the message shows the end of its log."""


class WorkerStalledError(BenchmarkError):
    """Nothing was committed for two minutes; the message shows the end of the worker's log."""


class ContenderError(BenchmarkError):
    """A peer is not installed, or ended without figures."""


class WorkloadError(BenchmarkError):
    """The events did not lead to as many triggers as they should, or not all were published."""


class ResultsError(BenchmarkError):
    """There are no results to show, or parts of them are missing."""
