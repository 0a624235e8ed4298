"""The worker's health: its state, and the answers of /health.

* alive: false when the consumer is stuck; a restart is the known cure.
* ready: false before the worker has joined its group, while it waits for a service, and while it is stuck.
* degraded: what does not work as it should while events are still decided.
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
    """The worst condition that holds."""

    STARTING = "starting"
    RETRYING = "retrying"
    STUCK = "stuck"
    DEGRADED = "degraded"
    OK = "ok"


def derive_status(*, started: bool, retrying: bool, stuck: bool, degraded: bool) -> Status:
    """Return the worst condition. A worker that waits for a service is not stuck: it continues by itself."""
    if retrying:
        return Status.RETRYING
    if stuck:
        return Status.STUCK
    if not started:
        return Status.STARTING
    return Status.DEGRADED if degraded else Status.OK


@dataclass(slots=True, eq=False)
class RetryAttempt:
    """An operation on a service that is retried until it succeeds: the failures so far and the last error."""

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
        """Note that an attempt succeeded; a later one may fail again."""
        if self.attempts:
            self.attempts, self.error = 0, ""
            self.health.end_outage(self)


@dataclass(frozen=True, slots=True)
class Outage:
    """A service that an operation waits for: seconds so far, failed attempts, the last error."""

    seconds: float
    attempts: int
    error: str


@dataclass(slots=True)
class Health:
    """The worker's state. Every part of the worker reports to it.

    Attributes:
        ready: the stages run.
        joined: returns whether the group has assigned partitions, possibly none to this worker.
        degraded: returns the conditions that do not stop the work.
        stuck: returns the partitions that have not moved for too long.
        versions: returns the version of each serving model.
        clock: monotonic seconds.
        failures: failed attempts by service.
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
        """Track an operation that is retried until it succeeds; report every failure to the attempt given."""
        attempt = RetryAttempt(service, self)
        try:
            yield attempt
        finally:
            attempt.note_success()

    def begin_outage(self, attempt: RetryAttempt) -> None:
        """See RetryAttempt.note_failure."""
        self.failures[attempt.service] += 1
        self._began.setdefault(attempt.service, self.clock())
        # The latest failure comes last.
        self._failing[attempt.service] = [
            *(each for each in self._failing[attempt.service] if each is not attempt),
            attempt,
        ]

    def end_outage(self, attempt: RetryAttempt) -> None:
        """See RetryAttempt.note_success; an outage ends when no operation waits for the service."""
        service = attempt.service
        self._failing[service].remove(attempt)
        if not self._failing[service]:
            del self._failing[service]
            self._waited[service] += self.clock() - self._began.pop(service)

    @property
    def retrying(self) -> dict[str, Outage]:
        """The services that an operation waits for now."""
        now = self.clock()
        return {
            service: Outage(now - self._began[service], sum(each.attempts for each in trials), trials[-1].error)
            for service, trials in self._failing.items()
        }

    @property
    def waited(self) -> dict[str, float]:
        """The seconds spent waiting for each service so far, a present outage included."""
        now = {service: outage.seconds for service, outage in self.retrying.items()}
        return {service: self._waited.get(service, 0.0) + now.get(service, 0.0) for service in {*self._waited, *now}}

    def report(self) -> dict[str, Any]:
        """Return the state as /health shows it."""
        retrying, degraded = self.retrying, list(self.degraded())
        # An outage of the broker or the ledger also looks like being stuck.
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
    """Return an outage as /health shows it."""
    since = datetime.now(UTC) - timedelta(seconds=outage.seconds)
    return {
        "since": since.isoformat(timespec="seconds"),
        "seconds": round(outage.seconds, 1),
        "attempts": outage.attempts,
        "error": outage.error,
    }
