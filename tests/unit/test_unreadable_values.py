"""Unreadable values of the warehouse in health, and segments that lack a column."""

from __future__ import annotations

from features.unreadable_values import SHOWN_COLUMNS, UnreadableValues
from streams.worker_report import SHOWN_SEGMENTS, describe_frozen


class Ticks:
    """A clock that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def test_unreadable_values_are_counted_by_column_and_named() -> None:
    values = UnreadableValues()
    values.add({"valid_to": 2})
    values.add({"valid_to": 1, "born": 1})
    assert values.counts == {"valid_to": 3, "born": 1}
    assert [line.partition(";")[0] for line in values.describe()] == [
        "warehouse: column 'valid_to' has values that cannot be read (3 so far)",
        "warehouse: column 'born' has values that cannot be read (1 so far)",
    ]


def test_a_column_is_named_for_a_while_after_its_last_unreadable_value() -> None:
    """The count stays."""
    ticks = Ticks()
    values = UnreadableValues(ticks, shown_for_s=60)
    values.add({"valid_to": 1})
    ticks.now = 60
    assert len(values.describe()) == 1
    ticks.now = 61
    assert (values.describe(), values.counts["valid_to"]) == ([], 1)
    values.add({"valid_to": 1})
    assert len(values.describe()) == 1


def test_the_lists_in_health_are_bounded() -> None:
    values = UnreadableValues()
    values.add({f"column {number}": 1 for number in range(SHOWN_COLUMNS + 3)})
    assert len(values.describe()) == SHOWN_COLUMNS + 1
    assert values.describe()[-1].startswith("warehouse: 3 more columns")
    frozen = describe_frozen({f"s{number}": ("score",) for number in range(SHOWN_SEGMENTS + 2)})
    assert len(frozen) == SHOWN_SEGMENTS + 1
    assert frozen[0] == "segment s0: missing from the warehouse's view: score; memberships unchanged"
    assert frozen[-1].startswith("segments: 2 more")
