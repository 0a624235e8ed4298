"""The workers of a soak and the supervisor that restarts them, as systemd or Kubernetes would."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.disturbances import SEATS, draw_inside, draw_sleep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.run import Run, WorkerProcess

LONGEST_PAUSE_S = 1.0
PROBE_EVERY_S = 5.0
FAILURES = 3
STOP_S = 90.0
CLAIMED = "partition_acquired"


@dataclass(slots=True)
class Seat:
    """A slot for successive workers; times are of the monotonic clock."""

    name: str
    chance: random.Random
    instance: str | None = None
    worker: WorkerProcess | None = None
    is_open: bool = True
    start_at: float = 0.0
    wake_at: float | None = None
    probe_at: float = 0.0
    failures: int = 0

    @property
    def running(self) -> WorkerProcess | None:
        """The worker, or None if it has ended."""
        return self.worker if self.worker is not None and self.worker.is_running() else None


@dataclass(slots=True)
class Crew:
    """Two seats whose workers are always restarted, and one for a temporary worker. Not thread-safe.

    The first seat has an instance id in the consumer group (static membership), the others have none.
    """

    run: Run
    seed: int
    disturbs: bool = False
    """Whether new workers are started with faults."""
    exits: Counter[str] = field(default_factory=Counter)
    seats: dict[str, Seat] = field(default_factory=dict)
    _guest_leaves: tuple[float, signal.Signals] = (0.0, signal.SIGTERM)

    def __post_init__(self) -> None:
        for name in (*SEATS, "guest"):
            self.seats[name] = Seat(name, random.Random(f"{name} {self.seed}"))
        self.seats[SEATS[0]].instance = SEATS[0]
        self.seats["guest"].is_open = False

    def tend(self) -> None:
        """Restart ended workers, wake frozen ones, and stop the temporary worker in time; call it periodically."""
        now = time.monotonic()
        self._part_with_guest(now)
        for seat in self.seats.values():
            if seat.worker is not None and seat.running is None:
                self._clear(seat, now)
            if seat.worker is None and seat.is_open and now >= seat.start_at:
                seat.worker = self.run.start(draw_inside(seat.chance) if self.disturbs else "", instance=seat.instance)
            self._wake(seat, now)
            self._probe(seat, now)

    def signal(self, name: str, number: signal.Signals) -> int | None:
        """Send a signal to the worker of a seat and return its process id; None if there is none."""
        worker = self.seats[name].running
        if worker is None:
            return None
        worker.signal(number)
        return worker.process.pid

    def freeze(self, name: str, seconds: float) -> bool:
        """Stop a worker with SIGSTOP for this time; False if there is none."""
        self.seats[name].wake_at = time.monotonic() + seconds
        return self.signal(name, signal.SIGSTOP) is not None

    def invite(self, seconds: float, parting: signal.Signals) -> None:
        """Start a temporary worker, and end it by a signal after this time."""
        self.seats["guest"].is_open = True
        self._guest_leaves = time.monotonic() + seconds, parting

    def calm_down(self) -> None:
        """Wake all workers, stop the temporary one, and start new workers without faults."""
        self.disturbs = False
        self._guest_leaves = time.monotonic(), signal.SIGTERM
        for seat in self.seats.values():
            seat.wake_at = time.monotonic()

    def stop(self) -> list[str]:
        """Stop all workers gracefully, and return a complaint for each that did not stop."""
        for seat in self.seats.values():
            seat.is_open = False
        running = list(self._running())
        for _, worker in running:
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while any(worker.is_running() for _, worker in running) and time.monotonic() < deadline:
            for seat, _ in running:
                self._wake(seat, deadline)
            time.sleep(0.05)
        stubborn = [f"{worker.log} did not stop within {STOP_S:.0f} s" for _, worker in running if worker.is_running()]
        for _, worker in running:
            worker.end()
        return stubborn

    def find_pids(self) -> set[int]:
        """Return the process ids of the running workers."""
        return {worker.process.pid for _, worker in self._running()}

    def is_at_work(self) -> bool:
        """Return whether exactly the two workers run, both are awake, and both have claimed partitions."""
        running = list(self._running())
        seats = [seat.name for seat, worker in running if not worker.is_frozen() and CLAIMED in worker.log.read_text()]
        return len(running) == len(seats) and seats == list(SEATS)

    def _running(self) -> Iterator[tuple[Seat, WorkerProcess]]:
        for seat in self.seats.values():
            if seat.running is not None:
                yield seat, seat.running

    def _clear(self, seat: Seat, now: float) -> None:
        assert seat.worker is not None
        self.exits[str(seat.worker.process.returncode)] += 1
        seat.worker, seat.wake_at, seat.failures = None, None, 0
        seat.start_at = now + seat.chance.uniform(0, LONGEST_PAUSE_S)

    def _part_with_guest(self, now: float) -> None:
        leaves_at, parting = self._guest_leaves
        guest = self.seats["guest"]
        if guest.is_open and now >= leaves_at:
            guest.is_open = False
            self.signal("guest", parting)

    def _wake(self, seat: Seat, now: float) -> None:
        """Wake a worker whose sleep is over; the sleep of one that froze itself begins now."""
        worker = seat.running
        if worker is None or not worker.is_frozen():
            return
        if seat.wake_at is None:
            seat.wake_at = now + draw_sleep(seat.chance) if self.disturbs else now
        if now >= seat.wake_at:
            seat.wake_at = None
            worker.signal(signal.SIGCONT)

    def _probe(self, seat: Seat, now: float) -> None:
        """Kill a worker that is awake and has failed its liveness probe several times in a row."""
        worker = seat.running
        if worker is None or seat.wake_at is not None or now < seat.probe_at:
            return
        seat.probe_at = now + PROBE_EVERY_S
        seat.failures = 0 if worker.is_live() else seat.failures + 1
        if seat.failures >= FAILURES:
            self.exits["stuck"] += 1
            worker.signal(signal.SIGKILL)
