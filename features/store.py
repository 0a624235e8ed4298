"""The feature store: facts of customers from the warehouse, through a cache that may be lost at any moment.

Why no decision uses an outdated row:

* A customer who has just changed is invalidated, and read from the warehouse instead of the cache.
* A row is filled only under a lease that was taken before the warehouse was read. An invalidation removes the lease, so
  a slow reader cannot restore an outdated row.
* Every row carries a stamp: the cache generation and a fingerprint of the columns. A row with another stamp is removed
  and read again, so a changed view makes all earlier rows unreadable.
* When an invalidation fails, the content of the cache is unknown. The read reports it (`cache_lost`), the ledger raises
  the generation in the transaction of the same batch, and the store bypasses the cache until `use_generation` brings
  the new number. A crash in between redelivers the batch, and its customers are invalidated again. So nothing written
  before the loss is ever read, in this process or another, provided each uses the ledger's generation before it reads.
* While an invalidation is running, later reads of its customers go to the warehouse too: batches may be read at the
  same time.

The generation is part of the row and not of its key, so that an invalidation removes a customer's row for every
generation and every set of columns of the process that wrote it.

A customer with several rows in the warehouse has no facts: the read names such customers, and none of their rows is
cached.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from features.errors import CacheUnavailableError
from features.table import FeatureTable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from features.ports import FeatureCache, Warehouse
    from features.row_age import RowAge
    from features.table import Column, Kind

_GENERATION_BYTES = 8
_FINGERPRINT_BYTES = 8
_DECODER = msgspec.msgpack.Decoder(list[Any])


@dataclass(frozen=True, slots=True)
class FeatureRead:
    """The result of a read.

    Attributes:
        table: one row per customer that has exactly one in the warehouse, in the order of the request.
        cache_lost: an invalidation may not have happened: raise the cache generation with the batch.
        duplicates: the number of rows of each customer that has several.
        lost_columns: columns that an earlier read of this process found, and this one did not.
    """

    table: FeatureTable
    cache_lost: bool
    duplicates: Mapping[str, int] = field(default_factory=dict)
    lost_columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Schema:
    """The columns of the warehouse's table in the last read."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]

    @classmethod
    def of(cls, table: FeatureTable) -> _Schema:
        # A column of truth values is bool, or object if it has nulls: here both are one kind.
        return cls(tuple(table.columns), tuple(map(_kind, table.columns.values())))

    def decode(self, row: bytes, generation: int) -> list[Any] | None:
        """Return a cached row's values, or None for a row with another stamp or that cannot be decoded."""
        stamp = self.stamp(generation)
        if not row.startswith(stamp):
            return None
        try:
            values = _DECODER.decode(row[len(stamp) :])
        except msgspec.DecodeError:
            return None
        return values if len(values) == len(self.names) else None

    def fingerprint(self) -> bytes:
        columns = msgspec.json.encode([self.names, self.kinds])
        return hashlib.sha256(columns).digest()[:_FINGERPRINT_BYTES]

    def stamp(self, generation: int) -> bytes:
        return generation.to_bytes(_GENERATION_BYTES, "big") + self.fingerprint()

    def table(self, rows: Mapping[str, Sequence[Any]]) -> FeatureTable:
        table = FeatureTable.from_rows(tuple(rows), self.names, tuple(rows.values()), self.kinds)
        return FeatureTable(table.customer_ids, {name: _narrowed(each) for name, each in table.columns.items()})


@dataclass(frozen=True, slots=True)
class _Cached:
    """The rows and leases from the cache; leases are valid for this generation and these columns only."""

    schema: _Schema | None = None
    generation: int = 0
    rows: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    leases: Mapping[str, bytes] = field(default_factory=dict)


class FeatureStore:
    """Reads the features of a batch with one query to the warehouse at most, two when its columns have changed.

    Attributes:
        cache_failures: the number of failed calls to the cache.
        cache_reads: customers found (hit), not found (miss), or not looked up because the cache is away (unavailable).
        cache_available: whether the last call to the cache succeeded.
        must_bump: the cache is bypassed until a new generation comes.
    """

    def __init__(
        self, warehouse: Warehouse, cache: FeatureCache, *, generation: int = 0, row_age: RowAge | None = None
    ) -> None:
        self._warehouse = warehouse
        self._row_age = row_age
        self._cache = cache
        self._generation = generation
        self._schema: _Schema | None = None
        self._invalidating: list[Collection[str]] = []
        self._seen_columns: set[str] = set()
        self.cache_failures = 0
        self.cache_reads: Counter[str] = Counter()
        self.cache_available = True
        self.must_bump = False

    def use_generation(self, generation: int) -> None:
        """Use the ledger's cache generation; a higher one than before ends the bypassing of the cache."""
        if generation > self._generation:
            self._generation = generation
            self.must_bump = False

    @property
    def reads_age(self) -> bool:
        """Whether `changed_at` makes a difference."""
        return self._row_age is not None

    async def read(
        self,
        customer_ids: Sequence[str],
        *,
        fresh: Collection[str],
        changed_at: Mapping[str, datetime] = MappingProxyType({}),
    ) -> FeatureRead:
        """Return the features of customers; a customer without a row in the warehouse is missing from the table.

        Args:
            customer_ids: the customers to read; a repeated id counts once.
            fresh: customers who have just changed. They are invalidated, and read from the warehouse.
            changed_at: the time at which they changed, by their events: an older row is read again for a while.

        Raises:
            WarehouseUnavailableError: the warehouse cannot be reached now; retry.
            WarehouseLayoutError: the warehouse's table is missing, lacks the id column, or may not be read.
            WarehouseRowError: the warehouse fails on the row of one of the customers.
        """
        wanted = list(dict.fromkeys(customer_ids))
        # Marked before the first await, so that a batch that is read at the same time finds them.
        self._invalidating.append(fresh)
        direct = set().union(*self._invalidating)
        try:
            certain, cached = await asyncio.gather(
                self._invalidate(tuple(fresh)),
                self._read_cache([each for each in wanted if each not in direct]),
            )
        finally:
            self._invalidating.remove(fresh)
        table, duplicates = await self._complete(wanted, cached)
        if self._row_age is not None:
            table = await self._row_age.await_newer(table, changed_at, self._warehouse.fetch)
        self._seen_columns.update(table.columns)
        lost_columns = frozenset(self._seen_columns.difference(table.columns))
        return FeatureRead(_ordered(table, wanted), not certain, duplicates, lost_columns)

    async def _complete(self, wanted: Sequence[str], cached: _Cached) -> tuple[FeatureTable, Mapping[str, int]]:
        """Return the cached rows together with those of all others, which one query fetches, and the duplicates."""
        missing = [each for each in wanted if each not in cached.rows]
        if not missing and cached.schema:
            return cached.schema.table(cached.rows), {}
        fetched, duplicates = split_duplicates(await self._warehouse.fetch(missing))
        self._schema = _Schema.of(fetched)
        if cached.schema is None:
            return fetched, duplicates
        if cached.schema != self._schema:
            # The columns have changed under the cached rows.
            return split_duplicates(await self._warehouse.fetch(wanted))
        await self._fill(fetched, cached)
        table = _joined(cached.schema.table(cached.rows), fetched) if cached.rows else fetched
        return table, duplicates

    async def _invalidate(self, customer_ids: Sequence[str]) -> bool:
        """Return whether it is certain that the rows are gone."""
        if not customer_ids:
            return True
        if self.must_bump:
            return False
        try:
            await self._cache.invalidate(customer_ids)
        except CacheUnavailableError:
            self._note_failure()
            self.must_bump = True
            return False
        self.cache_available = True
        return True

    async def _read_cache(self, customer_ids: Sequence[str]) -> _Cached:
        """Return rows and leases; nothing if the cache is away or bypassed."""
        schema, generation = self._schema, self._generation
        if self.must_bump or schema is None or not customer_ids:
            self.cache_reads["unavailable"] += len(customer_ids) if self.must_bump else 0
            return _Cached()
        try:
            found, leases = await self._cache.read(customer_ids)
            decoded = {customer_id: schema.decode(row, generation) for customer_id, row in found.items()}
            if unreadable := [customer_id for customer_id, row in decoded.items() if row is None]:
                await self._cache.invalidate(unreadable)
        except CacheUnavailableError:
            self._note_failure()
            self.cache_reads["unavailable"] += len(customer_ids)
            return _Cached()
        self.cache_available = True
        rows = {customer_id: row for customer_id, row in decoded.items() if row is not None}
        self.cache_reads.update(hit=len(rows), miss=len(customer_ids) - len(rows))
        return _Cached(schema, generation, rows, leases)

    async def _fill(self, fetched: FeatureTable, cached: _Cached) -> None:
        places = [row for row, customer_id in enumerate(fetched.customer_ids) if customer_id in cached.leases]
        # A lease of an earlier generation may have outlived an invalidation that failed.
        if not places or self.must_bump or cached.schema is None or cached.generation != self._generation:
            return
        stamp, table = cached.schema.stamp(cached.generation), fetched.take(places)
        cells = zip(*(column.tolist() for column in table.columns.values()), strict=True)
        rows = {
            customer_id: stamp + msgspec.msgpack.encode(row)
            for customer_id, row in zip(table.customer_ids, cells, strict=True)
        }
        try:
            await self._cache.fill(rows, {customer_id: cached.leases[customer_id] for customer_id in rows})
        except CacheUnavailableError:
            self._note_failure()

    def _note_failure(self) -> None:
        self.cache_failures += 1
        self.cache_available = False


def split_duplicates(table: FeatureTable) -> tuple[FeatureTable, Mapping[str, int]]:
    """Return the rows of customers that have one, and the number of rows of every other customer."""
    if len(set(table.customer_ids)) == len(table):
        return table, {}
    duplicates = {each: count for each, count in Counter(table.customer_ids).items() if count > 1}
    single = [place for place, each in enumerate(table.customer_ids) if each not in duplicates]
    return table.take(single), duplicates


def _kind(column: Column) -> Kind:
    return "number" if column.dtype == np.float64 else "other"


def _narrowed(column: Column) -> Column:
    if column.dtype == object and {type(cell) for cell in column} == {bool}:
        return column.astype(np.bool_)
    return column


def _joined(first: FeatureTable, second: FeatureTable) -> FeatureTable:
    columns = {name: np.concatenate([first.columns[name], second.columns[name]]) for name in first.columns}
    return FeatureTable(first.customer_ids + second.customer_ids, columns)


def _ordered(table: FeatureTable, wanted: Sequence[str]) -> FeatureTable:
    places = {customer_id: place for place, customer_id in enumerate(table.customer_ids)}
    return table.take([places[customer_id] for customer_id in wanted if customer_id in places])
