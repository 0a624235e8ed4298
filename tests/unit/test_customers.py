from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from campaigns.breaker import hour_of
from features.signals import MessageReading
from features.table import FeatureTable
from streams.customers import (
    hours_counted,
    joined_at,
    latest_events,
    messages_by_customer,
    reject_unknown_customers,
    trigger_context,
)
from streams.formats.events import RejectReason
from streams.reevaluations import customers_without_event, select_reevaluations
from tests.records import arrive, body, decode, events, message, outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from streams.formats.events import Decoded


def at(minute: int) -> str:
    return f"2011-06-01T12:{minute:02}:00Z"


def ids(some: Any) -> list[str]:
    return [event.wire.id for event in some]


def reject_unknown(*contents: dict[str, Any], duplicates: Mapping[str, int] | None = None) -> Decoded:
    """Reject the events of all customers but `ann`, the only one with a row."""
    decoded = decode(*(arrive(content, offset=offset) for offset, content in enumerate(contents)))
    customers = [event.customer_id for event in decoded.events.to_evaluate]
    return reject_unknown_customers(decoded, customers, FeatureTable(("ann",), {}), duplicates or {})


def test_events_of_unknown_customers_are_rejected() -> None:
    """At the stage that found out; all others stay in order."""
    some = body(id="1"), body(id="2", customer_id="bob"), message(id="3", customer_id="bob"), body(id="4")
    decoded = reject_unknown(*some)
    assert ids(decoded.events) == ["1", "4"]
    assert [reject.record.offset for reject in decoded.rejects] == [1, 2]
    assert {(reject.stage, reject.reason) for reject in decoded.rejects} == {("refresh", RejectReason.UNKNOWN_CUSTOMER)}
    assert "'bob'" in decoded.rejects[0].detail


def test_requests_for_reevaluation_of_unknown_customers_leave_no_dead_letter() -> None:
    """Nor do those of customers with several rows."""
    asked = {"type": "evaluation.definitions_changed", "definitions": "f00d"}
    some = [body(id=str(number), customer_id=name, **asked) for number, name in enumerate(("ann", "bob", "cy"))]
    decoded = reject_unknown(*some, duplicates={"cy": 2})
    assert (ids(decoded.events), decoded.rejects) == (["0"], [])


def test_requests_count_for_the_definitions_in_force_and_for_customers_without_an_event() -> None:
    asked = {"type": "evaluation.definitions_changed", "definitions": "f00d"}
    some = (
        body(id="1", **asked),
        body(id="2", customer_id="bob", **{**asked, "definitions": "beef"}),
        body(id="3", customer_id="cy", **asked),
        message(id="4", customer_id="cy"),
        outcome(id="5"),
    )
    decoded = select_reevaluations(decode(*map(arrive, some)), "f00d")
    assert (sorted(ids(decoded.events)), decoded.rejects) == (["1", "4", "5"], [])
    assert customers_without_event(decoded.events) == {"ann"}


def test_events_of_customers_with_several_rows_are_rejected_for_that_reason() -> None:
    """The detail has the number of rows and what to do; outcomes need no row."""
    some = body(id="1"), body(id="2", customer_id="bob"), outcome(id="3", customer_id="bob")
    decoded = reject_unknown(*some, duplicates={"bob": 2})
    assert ids(decoded.events) == ["1", "3"]
    (reject,) = decoded.rejects
    assert (reject.stage, reject.reason) == ("refresh", RejectReason.DUPLICATE_CUSTOMER)
    assert reject.detail == "'bob': the warehouse has 2 rows of this customer; leave one, then requeue the event"


@pytest.mark.parametrize(
    ("customer_id", "hint"),
    [
        ("ann ", "the id has blanks around it"),
        ("Zoe\u0308", "not in Unicode's normal form C"),
        ("007", "where ids are integers, send 7"),
        ("6F0D3C5E-5D0C-5E0C-9D0A-2F1F6F9B7A11", "send 6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11"),
    ],
)
def test_an_unknown_customer_is_told_what_may_differ(customer_id: str, hint: str) -> None:
    """Ids are compared as they are written: one customer never gets two."""
    (reject,) = reject_unknown(body(customer_id=customer_id)).rejects
    assert hint in reject.detail


def test_an_outcome_needs_no_row_in_the_warehouse() -> None:
    """A customer may have been erased there since the contact."""
    assert ids(reject_unknown(outcome(customer_id="gone")).events) == ["e1"]


def test_the_latest_event_time_counts_and_not_the_arrival() -> None:
    """Of equal times the later arrival counts."""
    some = events(
        body(id="1", occurred_at=at(5)),
        body(id="2", occurred_at=at(9)),
        message(id="3", occurred_at=at(9)),
        body(id="4"),
    )
    assert latest_events(some)["ann"].wire.id == "4"
    assert latest_events(some[:3])["ann"].wire.id == "3"
    found = trigger_context(latest_events(some[:1])["ann"])
    assert found.as_of == datetime(2011, 6, 1, 12, 5, tzinfo=UTC)
    assert (found.partition, found.received_ms) == (1, 1_306_931_400_000)


def test_event_times_are_compared_across_time_zones() -> None:
    """Half past eight in New York is after noon in Greenwich."""
    some = events(body(id="1", occurred_at="2011-06-01T08:31:00-04:00"), body(id="2", occurred_at=at(30)))
    assert latest_events(some)["ann"].wire.id == "1"


def test_messages_come_in_event_order_and_once() -> None:
    """A repeated id is one message, read once; its first event counts."""
    read: list[str] = []

    def note(texts: Sequence[str]) -> list[MessageReading]:
        read.extend(texts)
        return [MessageReading(0.5)] * len(texts)

    late, early = message(id="late", occurred_at=at(9), text="b"), message(id="early", occurred_at=at(1), text="a")
    found = messages_by_customer(events(late, early, late, message(id="x", customer_id="bob", role="agent")), note)
    assert [each.id for each in found["ann"]] == ["early", "late"]
    assert [(each.role, each.reading.sentiment) for each in found["bob"]] == [("agent", 0.5)]
    assert (read.count("a"), read.count("b")) == (1, 1)


def test_a_customer_joined_at_the_time_in_the_view() -> None:
    """Without the column nothing is known; null and what is no time are unknown; without a zone it is UTC."""
    assert joined_at(FeatureTable(("ann",), {})) == {}
    cells = ["2011-01-01T01:00:00+01:00", None, "2011-01-01", "last summer"]
    names = ["ann", "bob", "cy", "dee"]
    table = FeatureTable.from_rows(names, ["customer_since"], [[cell] for cell in cells], ["other"])
    new_year = datetime(2011, 1, 1, tzinfo=UTC)
    assert joined_at(table) == {"ann": new_year, "bob": None, "cy": new_year, "dee": None}


def test_the_hours_that_breakers_count_lie_around_those_of_the_events() -> None:
    """A late event makes a range of its own: what lies between is not read."""
    days = ("2011-06-01", "2011-05-28", "2011-05-28")
    spread = events(*(body(id=f"{n}", occurred_at=f"{day}T12:30:00Z") for n, day in enumerate(days)))
    late, now = hour_of(spread[1].wire.occurred_at), hour_of(spread[0].wire.occurred_at)
    assert hours_counted(spread, 6) == [(late - 5, late + 5), (now - 5, now + 5)]
    assert hours_counted(spread, 60) == [(late - 59, now + 59)]
    assert hours_counted(spread, 0) == hours_counted([], 6) == []
