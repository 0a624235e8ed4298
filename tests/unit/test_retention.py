"""What may be deleted, up to when, and which events have no second effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from campaigns.candidates import Definitions
from campaigns.errors import RetentionError
from campaigns.postgres_erasure import mentions
from campaigns.retention import CLOCK_SKEW, RULES, check_retention, plan_pruning
from campaigns.tombstones import Tombstones, bucket, digest
from streams.processed_before import leave_out_erased, spare_erased
from tests.builders import campaign, offers
from tests.records import arrive, body, decode, message

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = b"k" * 32
DAYS: dict[str, float] = {each.setting: 30 for each in RULES}


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def test_rows_that_guard_go_after_their_records_have_no_second_effect() -> None:
    """By the time that a producer's clock may be ahead; 0 days keep a table."""
    plan = plan_pruning({**DAYS, "seen_event": 10, "delivery": 0}, now=NOW, oldest_unprocessed=None)
    assert (plan.horizon, plan.held_back) == (days_ago(10), None)
    assert plan.cutoffs["seen_event"] == days_ago(10) - CLOCK_SKEW
    assert plan.cutoffs["decision"] == days_ago(30)
    assert plan.cutoffs["outbox"] == days_ago(30)
    assert {"delivery", "opt_out"}.isdisjoint(plan.cutoffs)


def test_pruning_never_gets_ahead_of_what_is_processed() -> None:
    plan = plan_pruning(DAYS, now=NOW, oldest_unprocessed=days_ago(50))
    assert (plan.horizon, plan.held_back) == (days_ago(50) - CLOCK_SKEW, days_ago(30))
    assert plan.cutoffs["seen_event"] == days_ago(50) - 2 * CLOCK_SKEW
    assert plan.cutoffs["outbox"] == days_ago(30)


@pytest.mark.parametrize(
    ("setting", "changes"),
    [("contact", {"cooldown_days": 30}), ("campaign_hour", {"breaker": {"contacts": 5, "hours": 24 * 30}})],
)
def test_what_the_definitions_count_is_kept(setting: str, changes: dict[str, object]) -> None:
    made = campaign(**changes)
    definitions = Definitions([made], offers(), {}, {"at-risk": "1"})
    with pytest.raises(RetentionError, match=f"HOLDFAST_RETENTION_{setting.upper()}_DAYS is 30"):
        check_retention({**DAYS, setting: 30}, [made], definitions)
    check_retention({**DAYS, setting: 31}, [made], definitions)
    check_retention({**DAYS, setting: 0}, [made], definitions)


def test_tombstones_find_whom_they_were_made_for() -> None:
    """Of another key none, and of none nothing: also when an id shares its bucket with an erased one."""
    ids = [f"c{number}" for number in range(2000)]
    found = Tombstones.from_ids(KEY, ids[::2])
    assert found.find(ids) == frozenset(ids[::2])
    assert len(found) == 1000
    assert Tombstones(b"x" * 32, [digest(KEY, "ann")], [bucket("ann")]).find(["ann"]) == frozenset()
    assert Tombstones(KEY, [digest(KEY, "ann")], [bucket("ann"), bucket("bob")]).find(["bob"]) == frozenset()
    assert Tombstones().find(ids) == frozenset()


def test_events_and_records_of_erased_customers_are_left_out() -> None:
    """By the customer of an event; by the key of a record that cannot be decoded."""
    records = [
        *(arrive(each(customer_id=customer)) for each in (body, message) for customer in ("ann", "bob")),
        *(arrive(body(customer_id=customer), value=b"{") for customer in ("ann", "bob")),
    ]
    decoded = decode(*records)
    left = leave_out_erased(decoded, Tombstones.from_ids(KEY, ["ann"]))
    assert [event.customer_id for event in left.events] == ["bob", "bob"]
    assert [reject.record.key for reject in left.rejects] == [b"bob"]
    assert (left.erased, left.left_out) == ({"ann"}, 3)
    assert leave_out_erased(decoded, Tombstones()) is decoded
    assert [each.record.key for each in spare_erased(decoded.rejects, Tombstones.from_ids(KEY, ["ann"]))] == [b"bob"]


@pytest.mark.parametrize(
    ("value", "is_found"),
    [
        (b'{"customer_id": "7"}', True),
        (b'{"after": [{"userId": 7}]}', True),
        (b'{"customer_id": "77", "quantity": 7}', False),
        (b"7", False),
        (b"not JSON 7", False),
        (None, False),
    ],
)
def test_a_value_mentions_a_customer_in_fields_of_ids(value: bytes | None, is_found: bool) -> None:
    """A short id is part of many values: another customer's dead letter must not be deleted for it."""
    assert mentions(value, {"7"}) is is_found
