"""When customers are due, and which due times are stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from campaigns.decide import ContactHistory
from campaigns.feedback import Standing
from features.table import FeatureTable, column
from features.times import EVENT_TIME, event_times
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.breakpoints import NEVER
from segments.definition import build_segment
from segments.vectorized import Facts
from streams.due_customers import DAY_S, Customers, Schedule, Timing, find_departed, find_due_times, floor_s
from streams.formats.events import EventsByKind
from tests.records import body, events

if TYPE_CHECKING:
    from collections.abc import Mapping

SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
AT = datetime(2011, 6, 1, 12, 30, tzinfo=UTC)
NOW = floor_s(AT)
MIDNIGHT = floor_s(datetime(2011, 6, 2, tzinfo=UTC))
EXACT = Timing(recheck_s=0)
DAYS = {"var": "days_since_last_transaction"}
SEEN = {"var": "seen"}


def schedule(*rules: Any, timing: Timing = EXACT) -> Schedule:
    """Return the schedule of rules."""
    segments = [
        build_segment({"key": f"s{n}", "name": "S", "rule": rule}, where="test") for n, rule in enumerate(rules)
    ]
    return Schedule.of(segments, SCORERS, timing)


def customers(row: Mapping[str, Any], **more: Any) -> Customers:
    """Return ann, with these facts."""
    kinds = {name: "number" if isinstance(cell, int | float) else "other" for name, cell in row.items()}
    columns = {name: column([cell], kinds[name]) for name, cell in row.items()}  # type: ignore[arg-type]
    table = FeatureTable(("ann",), {**columns, EVENT_TIME: event_times([AT])})
    return Customers(Facts(table), more.get("signals", {}), more.get("histories", {}))


def due(rule: Any, row: Mapping[str, Any], timing: Timing = EXACT, **more: Any) -> int | None:
    """Return when a customer with these facts is due."""
    (found,) = schedule(rule, timing=timing).find_due(customers(row, **more), np.int64(NOW)).tolist()
    return None if found == NEVER else found


@pytest.mark.parametrize(
    ("rule", "days", "expected"),
    [
        ({">": [DAYS, 60]}, 58, MIDNIGHT + 2 * DAY_S),
        ({">=": [DAYS, 60]}, 58, MIDNIGHT + DAY_S),
        ({"<": [60, DAYS]}, 58, MIDNIGHT + 2 * DAY_S),
        ({">": [DAYS, 59.5]}, 58, MIDNIGHT + DAY_S),
        ({">": [DAYS, 60]}, 61, None),
        ({">": [DAYS, 60]}, 59.5, NOW + DAY_S // 2),
        ({"==": [DAYS, 60]}, 60, MIDNIGHT),
        ({"and": [{">": [DAYS, 60]}, {"<": [DAYS, 59]}]}, 58, MIDNIGHT),
        ({"!=": [DAYS, None]}, 58, None),
        ({"in": [{"var": "rfm_recency"}, [1, 2]]}, 58, MIDNIGHT + 2 * DAY_S),
        ({">": [{"var": "plan"}, 3]}, 58, None),
    ],
)
def test_a_count_of_days_is_due_on_the_day_on_which_a_comparison_changes(
    rule: Any, days: float, expected: int | None
) -> None:
    """A whole count grows at midnight, one with a fraction all the time."""
    assert due(rule, {"days_since_last_transaction": days, "plan": 1, "rfm_recency": 4}) == expected


def test_whole_counts_grow_when_the_settings_say() -> None:
    """Here after the nightly load."""
    timing = Timing(recheck_s=0, day_begins_s=4 * 3600)
    assert due({">": [DAYS, 60]}, {"days_since_last_transaction": 60}, timing) == MIDNIGHT + 4 * 3600


def test_only_columns_of_the_settings_count_days() -> None:
    row = {"recency": 60}
    assert due({">": [{"var": "recency"}, 60]}, row) is None
    assert due({">": [{"var": "recency"}, 60]}, row, Timing(recheck_s=0, day_columns=("rec*",))) == MIDNIGHT


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({">=": [{"time.days_since": SEEN}, 3]}, 3 * DAY_S),
        ({">": [{"time.days_since": SEEN}, 3]}, 3 * DAY_S + 1),
        ({"time.within_last": [SEEN, 2]}, 2 * DAY_S + 1),
        ({"time.before": [{"var": EVENT_TIME}, "2011-06-02"]}, MIDNIGHT - NOW),
        ({"time.before": [SEEN, {"var": EVENT_TIME}]}, 1),
    ],
)
def test_times_are_due_to_the_second(rule: Any, expected: int) -> None:
    """The first second at which the comparison differs for certain."""
    assert due(rule, {"seen": AT.isoformat()}) == NOW + expected


def test_null_never_grows() -> None:
    table = FeatureTable(("ann",), {"days_since_last_transaction": column([None], "number")})
    found = schedule({">": [DAYS, 60]}).find_due(Customers(Facts(table), {}, {}), np.int64(NOW))
    assert found.tolist() == [NEVER]


def test_feedback_is_due_at_its_end() -> None:
    until = AT + timedelta(days=4)
    history = ContactHistory({}, {}, (), (Standing("f1", "always_vip", until), Standing("f2", "do_not_contact", AT)))
    found = due({"var": "always_vip"}, {"always_vip": True}, histories={"ann": history})
    assert found == NOW + 4 * DAY_S


def test_what_a_model_gives_waits_for_the_recheck() -> None:
    """As does everybody else: other columns may have changed."""
    rule = {">=": [{"var": "churn_probability"}, 0.7]}
    assert not schedule(rule).breakpoints.is_complete
    assert due(rule, {"churn_probability": 0.6}) is None
    found = due(rule, {"churn_probability": 0.6}, Timing(recheck_s=7 * DAY_S))
    assert found is not None
    assert 7 * DAY_S <= found - NOW <= 7.1 * DAY_S


def store(stored: int, *, fresh: bool = True, days: float = 58, without_event: bool = False) -> dict[str, int | None]:
    """Return what is stored of ann, who enters in two days."""
    return find_due_times(
        schedule({">": [DAYS, 59]}),
        customers({"days_since_last_transaction": days}),
        {"ann": stored},
        as_of={"ann": AT},
        fresh=["ann"] if fresh else [],
        without_event=["ann"] if without_event else [],
    )


def test_a_due_time_is_stored_where_it_is_earlier_or_the_stored_one_has_passed() -> None:
    """Events of an active customer store nothing."""
    soon = MIDNIGHT + DAY_S
    assert store(0) == {"ann": soon}
    assert store(soon) == {}
    assert store(soon - 1) == {}
    assert store(soon + 1) == {"ann": soon}
    assert store(NOW) == {"ann": soon}
    assert store(NOW, days=90) == {"ann": None}
    assert store(0, days=90) == {}


def test_a_cached_row_and_a_request_for_changed_segments_put_no_due_time_off() -> None:
    """The one may be too old to show the change, the other evaluates only some segments."""
    assert store(NOW - 5, fresh=False) == {}
    assert store(NOW - 5, without_event=True) == {}
    assert store(0, fresh=False) == {"ann": MIDNIGHT + DAY_S}


def test_a_deleted_customer_is_not_due_and_one_without_row_is_looked_for_later() -> None:
    asked = {"type": "evaluation.requested", "reason": "due", "occurred_at": AT.isoformat()}
    gone, here, updated = events(
        body(id="1", customer_id="gone", **asked),
        body(id="2", customer_id="here", **asked),
        body(id="3", customer_id="unknown"),
    )
    latest = {each.customer_id: each for each in (gone, here, updated)}
    (deleted,) = events(body(id="4", customer_id="deleted"))
    found = find_departed(latest, EventsByKind(deleted=[deleted]), ["here"], Timing(recheck_s=9))
    assert found == {"deleted": None, "gone": NOW + 9}
