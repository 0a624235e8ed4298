"""The sizes of segments, written once an hour by one of the workers.

The count reads an index that holds members only, on a connection of its own, on one core, and gives up after some
seconds: no batch waits for it. Without members a segment has a row, too: it became empty, and no gap says so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as pg

from campaigns.errors import LedgerUnavailableError, SizesNotRecordedError
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Collection

# Any number that no other lock in the ledger has.
ADVISORY_LOCK = 481_627
COUNT_S = 20.0
"""The longest time for the count of all segments."""
ANSWER_S = COUNT_S + 10
"""A little longer: the connection and the statements around the count take their time, too."""


class PostgresSegmentSizes:
    """Writes the sizes of the present hour.

    Args:
        url: libpq connection string.
        count_s: the longest time for the count of all segments.
    """

    def __init__(self, url: str, *, count_s: float = COUNT_S) -> None:
        self._url = url
        self._count_s = count_s

    async def record(self, segments: Collection[str]) -> int:
        """Count the segments whose size in this hour is not known yet, and return how many these are.

        Another worker that counts at the same time does it alone: then 0.

        Args:
            segments: the keys of those in force.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now, or takes no writes.
            SizesNotRecordedError: the count took too long, or the role may not write it.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._record(segments)
        except pg.QueryCanceled as error:
            raise SizesNotRecordedError(
                f"the count of {len(segments)} segments took longer than {self._count_s:g} s; VACUUM membership"
            ) from error
        except pg.InsufficientPrivilege as error:
            raise SizesNotRecordedError(
                "this role may not write segment_size; run campaigns/roles.sql as the ledger's owner"
            ) from error
        except (pg.OperationalError, pg.InterfaceError, pg.ReadOnlySqlTransaction, TimeoutError) as error:
            raise LedgerUnavailableError(f"the ledger cannot be reached: {error}") from error

    async def _record(self, segments: Collection[str]) -> int:
        # Opened for each count: once an hour is too rare to keep a connection.
        async with await psycopg.AsyncConnection.connect(self._url, connect_timeout=5) as connection:
            await connection.execute(QUERIES["limit_count"], {"timeout": f"{round(self._count_s * 1000)}ms"})
            cursor = await connection.execute(QUERIES["lock_segment_sizes"], {"lock": ADVISORY_LOCK})
            if (await cursor.fetchone()) != (True,):
                return 0
            written = await connection.execute(QUERIES["write_segment_sizes"], {"segments": sorted(segments)})
            return written.rowcount
