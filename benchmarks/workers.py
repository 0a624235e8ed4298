"""Workers in processes of their own, and how far they have come."""

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
    """Worker processes of one group.

    Attributes:
        processes: those that were started.
        memory_mb: resident memory of the first one, each time that it was looked at.
    """

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
        self.processes = processes
        self.memory_mb: list[float] = []
        self._log = log

    @property
    def pids(self) -> dict[str, int]:
        """The number of each process, by a name for it."""
        return {f"worker {number}": process.pid for number, process in enumerate(self.processes)}

    def check_alive(self) -> None:
        """Look at them once.

        Raises:
            WorkerEndedError: one of them has ended.
        """
        for process in self.processes:
            if process.poll() is not None:
                raise WorkerEndedError(f"a worker ended with exit code {process.returncode}; {self.describe_log()}")
        self.memory_mb.append(resident_mb(self.processes[0].pid))

    def describe_log(self) -> str:
        """Return how the log ends, in words."""
        return "its log ends:\n" + self._log.read_text(errors="replace")[-LOG_END:]

    def stop(self) -> None:
        """Ask all of them to end, and wait until they have."""
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
    """Yield workers, one for each of `cores` and bound to it; None is bound to no core. They have ended afterwards.

    Args:
        environment: their settings.
        log: what they write goes here.
        cores: where each of them may run.
        command: the arguments to our interpreter.
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
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output
    )
    if core is not None:
        # Before it has threads: those to come inherit it.
        os.sched_setaffinity(process.pid, {core})
    return process


class Committed:
    """How much of the input a group has committed.

    Args:
        broker: Kafka's address.
        group: the workers' group.
        topics: full names of the input topics.
    """

    def __init__(self, broker: str, group: str, topics: Sequence[str]) -> None:
        self._group = group
        self._admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
        self._client = Consumer({"bootstrap.servers": broker, "group.id": group, "log_level": 0})
        self._places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]

    def count(self) -> int:
        """Return the number of records committed; 0 while the broker has not yet found who keeps the group."""
        try:
            return sum(max(place.offset, 0) for place in self._client.committed(self._places, timeout=20))
        except KafkaException:
            return 0

    def wait_for_members(self, workers: Workers) -> None:
        """Wait until all workers have joined the group and know their partitions.

        Raises:
            WorkerEndedError: a worker has ended meanwhile.
            WorkerStalledError: they have not within two minutes.
        """
        since = time.monotonic()
        while self._count_members() < len(workers.processes):
            workers.check_alive()
            if time.monotonic() > since + STALLED_S:
                raise WorkerStalledError(f"not all workers have joined; {workers.describe_log()}")
            time.sleep(POLL_S)

    def _count_members(self) -> int:
        """Return how many the group has; 0 while it shares partitions out."""
        try:
            found = self._admin.describe_consumer_groups([self._group])[self._group].result()
        except KafkaException:
            return 0
        return len(found.members) if found.state == ConsumerGroupState.STABLE else 0

    def wait_for(self, count: int, workers: Workers) -> int:
        """Wait until so many are committed, and return how many are then.

        Raises:
            WorkerEndedError: a worker has ended meanwhile.
            WorkerStalledError: nothing was committed for two minutes.
        """
        before, since = 0, time.monotonic()
        while (found := self.count()) < count:
            workers.check_alive()
            if found > before:
                before, since = found, time.monotonic()
            if time.monotonic() > since + STALLED_S:
                raise WorkerStalledError(f"a worker stands at {found} of {count} events; {workers.describe_log()}")
            time.sleep(POLL_S)
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
