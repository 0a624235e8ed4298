"""A worker records how large segments are, and commands show how that has changed, on real services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

SIZES = "SELECT segment, members FROM segment_size WHERE at > now() - interval '1 day' ORDER BY segment"


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace of this test."""
    with workplace(endpoints, tmp_path) as lent:
        yield lent


def test_a_worker_records_the_sizes_of_segments_and_the_list_shows_how_they_change(place: Workplace) -> None:
    worker = place.start_worker()
    place.set_customers(["ann", "bob"], days=90)
    place.set_customer("cy", revenue=5_000)
    place.update("ann", "bob", "cy")
    worker.stop()
    # As if these sizes were of a week ago: those of this hour are still missing.
    place.ask_ledger("UPDATE segment_size SET at = at - interval '7 days', members = 5 RETURNING 1")
    worker = place.start_worker()
    wait_until(lambda: bool(place.ask_ledger(SIZES)))
    worker.stop()
    assert place.ask_ledger(SIZES) == [("angry", 0), ("big-spenders", 1), ("lapsing", 2)]
    rows = [line.split() for line in place.do("segments", "list").splitlines()]
    changes = {"angry": ["0", "-5"], "big-spenders": ["1", "-4"], "lapsing": ["2", "-3"]}
    assert {row[0]: row[-2:] for row in rows}.items() >= changes.items()
