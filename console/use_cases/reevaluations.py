"""The re-evaluation of every customer under changed segments or models: one request for each, at a bounded rate.

Requests go to the evaluations topic, keyed like any event, so the owner of a customer's partition decides them. Few
are on their way at a time: the next ones are sent when the ledger shows that earlier ones were decided. So a worker
that has live events to decide slows the re-evaluation down, and not the reverse. A request changes nothing for a
customer who has been evaluated under the same versions before, so sending one twice is harmless. The ledger keeps how
far a re-evaluation has come; an interrupted one resumes there.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from campaigns.errors import ReevaluationError
from campaigns.postgres_reevaluations import open_reevaluations
from features.warehouses import opened
from segments.definition import fingerprint
from streams.decision_config import find_versions
from streams.definitions import read_definitions
from streams.kafka.reevaluation_requests import ReevaluationRequestProducer
from streams.runtime.model_reload import find_changeovers
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from campaigns.ports import Reevaluations
    from campaigns.records import ReevaluationRecord
    from features.ports import WarehouseConnection
    from streams.settings import Settings

PAGES_PER_S = 16
IN_FLIGHT_PAGES = 4
LISTED_IDS = 100_000
"""Customer ids in memory at a time: few reads of a view that computes all of its rows for each."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast customers are requested.

    Attributes:
        rate: the most customers requested in a second.
        page: customers requested at once.
        in_flight: the most customers who are requested and not evaluated yet.
        poll_s: the pause between two looks into the ledger.
        straggler_s: a customer is passed over when others were evaluated and this one was not for so long.
        patience_s: the longest wait for any customer to be evaluated.
    """

    rate: float
    page: int
    in_flight: int
    poll_s: float = 0.01
    straggler_s: float = 30.0
    patience_s: float = 60.0

    @classmethod
    def at(cls, rate: float) -> Pace:
        """Return the pace of a rate: a quarter of a second's customers on their way, in four pages, 250 at least."""
        page = max(250, round(rate / PAGES_PER_S))
        return cls(rate, page, IN_FLIGHT_PAGES * page)


@dataclass(frozen=True, slots=True)
class ReevaluationProgress:
    """The customers for whom a re-evaluation is over, those of earlier attempts included."""

    reevaluation_id: str
    customers: int


@dataclass(frozen=True, slots=True)
class Reevaluated:
    """A complete re-evaluation.

    Attributes:
        reevaluation_id: its id.
        customers: the customers of the warehouse, those of earlier attempts included; one per id.
        earlier: those of earlier attempts.
        evaluated: those that the workers evaluated because of this attempt, or meanwhile for another reason.
        current: those who had been evaluated under the same versions before.
        passed_over: those who were requested and not evaluated.
        duplicates: the customers with several rows, who cannot be evaluated.
        seconds: how long this attempt took.
    """

    reevaluation_id: str
    customers: int
    earlier: int
    evaluated: int
    current: int
    passed_over: int
    duplicates: int
    seconds: float


@dataclass(slots=True)
class _Page:
    """Customers who were requested together.

    Attributes:
        last: the last id, in the order of the warehouse.
        customers: how many, those not requested included.
        requested: how many were requested.
        waiting: those requested and not evaluated yet.
        moved_at: when one of them was last found evaluated, or else when they were requested.
    """

    last: str
    customers: int
    requested: int
    waiting: set[str]
    moved_at: float


@dataclass(slots=True)
class Reevaluation:
    """One attempt at a re-evaluation.

    Args:
        begun: the re-evaluation.
        versions: of all segments, by key.
        warehouse: the customers.
        ledger: shows who is evaluated, and keeps the progress.
        send: sends a request for each customer.
        pace: how fast.
        on_progress: called when a page of customers is over.
        clock: seconds, never going back.
        sleep: waits for seconds.
    """

    begun: ReevaluationRecord
    versions: Mapping[str, str]
    warehouse: WarehouseConnection
    ledger: Reevaluations
    send: Callable[[ReevaluationRecord, Sequence[str]], None]
    pace: Pace
    on_progress: Callable[[ReevaluationProgress], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _pages: deque[_Page] = field(default_factory=deque)
    _over: int = 0
    _evaluated: int = 0
    _current: int = 0
    _duplicates: int = 0
    _passed_over: list[str] = field(default_factory=list)
    _due: float = 0.0
    _moved_at: float = 0.0

    async def run(self) -> Reevaluated:
        """Request every customer beyond the last one of an earlier attempt, and wait until they are evaluated.

        Raises:
            ReevaluationError: no customer is evaluated although some were requested.
            WarehouseError: the customers cannot be listed.
            BrokerUnavailableError: Kafka takes no requests.
        """
        began, name = self.clock(), self.begun.reevaluation_id
        last = self.begun.last_customer_id
        while ids := await self.warehouse.list_ids(last, LISTED_IDS):
            for first in range(0, len(ids), self.pace.page):
                await self._request(ids[first : first + self.pace.page])
            last = ids[-1]
        while self._pages:
            await self._await_oldest()
        late = self.ledger.evaluated(self._passed_over, self.versions)
        self.ledger.finish(name)
        return Reevaluated(
            name,
            self.begun.customers + self._over,
            self.begun.customers,
            self._evaluated + len(late),
            self._current,
            len(self._passed_over) - len(late),
            self._duplicates,
            self.clock() - began,
        )

    async def _request(self, ids: Sequence[str]) -> None:
        rows = Counter(ids)
        single = [each for each, count in rows.items() if count == 1]
        current = self.ledger.evaluated(single, self.versions)
        wanted = [each for each in single if each not in current]
        self._current += len(current)
        self._duplicates += len(rows) - len(single)
        while self._pages and self._in_flight + len(wanted) > self.pace.in_flight:
            await self._await_oldest()
        if wanted:
            await self._await_turn(len(wanted))
            self.send(self.begun, wanted)
            self._moved_at = self._moved_at if self._in_flight else self.clock()
        self._pages.append(_Page(ids[-1], len(rows), len(wanted), set(wanted), self.clock()))
        while self._pages and not self._pages[0].waiting:
            self._end_oldest()

    @property
    def _in_flight(self) -> int:
        return sum(len(page.waiting) for page in self._pages)

    async def _await_turn(self, customers: int) -> None:
        """Wait until the rate allows more customers."""
        if (pause := self._due - self.clock()) > 0:
            await self.sleep(pause)
        self._due = max(self._due, self.clock()) + customers / self.pace.rate

    async def _await_oldest(self) -> None:
        """Wait until the oldest page is over."""
        page = self._pages[0]
        while True:
            self._look(page)
            now = self.clock()
            if not page.waiting:
                break
            if now - page.moved_at > self.pace.straggler_s:
                for each in self._pages:
                    self._look(each)
                # Those of a partition are evaluated in order: who is left behind by a later page will not come.
                if any(len(each.waiting) < each.requested for each in self._pages):
                    break
            if now - self._moved_at > self.pace.patience_s:
                raise ReevaluationError(self._describe_silence())
            await self.sleep(self.pace.poll_s)
        self._end_oldest()

    def _look(self, page: _Page) -> None:
        """Find who of a page has been evaluated since the last look."""
        done = self.ledger.evaluated(list(page.waiting), self.versions) if page.waiting else ()
        if done:
            page.waiting.difference_update(done)
            page.moved_at = self._moved_at = self.clock()
            self._evaluated += len(done)

    def _end_oldest(self) -> None:
        page = self._pages.popleft()
        self._passed_over += page.waiting
        self._over += page.customers
        if not self._passed_over:  # or an attempt that is cut short would forget them
            self.ledger.advance(self.begun.reevaluation_id, last=page.last, customers=page.customers)
        self.on_progress(ReevaluationProgress(self.begun.reevaluation_id, self.begun.customers + self._over))

    def _describe_silence(self) -> str:
        done = self.begun.customers + self._over
        return (
            f"no customer was evaluated for {self.pace.patience_s:g} s; the re-evaluation is over for {done:,}. Are "
            "workers running, were they restarted after definitions changed, and do they serve the models promoted in "
            "this HOLDFAST_MODELS_DIR? /health says what they wait for, and which segments a missing column keeps from "
            "being evaluated. To go on: holdfast segments reevaluate"
        )


def reevaluate(
    settings: Settings,
    *,
    by: str,
    rate: float | None = None,
    on_progress: Callable[[ReevaluationProgress], None] = lambda _: None,
    pace: Pace | None = None,
) -> Reevaluated:
    """Request the evaluation of every customer who was not evaluated under the present segments, and wait for it.

    A re-evaluation for the same versions of the segments that is not complete is resumed, with its event time.

    Args:
        settings: where Kafka, the ledger, the warehouse and the definitions are.
        by: the operator's name.
        rate: the most customers in a second; that of the settings, when None.
        on_progress: called when it begins, and when a page of customers is over.
        pace: for tests; it replaces `rate`.

    Raises:
        SegmentsError, CampaignError: the definitions cannot be used, or another process re-evaluates.
        VersionError: it cannot be read which models serve.
        ReevaluationError: see Reevaluation.run.
        WarehouseError: the customers cannot be listed.
        BrokerUnavailableError: Kafka takes no requests.
        LedgerUnavailableError: the ledger cannot be used.
    """
    segments = read_definitions(settings).segments
    versions = find_versions(segments, find_changeovers(settings))
    pace = pace or Pace.at(rate or settings.reevaluation_rate)
    producer = ReevaluationRequestProducer(settings)
    with open_reevaluations(settings.ledger_url) as ledger, ledger.alone():
        begun = ledger.find_unfinished(fingerprint(versions)) or ledger.begin(
            uuid.uuid4().hex[:12], fingerprint(versions), as_of=datetime.now(UTC), by=by
        )
        on_progress(ReevaluationProgress(begun.reevaluation_id, begun.customers))

        async def run() -> Reevaluated:
            async with opened(find_warehouse(settings)) as warehouse:
                return await Reevaluation(
                    begun, versions, warehouse, ledger, producer.send, pace, on_progress=on_progress
                ).run()

        return asyncio.run(run())
