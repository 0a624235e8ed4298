"""Rosters: the combinations of segment versions under which customers were evaluated, by number.

They never change, and many customers share one: a worker reads each once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import psycopg

    from campaigns.postgres_connections import LedgerPool


class Rosters:
    """The rosters that this process has met.

    Args:
        pool: connections to the ledger.
        read_version: from a version as it is recorded to the one that counts.
    """

    def __init__(self, pool: LedgerPool, read_version: Callable[[str], str] = str) -> None:
        self._pool = pool
        self._read_version = read_version
        self._numbers: dict[bytes, int] = {}
        self._versions: dict[int, dict[str, str]] = {}

    def find(self, versions: Mapping[str, str]) -> int:
        """Return the number of a combination of versions, 0 if this process has not met it yet."""
        return self._numbers.get(_encode(versions), 0)

    async def number(self, connection: psycopg.AsyncConnection[tuple[Any, ...]], versions: Mapping[str, str]) -> int:
        """Return the number of a combination of versions, which the ledger may get now."""
        encoded = _encode(versions)
        if encoded not in self._numbers:
            cursor = await connection.execute(QUERIES["find_roster"], {"versions": encoded.decode()})
            self._numbers[encoded] = (await cursor.fetchall())[0][0]
        return self._numbers[encoded]

    async def read(self, numbers: Collection[int]) -> Mapping[int, Mapping[str, str]]:
        """Return the versions by number, of these at least."""
        if unknown := set(numbers) - self._versions.keys():
            async with self._pool.connection() as connection:
                cursor = await connection.execute(QUERIES["read_rosters"], {"rosters": list(unknown)})
                found = dict(await cursor.fetchall())
            for number, versions in found.items():
                self._versions[number] = {key: self._read_version(version) for key, version in versions.items()}
                self._numbers[_encode(versions)] = number
        return self._versions


def _encode(versions: Mapping[str, str]) -> bytes:
    return msgspec.json.encode(versions, order="sorted")
