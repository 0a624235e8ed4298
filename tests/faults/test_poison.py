"""Records that pass decoding and fail in a later step become dead letters; decisions on the others do not change."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from tests.faults.run import Run
from tests.faults.scenario import JOINED, START, InputRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.oracle import Outcome
    from tests.faults.run import World

SOUR = 7
SEED = 44
VIEW = """
CREATE VIEW customer_features_view AS
SELECT *, 1 / (customer_id <> 'sour')::int AS sweetness FROM customer_rows
"""


@contextmanager
def sour_customer(world: World) -> Iterator[None]:
    """Add a customer whose row the warehouse cannot compute: the view divides by zero."""
    row = ("sour", JOINED, 1.0, 1, 1.0, True, True, "sms")
    with psycopg.connect(world.warehouse_url, autocommit=True) as warehouse:
        warehouse.execute("INSERT INTO customer_features_view VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row)
        warehouse.execute("ALTER TABLE customer_features_view RENAME TO customer_rows")
        warehouse.execute(VIEW)
        yield
        warehouse.execute("DROP VIEW customer_features_view")
        warehouse.execute("ALTER TABLE customer_rows RENAME TO customer_features_view")
        warehouse.execute("DELETE FROM customer_features_view WHERE customer_id = 'sour'")


def mix_in(records: Sequence[InputRecord]) -> list[InputRecord]:
    """Return the records, interleaved with updates of that customer."""
    chance, mixed = random.Random(SEED), list(records)
    for number in range(SOUR):
        event = {
            "id": f"s{number}",
            "type": "customer.updated",
            "customer_id": "sour",
            "occurred_at": START.isoformat(),
        }
        sour = InputRecord("customer-updates", 1, b"sour", json.dumps(event).encode())
        mixed.insert(chance.randrange(len(mixed)), sour)
    return mixed


def test_poison_is_set_aside_and_the_others_are_decided_as_without_it(
    world: World, records: Sequence[InputRecord], undisturbed: Outcome
) -> None:
    """Each poison event is one dead letter that says why; nothing else differs but offsets of dead letters."""
    with sour_customer(world), Run(world, mix_in(records)) as run:
        run.send()
        run.start()
        outcome = run.finish()
    letters = outcome.things["dead_letters"]
    sour = [letter for letter in letters if letter[4] == b"sour"]  # type: ignore[index]
    assert (len(sour), {letters[each] for each in sour}) == (SOUR, {1})
    assert len(letters) - SOUR == len(undisturbed.things["dead_letters"])
    for kind in outcome.things.keys() - {"dead_letters"}:
        assert outcome.things[kind] == undisturbed.things[kind], kind
