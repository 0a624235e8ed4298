"""A replica of the warehouse that lags behind the events."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from tests.journey.test_worker import workplace

if TYPE_CHECKING:
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

AWHILE_S = 0.7
ARRIVE = "UPDATE customer_features_view SET days_since_last_transaction = 90, changed_at = now()"
FIRST_ROWS = "ALTER TABLE customer_features_view ADD changed_at timestamptz DEFAULT now()"
OLD_ROWS = "UPDATE customer_features_view SET changed_at = '2020-01-01', days_since_last_transaction = %s"


def change(place: Workplace, statement: str, *values: object) -> None:
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(statement.encode(), values or None)


def test_a_row_that_comes_later_than_its_event_is_waited_for(endpoints: Endpoints, tmp_path: Path) -> None:
    """Ann's comes while the worker reads again. Bob's does not come: the trigger says that his row is stale."""
    settings = {"DWH_UPDATED_AT_COLUMN": "changed_at", "HOLDFAST_REPLICA_WAIT_S": "4"}
    with workplace(endpoints, tmp_path) as lent, ExitStack() as stack:
        place = replace(lent, environment={**lent.environment, **settings})
        change(place, FIRST_ROWS)
        place.set_customers(["ann", "bob"], days=5)
        stack.callback(place.start_worker().stop)
        place.update("ann", "bob")
        change(place, f"{OLD_ROWS} WHERE customer_id = %s", 5, "ann")
        change(place, f"{OLD_ROWS} WHERE customer_id = %s", 90, "bob")
        arrival = threading.Timer(AWHILE_S, change, (place, f"{ARRIVE} WHERE customer_id = 'ann'"))
        arrival.start()
        place.update("ann", "bob")
        arrival.join()
        (anns,), (bobs,) = place.triggers("ann"), place.triggers("bob")
        assert ("stale" in anns, bobs.get("stale")) == (False, True)
