"""Starts the processes of jobs, and ends those that do not stop."""

from __future__ import annotations

import multiprocessing
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.errors import LedgerUnavailableError
from console.jobs.job import HOW_IT_GOES_ON, LANES, State
from console.jobs.process import run_job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import SpawnProcess

    from console.jobs.job import Kind
    from console.jobs.postgres_jobs import PostgresJobs
    from streams.settings import Settings

POLL_S = 1.0
PATIENCE_S = 15.0
"""For a process to stop by itself; then it is killed. It ends within the time that service managers wait."""


@dataclass(slots=True)
class _Run:
    """A job and its process.

    Attributes:
        stop_at: when the process is killed; None while it may go on.
    """

    job_id: str
    runner: str
    process: SpawnProcess
    stop_at: float | None = None


class JobSupervisor:
    """Runs the jobs that wait in the ledger, one of each lane at a time.

    Args:
        settings: those of the console.
        jobs: in the ledger, open.
    """

    def __init__(self, settings: Settings, jobs: PostgresJobs) -> None:
        self._settings = settings
        self._jobs = jobs
        self._runs: dict[Sequence[Kind], _Run] = {}
        self._wakes = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once: a job was added, or is to stop."""
        self._wakes.set()

    def stop(self) -> None:
        """Stop the processes and the thread: what runs is marked as failed, with how it goes on."""
        self._ends = True
        self._wakes.set()
        self._thread.join()
        for run in self._runs.values():
            run.process.terminate()
        for run in self._runs.values():
            run.process.join(PATIENCE_S)
            run.process.kill()
            run.process.join()
            with suppress(LedgerUnavailableError):
                self._jobs.end(run.job_id, run.runner, State.FAILED, error=_describe_end(run.process.exitcode))

    def _run(self) -> None:
        while not self._ends:
            with suppress(LedgerUnavailableError):  # the next look may find it; processes find out by themselves
                self._look()
            self._wakes.wait(POLL_S)
            self._wakes.clear()

    def _look(self) -> None:
        for lane, run in [*self._runs.items()]:
            if run.process.is_alive():
                self._end_stuck(run)
            else:
                self._jobs.end(run.job_id, run.runner, State.FAILED, error=_describe_end(run.process.exitcode))
                del self._runs[lane]
        self._jobs.end_lost()
        for lane in LANES:
            if lane not in self._runs and not self._ends:
                self._claim(lane)

    def _claim(self, lane: Sequence[Kind]) -> None:
        runner = secrets.token_hex(8)
        job_id = self._jobs.claim(lane, runner)
        if job_id is None:
            return
        # Spawned, and not forked: threads of the console hold locks. The settings go through a pipe.
        process = multiprocessing.get_context("spawn").Process(
            target=run_job, args=(self._settings, job_id, runner), name=f"job {job_id}", daemon=True
        )
        process.start()
        self._runs[lane] = _Run(job_id, runner, process)

    def _end_stuck(self, run: _Run) -> None:
        if run.stop_at is None:
            job = self._jobs.find(run.job_id)
            if job.state.is_over or job.stop_requested_by is not None:
                run.stop_at = time.monotonic() + PATIENCE_S
        elif time.monotonic() > run.stop_at:
            self._jobs.end(run.job_id, run.runner, State.STOPPED)
            run.process.kill()


def _describe_end(code: int | None) -> str:
    how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
    return (
        f"its process ended {how} before the job was done; where it was no signal, the console's log has the "
        f"traceback; {HOW_IT_GOES_ON}"
    )
