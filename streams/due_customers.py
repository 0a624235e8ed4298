"""When each customer is due: time alone may change a rule's result then, although nothing happens. Pure.

A customer is due at the earliest moment at which a comparison of a rule changes (segments/breakpoints.py), a
conversation leaves a window, or feedback expires; at the latest some days after the last evaluation, since scores and
other columns of the view move in ways that only a new row shows. A due time is never later than the change, and may be
earlier: then the evaluation finds nothing, and the next due time. See docs/decisions/0013-silent-customers.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from campaigns.feedback import ALWAYS_VIP, FeedbackKind
from features.daily_counts import NO_DAY, WINDOWS_DAYS, next_window_days
from features.times import EVENT_TIME
from models.facts import SCORE_FACTS, facts_read
from segments.breakpoints import NEVER, MovingFacts, find_breakpoints
from segments.vectorized import Facts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from campaigns.decide import ContactHistory
    from features.signals import Signals
    from models.registry import Scorers
    from segments.breakpoints import Breakpoints
    from segments.definition import Segment
    from streams.formats.events import Event, EventsByKind

    Seconds = NDArray[np.int64]

DUE = "due"
"""The reason of a request to evaluate a customer who is due."""
DAY_S = 86_400
DAY_COLUMNS = ("days_since_*", "tenure_days")
RECHECK_DAYS = 7.0
WITHOUT_ROW_S = 7 * DAY_S
"""After so long a customer without a row is looked for again, where the settings turn rechecks off."""

_SECOND, _ONE_SECOND = 1_000_000, timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOWED = (
    *("message_count", "customer_message_count", "cancellation_requests", "sentiment_score"),
    "urgent_message_count",
)
_STEPS = {f"{name}_{days}d": days for name in _WINDOWED for days in WINDOWS_DAYS}
_FLOWING = frozenset({"days_since_last_message"})

FACTS_AS_OF = frozenset({EVENT_TIME, ALWAYS_VIP, *_FLOWING, *_STEPS})
"""Facts that depend on the moment of the evaluation, while the row of the warehouse is the same."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What the settings say about time.

    Attributes:
        recheck_s: a customer is evaluated at least so often; 0: only when a rule is known to change.
        day_columns: names of columns that grow by one a day; `*` stands for any part of a name.
        day_begins_s: when such a column grows, in seconds after midnight UTC.
    """

    recheck_s: int = int(RECHECK_DAYS * DAY_S)
    day_columns: Sequence[str] = DAY_COLUMNS
    day_begins_s: int = 0

    def counts_days(self, name: str) -> bool:
        """Return whether a column of this name counts days."""
        return any(fnmatchcase(name, pattern) for pattern in self.day_columns)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the rules in force may change their result by time alone."""

    breakpoints: Breakpoints
    timing: Timing

    @classmethod
    def of(cls, segments: Iterable[Segment], scorers: Scorers, timing: Timing) -> Schedule:
        """Return the schedule of segments."""
        recency = ("days_since_last_transaction", scorers.rfm.recency)
        moving = MovingFacts(
            counts=timing.counts_days,
            flowing=_FLOWING,
            bands={"rfm_recency": recency, "rfm_segment": recency},
            steps={**_STEPS, ALWAYS_VIP: ALWAYS_VIP},
            unknown=SCORE_FACTS - {"rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment"}
            if any(map(timing.counts_days, facts_read(scorers)))
            else frozenset(),
        )
        rules = [rule for each in segments for rule in (each.rule, each.exit_rule) if rule is not None]
        return cls(find_breakpoints(rules, moving), timing)

    @property
    def windows(self) -> list[int]:
        """The windows of conversations that rules read, in days."""
        return [each for each in self.breakpoints.steps if isinstance(each, int)]

    def find_due(self, customers: Customers, now: Seconds | np.int64) -> Seconds:
        """Return when customers are due, in seconds since 1970, later than `now`; `NEVER` where time changes nothing.

        Args:
            customers: the customers.
            now: the second of each customer's evaluation, or one for all: then no due time is later than by their own.
        """
        moments = np.asarray(now * _SECOND)
        begins = self.timing.day_begins_s * _SECOND
        found = self.breakpoints.find_next(customers.facts, moments, begins)
        found = np.where(found == NEVER, NEVER, -(-found // _SECOND))
        if self.windows:
            self._add_windows(found, customers, now)
        if ALWAYS_VIP in self.breakpoints.steps:
            _add_feedback(found, customers, now)
        if self.timing.recheck_s:
            # Rounded up, or each event out of order would bring the due time forward by a moment.
            grain = max(self.timing.recheck_s // 100, 1)
            np.minimum(found, -(-(now + self.timing.recheck_s) // grain) * grain, out=found)
        return np.maximum(found, now + 1)

    def _add_windows(self, found: Seconds, customers: Customers, now: Seconds | np.int64) -> None:
        ids, signals = customers.ids, customers.signals
        rows = [row for row, each in enumerate(ids) if (known := signals.get(each)) is not None and known.days]
        if rows:
            today = np.broadcast_to(now, len(ids))[rows] // DAY_S
            days = next_window_days([signals[ids[row]].days for row in rows], today, self.windows)
            moments = np.where(days == NO_DAY, NEVER, np.where(days == NO_DAY, 0, days) * DAY_S)
            found[rows] = np.minimum(found[rows], moments)


def _add_feedback(found: Seconds, customers: Customers, now: Seconds | np.int64) -> None:
    seconds = np.broadcast_to(now, len(found))
    for row, customer_id in enumerate(customers.ids):
        history = customers.histories.get(customer_id)
        for each in history.feedback if history else ():
            if each.kind == FeedbackKind.ALWAYS_VIP and each.until and (end := ceil_s(each.until)) > seconds[row]:
                found[row] = min(found[row], end)


@dataclass(frozen=True, slots=True)
class Customers:
    """Evaluated customers, and what time can change of them.

    Attributes:
        facts: their facts, prepared for rules.
        signals: of their conversations; only rules that read windows need them.
        histories: their contact histories, with feedback.
    """

    facts: Facts
    signals: Mapping[str, Signals]
    histories: Mapping[str, ContactHistory]

    @property
    def ids(self) -> Sequence[str]:
        """Their ids."""
        return self.facts.table.customer_ids

    def take(self, rows: Sequence[int]) -> Customers:
        """Return some of them."""
        return replace(self, facts=Facts(self.facts.table.take(rows)))


def find_due_times(
    schedule: Schedule,
    customers: Customers,
    stored: Mapping[str, int],
    *,
    as_of: Mapping[str, datetime],
    fresh: Iterable[str],
    without_event: Collection[str] = (),
) -> dict[str, int | None]:
    """Return the due times to store, None for a customer who is not due any more; the others stay as they are stored.

    A due time that is stored is replaced by an earlier one, or when it has passed and the customer was evaluated on a
    fresh row: a cached row may be too old to show what time has changed. So events of an active customer store nothing.

    Args:
        schedule: of the rules in force.
        customers: those evaluated.
        stored: the due times in the ledger, in seconds since 1970, 0 for none.
        as_of: the event time of each evaluation, perhaps of other customers, too.
        fresh: customers whose row was read from the warehouse and not from the cache.
        without_event: customers of whom only changed segments were evaluated: their due time is not put off.
    """
    ids = customers.ids
    if not ids:
        return {}
    earliest, latest = floor_s(min(as_of.values())), floor_s(max(as_of.values()))
    held = np.fromiter(map(stored.get, ids, repeat(0)), dtype=np.int64, count=len(ids))
    # With the earliest time for all of them: few are left for whom each their own time matters.
    bound = schedule.find_due(customers, np.int64(earliest))
    rows = np.flatnonzero(np.where(held == 0, bound < NEVER, (held <= latest) | (bound < held))).tolist()
    if not rows:
        return {}
    some, read_fresh = customers.take(rows), frozenset(fresh)
    now = np.fromiter((floor_s(as_of[each]) for each in some.ids), np.int64, len(rows))
    found: dict[str, int | None] = {}
    due_times = schedule.find_due(some, now).tolist()
    for each, due, before, at in zip(some.ids, due_times, held[rows].tolist(), now.tolist(), strict=True):
        passed = before <= at and each in read_fresh and each not in without_event
        if due < before or ((before == 0 or passed) and (due < NEVER or before > 0)):
            found[each] = due if due < NEVER else None
    return found


def find_departed(
    latest: Mapping[str, Event], events: EventsByKind, known: Sequence[str], timing: Timing
) -> dict[str, int | None]:
    """Return the due times of customers without one row in the warehouse.

    One whose row was deleted is not due any more. One whose row is missing when they are due is looked for later: a
    view that is being rebuilt is empty for a moment.

    Args:
        latest: the latest event of each customer to evaluate.
        events: of the batch.
        known: the customers with a row.
        timing: says after how long.
    """
    if len(latest) == len(known) and not events.deleted:
        return {}
    rows = frozenset(known)
    found: dict[str, int | None] = {each.customer_id: None for each in events.deleted if each.customer_id not in rows}
    later = timing.recheck_s or WITHOUT_ROW_S
    for each in latest.values():
        if each.customer_id not in rows and is_due(each):
            found.setdefault(each.customer_id, floor_s(each.wire.occurred_at) + later)
    return found


def is_due(event: Event) -> bool:
    """Return whether an event is the request to evaluate a customer who is due."""
    return event.wire.reason == DUE and not event.wire.campaign and event.kind == "evaluation"


def floor_s(moment: datetime) -> int:
    """Return a time in whole seconds since 1970."""
    return (moment - _EPOCH) // _ONE_SECOND


def ceil_s(moment: datetime) -> int:
    """Return the first whole second since 1970 that is not before a time."""
    return -((_EPOCH - moment) // _ONE_SECOND)
