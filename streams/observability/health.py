"""What is known of the worker's state, and what follows from it for those who ask /health.

Three questions, three answers:

* alive: is there a point in letting it run? No, when its consumer is stuck: starting it again is the known cure.
* ready: does it do its work? Not before it has joined its group, nor while it waits for a service or is stuck.
* degraded: what is not as it should be, though the work goes on.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Status(StrEnum):
    """The worst that holds, in one word."""

    STARTING = "starting"
    RETRYING = "retrying"
    STUCK = "stuck"
    DEGRADED = "degraded"
    OK = "ok"


def derive_status(*, started: bool, retrying: bool, stuck: bool, degraded: bool) -> Status:
    """Return the worst that holds. What waits for a service is not stuck: it goes on when the service is back."""
    if retrying:
        return Status.RETRYING
    if stuck:
        return Status.STUCK
    if not started:
        return Status.STARTING
    return Status.DEGRADED if degraded else Status.OK


@dataclass(slots=True, eq=False)
class RetryAttempt:
    """An operation on a service, tried until it succeeds: how often it failed so far, and the last words heard."""

    service: str
    health: Health
    attempts: int = 0
    error: str = ""

    def note_failure(self, error: object) -> None:
        """Note that an attempt failed."""
        self.attempts += 1
        self.error = str(error)
        self.health.begin_outage(self)

    def note_success(self) -> None:
        """Note that an attempt succeeded; the next one may fail again."""
        if self.attempts:
            self.attempts, self.error = 0, ""
            self.health.end_outage(self)


@dataclass(frozen=True, slots=True)
class Outage:
    """What is known of a service that something waits for: seconds since when, failed attempts, the last words."""

    seconds: float
    attempts: int
    error: str


@dataclass(slots=True)
class Health:
    """What is known of the worker's state; whoever learns something writes it here.

    Attributes:
        ready: the stages run. Whether the worker has joined its group is asked of `joined`.
        joined: tells whether the group has given out partitions, be it none to us.
        degraded: names what is not as it should be and does not stop the work.
        stuck: names what has not moved for too long.
        versions: tells the version of each model that serves.
        clock: monotonic seconds.
        failures: attempts that failed, by service.
    """

    ready: bool = False
    joined: Callable[[], bool] = lambda: True
    degraded: Callable[[], Sequence[str]] = list
    stuck: Callable[[], Sequence[str]] = list
    versions: Callable[[], Mapping[str, str]] = dict
    clock: Callable[[], float] = time.monotonic
    failures: Counter[str] = field(default_factory=Counter)
    _failing: dict[str, list[RetryAttempt]] = field(default_factory=lambda: defaultdict(list))
    _began: dict[str, float] = field(default_factory=dict)
    _waited: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def trying(self, service: str) -> Iterator[RetryAttempt]:
        """Watch an operation that is repeated until it succeeds; tell what is given of every failure."""
        attempt = RetryAttempt(service, self)
        try:
            yield attempt
        finally:
            attempt.note_success()

    def begin_outage(self, attempt: RetryAttempt) -> None:
        """See Trial.note_failure."""
        self.failures[attempt.service] += 1
        self._began.setdefault(attempt.service, self.clock())
        # The last one to fail comes last.
        self._failing[attempt.service] = [
            *(each for each in self._failing[attempt.service] if each is not attempt),
            attempt,
        ]

    def end_outage(self, attempt: RetryAttempt) -> None:
        """See Trial.note_success; an outage ends with the last operation that waits for the service."""
        service = attempt.service
        self._failing[service].remove(attempt)
        if not self._failing[service]:
            del self._failing[service]
            self._waited[service] += self.clock() - self._began.pop(service)

    @property
    def retrying(self) -> dict[str, Outage]:
        """The services that something waits for now."""
        now = self.clock()
        return {
            service: Outage(now - self._began[service], sum(each.attempts for each in trials), trials[-1].error)
            for service, trials in self._failing.items()
        }

    @property
    def waited(self) -> dict[str, float]:
        """The seconds spent waiting for each service so far, an outage of now included."""
        now = {service: outage.seconds for service, outage in self.retrying.items()}
        return {service: self._waited.get(service, 0.0) + now.get(service, 0.0) for service in {*self._waited, *now}}

    def report(self) -> dict[str, Any]:
        """Return the state as /health gives it."""
        retrying, degraded = self.retrying, list(self.degraded())
        # What the broker or the ledger holds up looks stuck, too.
        stuck = [] if retrying else list(self.stuck())
        status = derive_status(
            started=self.ready and self.joined(),
            retrying=bool(retrying),
            stuck=bool(stuck),
            degraded=bool(degraded),
        )
        return {
            "status": status,
            "alive": not stuck,
            "ready": status in {Status.OK, Status.DEGRADED},
            "degraded": degraded,
            "retrying": {service: describe(outage) for service, outage in retrying.items()},
            "stuck": stuck,
            "models": dict(self.versions()),
        }


def describe(outage: Outage) -> dict[str, Any]:
    """Return an outage as /health gives it."""
    since = datetime.now(UTC) - timedelta(seconds=outage.seconds)
    return {
        "since": since.isoformat(timespec="seconds"),
        "seconds": round(outage.seconds, 1),
        "attempts": outage.attempts,
        "error": outage.error,
    }
