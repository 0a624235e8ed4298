"""When a trigger is delivered: now, later or never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from delivery.errors import UnreadableTriggerError
from delivery.intake import sort_values
from delivery.plan import EXPIRED, Later, Never, Now, plan
from delivery.trigger import read_trigger
from tests.triggers import NOW, received, trigger_bytes

HOUR = timedelta(hours=1)
NIGHT = {"from": "21:00", "to": "08:00", "zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("changes", "planned"),
    [
        ({}, Now()),
        ({"expires_at": NOW}, Never(EXPIRED)),
        ({"expires_at": NOW + timedelta(microseconds=1)}, Now()),
        ({"deliver_after": NOW}, Now()),
        ({"deliver_after": NOW + HOUR}, Later(NOW + HOUR)),
        ({"deliver_after": NOW + HOUR, "expires_at": NOW + HOUR}, Never(EXPIRED)),
        ({"quiet_hours": {**NIGHT, "from": "14:00"}}, Now()),  # 13:00 in Berlin
        ({"quiet_hours": {**NIGHT, "from": "13:00"}}, Later(datetime(2026, 3, 3, 7, tzinfo=UTC))),
        ({"quiet_hours": {**NIGHT, "from": "13:00"}, "expires_at": NOW + HOUR}, Never(EXPIRED)),
        (
            {"quiet_hours": NIGHT, "deliver_after": NOW + 9 * HOUR},  # 22:00: the quiet hours have changed since
            Later(datetime(2026, 3, 3, 7, tzinfo=UTC)),
        ),
    ],
)
def test_expiry_and_quiet_hours_decide_when(changes: dict[str, Any], planned: object) -> None:
    assert plan(received(**changes).trigger, NOW) == planned


def test_what_is_planned_for_later_is_due_then() -> None:
    """On the night of a change of the clocks, too."""
    trigger = received(quiet_hours=NIGHT, expires_at=datetime(2026, 4, 1, tzinfo=UTC)).trigger
    later = plan(trigger, datetime(2026, 3, 29, 0, 30, tzinfo=UTC))
    assert later == Later(datetime(2026, 3, 29, 6, tzinfo=UTC))
    assert isinstance(later, Later)
    assert plan(trigger, later.at) == Now()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "no value"),
        (b"", "no value"),
        (b"{", "truncated"),
        (b"\xff", "malformed"),
        (trigger_bytes(variant="control"), "variant"),
        (trigger_bytes(trigger_id="1"), "trigger_id"),
        (trigger_bytes(expires_at="2026-03-02T12:00:00"), "expires_at"),
        (trigger_bytes(quiet_hours={**NIGHT, "zone": "Mars/Base"}), "quiet_hours"),
        (trigger_bytes(quiet_hours={}), "quiet_hours"),
        (trigger_bytes(customer_id="a\0b"), "customer_id"),
        (trigger_bytes(customer_id=""), "customer_id"),
        (b'{"customer_id": "\\ud800"}', "truncated"),
        (trigger_bytes(deliver_after="9999-12-31T23:59:59Z"), "9000"),
    ],
)
def test_a_record_that_is_no_trigger_is_refused(value: bytes | None, why: str) -> None:
    """The control group is not contacted, whatever topic its exposures are on."""
    with pytest.raises(UnreadableTriggerError, match=why):
        read_trigger(value)


def test_triggers_of_the_workers_are_read() -> None:
    """The golden one."""
    with open("tests/golden/trigger.json", "rb") as file:  # noqa: PTH123 - tests run in the repository
        golden = msgspec.json.decode(file.read())
    body = msgspec.json.encode(golden.get("value", golden))
    assert read_trigger(body).campaign


def test_triggers_of_other_channels_are_counted_and_left_to_others() -> None:
    values = [trigger_bytes(), trigger_bytes("bob", channel="sms"), b"x", None]
    found = sort_values(values, {"email"})
    assert [each.trigger.customer_id for each in found.received] == ["ann"]
    assert (found.others, set(found.unreadable)) == ({"sms": 1}, {2, 3})
