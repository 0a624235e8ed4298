"""Before a customer is due, time alone changes no rule: against the evaluation of the rules themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.signals import Message, MessageReading, Signals, as_columns, fold
from features.table import FeatureTable, column
from features.times import EVENT_TIME, event_times
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.rfm import rfm_columns
from segments.breakpoints import NEVER
from segments.definition import build_segment
from segments.vectorized import Facts
from streams.due_customers import DAY_S, Customers, Schedule, Timing, find_due_times

if TYPE_CHECKING:
    from segments.definition import Segment

SETTINGS = settings(derandomize=True, deadline=None, max_examples=400)
SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
NOW = int(datetime(2011, 6, 1, 12, 30, tzinfo=UTC).timestamp())
BEGINS_S = 3 * 3600
TIMING = Timing(recheck_s=0, day_begins_s=BEGINS_S)

TIMES = st.builds(
    lambda days, seconds: (datetime.fromtimestamp(NOW, UTC) + timedelta(days=days, seconds=seconds)).isoformat(),
    st.integers(-20, 8),
    st.sampled_from([0, 0, 1, 3600, 50_000]),
)
NUMBERS = st.integers(-3, 15) | st.sampled_from([0.5, 2.25, 7.1, 11.9])
OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "==="])


def fact(name: str) -> dict[str, str]:
    return {"var": name}


MOVING = st.sampled_from(
    [fact("days_since_order"), fact("tenure_days"), fact("days_since_last_message"), {"time.days_since": fact("seen")}]
)
STEPPING = st.sampled_from([fact("message_count_7d"), fact("sentiment_score_30d"), fact("rfm_recency")])
LEAVES: Any = st.one_of(
    st.builds(lambda op, left, right: {op: [left, right]}, OPERATORS, MOVING, NUMBERS),
    st.builds(lambda op, left, right: {op: [right, left]}, OPERATORS, MOVING, NUMBERS),
    st.builds(lambda left, low, high: {"between": [left, low, high]}, MOVING, NUMBERS, NUMBERS),
    st.builds(lambda left, low, high: {"<": [low, left, high]}, MOVING, NUMBERS, NUMBERS),
    st.builds(lambda left, numbers: {"in": [left, numbers]}, MOVING, st.lists(NUMBERS, max_size=3)),
    st.builds(lambda op, left, right: {op: [left, right]}, OPERATORS, STEPPING, NUMBERS),
    st.builds(lambda days: {"time.within_last": [fact("seen"), days]}, st.integers(0, 12)),
    st.builds(
        lambda word, each: {word: [fact(EVENT_TIME), each]}, st.sampled_from(["time.before", "time.after"]), TIMES
    ),
    st.builds(lambda word: {word: [fact("seen"), fact(EVENT_TIME)]}, st.sampled_from(["time.before", "time.after"])),
    st.sampled_from([fact("plan"), {"==": [fact("plan"), "gold"]}, {"!=": [fact("days_since_order"), None]}]),
    # What has no closed form.
    st.builds(lambda left, right: {">": [{"+": [left, 1]}, right]}, MOVING, NUMBERS),
    st.builds(lambda left, right: {"<": [left, right]}, MOVING, MOVING),
    MOVING,
    st.builds(lambda each: {"missing": [each]}, st.sampled_from(["plan", "sentiment_score_30d", "days_since_order"])),
)
RULES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda word, parts: {word: parts}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        ),
        st.builds(lambda part: {"!": [part]}, inner),
        st.builds(lambda *parts: {"if": list(parts)}, inner, inner, inner),
    ),
    max_leaves=6,
)
COUNTS = st.none() | st.integers(0, 12) | st.sampled_from([0.25, 4.5, 11.75])
ROWS = st.fixed_dictionaries(
    {
        "days_since_order": COUNTS,
        "tenure_days": COUNTS,
        "days_since_last_transaction": st.integers(25, 65),
        "seen": st.none() | TIMES,
        "plan": st.sampled_from(["gold", "free", None]),
    }
)
SAID = st.lists(st.tuples(st.integers(-100, 0), st.sampled_from([-0.8, 0.1, 0.9])), max_size=4)
COUNTED = ("days_since_order", "tenure_days", "days_since_last_transaction")


def said(messages: list[tuple[int, float]]) -> Signals:
    """Return the signals of messages so many days ago."""
    at = datetime.fromtimestamp(NOW, UTC)
    each = [
        Message(str(number), at + timedelta(days=days), "customer", MessageReading(sentiment))
        for number, (days, sentiment) in enumerate(messages)
    ]
    return fold(Signals(), each)


def age(count: float | None, seconds: int) -> float | None:
    """Return what the view gives so many seconds later."""
    if count is None or count % 1:
        return None if count is None else count + seconds / DAY_S
    return count + (NOW + seconds - BEGINS_S) // DAY_S - (NOW - BEGINS_S) // DAY_S


def facts_at(row: dict[str, Any], signals: Signals, seconds: int) -> Facts:
    """Return the facts of a customer so many seconds later."""
    at = datetime.fromtimestamp(NOW + seconds, UTC)
    aged = {**row, **{name: age(row[name], seconds) for name in COUNTED}}
    kinds = {"seen": "other", "plan": "other"}
    columns = {name: column([cell], kinds.get(name, "number")) for name, cell in aged.items()}  # type: ignore[arg-type]
    columns |= {"transaction_count": column([3], "number"), "total_revenue": column([500.0], "number")}
    columns |= as_columns({"ann": signals} if signals.message_count else {}, ("ann",), at)
    table = FeatureTable(("ann",), {**columns, EVENT_TIME: event_times([at])})
    return Facts(table.with_columns(rfm_columns(table, SCORERS.rfm)))


def define(rule: Any) -> Segment:
    return build_segment({"key": "s", "name": "S", "rule": rule}, where="test")


def holds(segment: Segment, facts: Facts) -> bool:
    """Evaluate a rule as a worker does."""
    return bool(segment.rule.mask(facts)[0])


def find_due(schedule: Schedule, facts: Facts, signals: Signals, seconds: int) -> int | None:
    """Return after how many seconds a customer who is evaluated then is due."""
    (found,) = schedule.find_due(Customers(facts, {"ann": signals}, {}), np.int64(NOW + seconds)).tolist()
    return None if found == NEVER else found - NOW


@SETTINGS
@given(RULES, ROWS, SAID, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_no_rule_changes_before_the_customer_is_due(
    rule: Any, row: dict[str, Any], messages: list[tuple[int, float]], places: list[float]
) -> None:
    """At no moment before; where the customer is never due, at none of the next 200 days."""
    signals, segment = said(messages), define(rule)
    schedule = Schedule.of([segment], SCORERS, TIMING)
    assume(schedule.breakpoints.is_complete)
    facts = facts_at(row, signals, 0)
    now, seconds = holds(segment, facts), find_due(schedule, facts, signals, 0)
    last = 200 * DAY_S if seconds is None else seconds - 1
    for place in [*places, 1.0]:
        assert holds(segment, facts_at(row, signals, int(place * last))) == now


@settings(SETTINGS, max_examples=60)
@given(RULES, ROWS, SAID)
def test_going_from_due_time_to_due_time_finds_every_change(
    rule: Any, row: dict[str, Any], messages: list[tuple[int, float]]
) -> None:
    """A worker that evaluates at these times alone has the memberships of one that evaluates every nine hours."""
    signals, segment = said(messages), define(rule)
    schedule = Schedule.of([segment], SCORERS, TIMING)
    assume(schedule.breakpoints.is_complete)
    known, looks = False, 0
    next_look: int | None = 0
    for seconds in range(0, 13 * DAY_S, 9 * 3600):
        while next_look is not None and next_look <= seconds:
            facts = facts_at(row, signals, next_look)
            known, looks = holds(segment, facts), looks + 1
            next_look = find_due(schedule, facts, signals, next_look)
        assert known == holds(segment, facts_at(row, signals, seconds))
    assert looks < 60


@SETTINGS
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from("abc"), st.integers(NOW - 5 * DAY_S, NOW + 12 * DAY_S)),
)
def test_customers_who_share_a_batch_get_the_due_times_that_they_get_alone(
    cases: list[tuple[str, int, int]], stored: dict[str, int]
) -> None:
    customers = {name: (days, ago) for name, days, ago in cases}
    rule = {">": [fact("days_since_order"), 5]}
    schedule = Schedule.of([define(rule)], SCORERS, Timing(recheck_s=10 * DAY_S))
    as_of = {name: datetime.fromtimestamp(NOW - ago * DAY_S, UTC) for name, (_, ago) in customers.items()}

    def find(*names: str) -> dict[str, int | None]:
        counts = column([customers[name][0] for name in names], "number")
        facts = Facts(FeatureTable(names, {"days_since_order": counts}))
        return find_due_times(schedule, Customers(facts, {}, {}), stored, as_of=as_of, fresh=names)

    alone: dict[str, int | None] = {}
    for name in customers:
        alone |= find(name)
    assert find(*customers) == alone
    # A second delivery finds nothing to store.
    again = {**stored, **{name: each or 0 for name, each in alone.items()}}
    facts = Facts(
        FeatureTable(tuple(customers), {"days_since_order": column([customers[n][0] for n in customers], "number")})
    )
    assert find_due_times(schedule, Customers(facts, {}, {}), again, as_of=as_of, fresh=customers) == {}
