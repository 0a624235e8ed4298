"""Worker processes and the progress of their consumer group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.errors import WorkerEndedError, WorkerStalledError
from benchmarks.processes import resident_mb
from benchmarks.workload import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
COMMAND = ("-m", "streams")
POLL_S = 0.05
STOP_S = 40
LOG_END = 2000
STALLED_S = 120


class Workers:
    """Worker processes of one consumer group.

    Attributes:
        processes: the processes started.
        memory_mb: resident memory of the first one at each check.
    """

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
        self.processes = processes
        self.memory_mb: list[float] = []
        self._log = log

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each worker, by name."""
        return {f"worker {number}": process.pid for number, process in enumerate(self.processes)}

    def check_alive(self) -> None:
        """Check all processes once.

        Raises:
            WorkerEndedError: a process has ended.
        """
        for process in self.processes:
            if process.poll() is not None:
                raise WorkerEndedError(f"a worker ended with exit code {process.returncode}; {self.describe_log()}")
        self.memory_mb.append(resident_mb(self.processes[0].pid))

    def describe_log(self) -> str:
        """Return the end of the log for an error message."""
        return "its log ends:\n" + self._log.read_text(errors="replace")[-LOG_END:]

    def replace_first(self, environment: Mapping[str, str], command: Sequence[str] = COMMAND) -> None:
        """Start a worker in place of the first process, which has ended."""
        with self._log.open("ab") as output:
            self.processes = [*self.processes[1:], _start(environment, output.fileno(), None, command)]

    def stop(self) -> None:
        """Send SIGTERM to all processes, and wait until they have ended."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(STOP_S)


@contextmanager
def run_workers(
    environment: Mapping[str, str],
    log: Path,
    *,
    cores: Sequence[int | None] = (None,),
    command: Sequence[str] = COMMAND,
) -> Iterator[Workers]:
    """Run one worker per entry of `cores` during the block, bound to that core; None does not bind it.

    Args:
        environment: settings of the workers.
        log: file for their output.
        cores: the core of each worker.
        command: the interpreter arguments that start a worker.
    """
    with log.open("wb") as output:
        workers = Workers([_start(environment, output.fileno(), core, command) for core in cores], log)
    try:
        yield workers
        workers.stop()
    finally:
        for process in workers.processes:
            process.kill()
            process.wait()


def _start(
    environment: Mapping[str, str], output: int, core: int | None, command: Sequence[str]
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of this repository
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output
    )
    if core is not None:
        # Set before it has threads: later threads inherit it.
        os.sched_setaffinity(process.pid, {core})
    return process


class Committed:
    """The committed progress of a consumer group.

    Args:
        broker: Kafka's address.
        group: the workers' consumer group.
        topics: full names of the input topics.
    """

    def __init__(self, broker: str, group: str, topics: Sequence[str]) -> None:
        self._group = group
        self._admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
        self._client = Consumer({"bootstrap.servers": broker, "group.id": group, "log_level": 0})
        self._places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]

    def count(self) -> int:
        """Return the number of records committed; 0 while the group has no coordinator."""
        try:
            return sum(max(place.offset, 0) for place in self._client.committed(self._places, timeout=20))
        except KafkaException:
            return 0

    def wait_for_members(self, workers: Workers, members: int = 1) -> None:
        """Wait until the group has this many members and each has its partitions.

        Raises:
            WorkerEndedError: a worker has ended.
            WorkerStalledError: they have not joined within two minutes.
        """
        since = time.monotonic()
        while self._count_members() != members:
            workers.check_alive()
            if time.monotonic() > since + STALLED_S:
                raise WorkerStalledError(f"not all workers have joined; {workers.describe_log()}")
            time.sleep(POLL_S)

    def _count_members(self) -> int:
        """Return the number of members; 0 during a rebalance."""
        try:
            found = self._admin.describe_consumer_groups([self._group])[self._group].result()
        except KafkaException:
            return 0
        return len(found.members) if found.state == ConsumerGroupState.STABLE else 0

    def wait_for(self, count: int, workers: Workers) -> int:
        """Wait until at least `count` records are committed, and return the number committed.

        Raises:
            WorkerEndedError: a worker has ended.
            WorkerStalledError: nothing was committed for two minutes.
        """
        before, since = 0, time.monotonic()
        while (found := self.count()) < count:
            workers.check_alive()
            if found > before:
                before, since = found, time.monotonic()
            if time.monotonic() > since + STALLED_S:
                raise WorkerStalledError(
                    f"the workers have stalled at {found} of {count} events; {workers.describe_log()}"
                )
            time.sleep(POLL_S)
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
