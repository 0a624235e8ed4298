"""The cache is emptied, holds foreign values, or answers slowly: no decision changes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import psycopg
import pytest
from redis import Redis

from tests.faults.oracle import compare
from tests.faults.scenario import CUSTOMERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.faults.oracle import Outcome
    from tests.faults.run import Run

KEYS = [f"holdfast:features:c{number}" for number in range(CUSTOMERS)]
SEED = 25
LOTS = 6


@pytest.fixture
def cache(redis_url: str) -> Iterator[Redis]:
    """A dedicated cache."""
    with Redis.from_url(redis_url) as client:
        yield client
        client.client_unpause()


def flush(cache: Redis, _: int) -> None:
    """Lose everything."""
    cache.flushdb()


def hold_garbage(cache: Redis, lot: int) -> None:
    """Store values with the prefix of a row, of a lease or neither, and truncated rows."""
    chance = random.Random(SEED + lot)
    rows = dict(zip(KEYS, cache.mget(KEYS), strict=True))
    garbage = [b"", b"r", b"l", b"r" + chance.randbytes(40), chance.randbytes(9)]
    cache.mset(
        {key: row[:-1] if row and chance.random() < 0.5 else chance.choice(garbage) for key, row in rows.items()}
    )


def hold_other_types(cache: Redis, _: int) -> None:
    """Store lists and hashes under keys of strings."""
    cache.delete(*KEYS)
    for key in KEYS[::2]:
        cache.rpush(key, "1")
    for key in KEYS[1::2]:
        cache.hset(key, "1", "1")


def answer_slowly(cache: Redis, _: int) -> None:
    """Answer just within the worker's timeout of 250 ms."""
    cache.client_pause(150)


@pytest.mark.parametrize("kinds", [(flush, hold_garbage, hold_other_types), (answer_slowly,)], ids=["content", "pace"])
def test_a_cache_that_misbehaves_changes_no_decision(
    run: Run, undisturbed: Outcome, cache: Redis, redis_url: str, kinds: Sequence[Callable[[Redis, int], None]]
) -> None:
    """After each of six lots of the input; the worker uses the cache by then."""
    run.start(HOLDFAST_REDIS_URL=redis_url)
    for lot, sent in enumerate(run.send_lots(LOTS)):
        run.wait_for(sent)
        assert cache.dbsize() > 0, "the worker does not use the cache"
        kinds[lot % len(kinds)](cache, lot)
    assert compare(undisturbed, run.finish()).complaints == []


def test_a_cache_that_answers_too_late_changes_no_decision(
    run: Run, undisturbed: Outcome, cache: Redis, redis_url: str
) -> None:
    """Its content is unknown then, so the ledger raises the cache generation."""
    run.start(HOLDFAST_REDIS_URL=redis_url)
    for sent in run.send_lots(LOTS):
        cache.client_pause(800)
        run.wait_for(sent)
    assert compare(undisturbed, run.finish()).complaints == []
    with psycopg.connect(run.ledger_url) as ledger:
        assert ledger.execute("SELECT cache_generation > 1 FROM ledger_state").fetchone() == (True,)
