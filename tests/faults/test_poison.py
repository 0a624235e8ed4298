"""Records that pass decoding and fail in a later step become dead letters; decisions on the others do not change."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import psycopg

from tests.faults.run import Run
from tests.faults.scenario import JOINED, START, InputRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.oracle import Outcome
    from tests.faults.run import World

SOUR = 7
SEED = 44


def add_sour_customer(world: World) -> None:
    """Add a customer with an invalid `customer_since`, so that no rule on the customer's age can be evaluated."""
    row = ("sour", JOINED, 1.0, 1, 1.0, True, True, "sms")
    with psycopg.connect(world.warehouse_url) as warehouse:
        warehouse.execute("INSERT INTO customer_features_view VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row)
        warehouse.execute("UPDATE customer_features_view SET customer_since = 'soon' WHERE customer_id = 'sour'")


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
    """Each poison event is one dead letter with its reason; only offsets of dead letters differ otherwise."""
    add_sour_customer(world)
    with Run(world, mix_in(records)) as run:
        run.send()
        run.start()
        outcome = run.finish()
    letters = outcome.things["dead_letters"]
    sour = [letter for letter in letters if letter[4] == b"sour"]  # type: ignore[index]
    assert (len(sour), {letters[each] for each in sour}) == (SOUR, {1})
    assert len(letters) - SOUR == len(undisturbed.things["dead_letters"])
    for kind in outcome.things.keys() - {"dead_letters"}:
        assert outcome.things[kind] == undisturbed.things[kind], kind
