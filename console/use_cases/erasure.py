"""A customer erased: from the ledger and the cache, with a receipt of what was deleted and what others must delete."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.errors import ErasureError
from campaigns.postgres_erasure import open_erasure
from console.use_cases.ledger import ask_ledger
from features.errors import CacheUnavailableError
from features.redis_cache import RedisFeatureCache
from intelligence.postgres_messages import open_store
from streams.errors import BrokerUnavailableError
from streams.kafka.topics import read_retention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from streams.settings import Settings

CUSTOMERS_AT_ONCE = 200
SEARCHED_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure did.

    Attributes:
        customers: how many were erased.
        rows: rows deleted by table.
        unsent: messages among them that may still be published by a worker that held them.
        cache_erased: whether Redis has removed their rows; otherwise none is read again, and they expire.
        files: files of the models' folder that mention one of them.
        retention_s: how long each topic keeps its records; None for those without a limit of time.
        broker: why the topics' retention is not known; empty when it is.
    """

    customers: int
    rows: Mapping[str, int]
    unsent: int
    cache_erased: bool
    files: Sequence[str]
    retention_s: Mapping[str, float | None]
    broker: str = ""


def erase_customers(settings: Settings, customer_ids: Sequence[str], *, by: str, why: str) -> Receipt:
    """Erase customers, and leave tombstones that keep later and replayed events of theirs without effect.

    Raises:
        ErasureError: no customer is named, or workers did not let it begin; nothing of the last 200 was erased.
        LedgerUnavailableError: the ledger cannot be reached.
        MessageStoreUnavailableError: they were erased from the ledger, and their messages are left; run it again.
    """
    wanted = _unique(customer_ids)
    rows: Counter[str] = Counter()
    unsent = 0
    with open_erasure(settings.ledger_url) as ledger:
        for some in _chunks(wanted):
            erased = ledger.erase(some, by=by, why=why)
            rows.update(erased.rows)
            unsent += erased.unsent
    rows.update(_erase_messages(settings, wanted))
    cache_erased = asyncio.run(_erase_from_cache(settings, wanted))
    if not cache_erased:
        ask_ledger(settings, lambda ledger: ledger.bump_cache_generation())
    retention, broker = _read_retention(settings)
    files = find_mentions(settings.models_dir, wanted) if settings.models_dir else []
    return Receipt(len(wanted), dict(rows), unsent, cache_erased, files, retention, broker)


def _erase_messages(settings: Settings, customer_ids: Sequence[str]) -> Counter[str]:
    """Delete what the message store has of customers, where there is one; their tombstones are written before."""
    rows: Counter[str] = Counter()
    with open_store(settings.store_url) as store:
        if store.has_tables():
            for some in _chunks(customer_ids):
                rows.update(store.erase(some))
    return rows


def lift_erasure(settings: Settings, customer_ids: Sequence[str]) -> int:
    """Remove the tombstones of customers who come back, and return how many there were.

    Raises:
        ErasureError, LedgerUnavailableError: as `erase_customers`.
    """
    wanted = _unique(customer_ids)
    with open_erasure(settings.ledger_url) as ledger:
        return sum(ledger.lift(some) for some in _chunks(wanted))


def find_mentions(folder: Path, customer_ids: Sequence[str]) -> list[str]:
    """Return the text files under a folder that have one of the ids as a whole cell, line or JSON value."""
    wanted = frozenset(customer_ids)
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".json", ".csv", ".txt"} and path.stat().st_size < SEARCHED_BYTES
        if not wanted.isdisjoint(_values(path))
    ]


def _values(path: Path) -> set[str]:
    text = path.read_text(errors="replace")
    if path.suffix == ".json":
        values: set[str] = set()
        json.loads(text, object_hook=lambda each: values.update(v for v in each.values() if isinstance(v, str)))
        return values
    return {cell.strip().strip('"') for line in text.splitlines() for cell in line.split(",")}


def _unique(customer_ids: Sequence[str]) -> list[str]:
    wanted = [each for each in dict.fromkeys(customer_ids) if each]
    if not wanted:
        raise ErasureError("no customer is named; give their ids, or a file with one id a line")
    return wanted


def _chunks(customer_ids: Sequence[str]) -> list[Sequence[str]]:
    return [customer_ids[at : at + CUSTOMERS_AT_ONCE] for at in range(0, len(customer_ids), CUSTOMERS_AT_ONCE)]


async def _erase_from_cache(settings: Settings, customer_ids: Sequence[str]) -> bool:
    cache = RedisFeatureCache(settings.redis_url, ca_file=settings.redis_ca_file)
    try:
        await cache.invalidate(customer_ids)
    except CacheUnavailableError:
        return False
    finally:
        await cache.close()
    return True


def _read_retention(settings: Settings) -> tuple[Mapping[str, float | None], str]:
    try:
        return read_retention(settings), ""
    except BrokerUnavailableError as error:
        return {}, str(error)
