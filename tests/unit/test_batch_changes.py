"""Which batches change nothing."""

from __future__ import annotations

from dataclasses import fields

import pytest

from campaigns.ports import BatchChanges

CIRCUMSTANCES = {"transitions_at", "versions"}
CHANGES = [each.name for each in fields(BatchChanges) if each.name not in CIRCUMSTANCES]


def test_times_and_versions_alone_change_nothing() -> None:
    assert BatchChanges().is_empty
    assert BatchChanges(**{name: {"ann": "any"} for name in CIRCUMSTANCES}).is_empty  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CHANGES)
def test_everything_else_is_a_change(name: str) -> None:
    assert not BatchChanges(**{name: ["something"]}).is_empty  # type: ignore[arg-type]
