"""The message store: a schema of a PostgreSQL database with pgvector.

Whatever writes messages holds a lock meanwhile, which an erasure waits for. The writer reads the tombstones under it,
and the erasure takes it after the tombstones are written: so no message of an erased customer is written after the
erasure's deletion.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from campaigns.queries import load_queries
from intelligence.errors import MessageStoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    Connection = psycopg.Connection[tuple[Any, ...]]

QUERIES = load_queries("intelligence")
WRITE_LOCK = 481_631
DELETED_AT_ONCE = 5_000
_DIGITS = 5
"""Of the components of a vector; halfvec keeps 3 significant digits."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A row of the table `message`, without what PostgreSQL computes; `vector` is None where there is none yet."""

    customer_id: str
    message_id: str
    occurred_at: datetime
    role: str
    text: str
    language: str | None
    sentiment: float
    satisfaction: float
    concerns: Sequence[str]
    urgency: str | None
    wants_to_cancel: bool
    vector: str | None = None
    vector_version: str | None = None


class MessageStore:
    """Reads and writes the message store on one connection in autocommit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """The connection, for queries of other modules of this package."""
        return self._connection

    def positions(self) -> dict[tuple[str, int], int]:
        """Return the next offset to read of each (topic, partition) read before."""
        return {(topic, partition): offset for topic, partition, offset in self.execute("positions").fetchall()}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in one transaction that no erasure overlaps."""
        with self._connection.transaction():
            self.execute("lock_writes", lock=WRITE_LOCK)
            yield

    def write(self, messages: Sequence[StoredMessage], positions: Mapping[tuple[str, int], int]) -> int:
        """Write messages and where reading goes on; return how many were new. Use it within `writing`."""
        with self._connection.cursor() as cursor:
            if messages:
                cursor.executemany(QUERIES["write_message"], [_as_values(each) for each in messages])
            new = cursor.rowcount if messages else 0
            places = [
                {"topic": topic, "partition": number, "next_offset": offset}
                for (topic, number), offset in positions.items()
            ]
            cursor.executemany(QUERIES["write_position"], places)
        return new

    def write_vectors(self, vectors: Sequence[tuple[str, str, str | None]], version: str) -> None:
        """Write the vectors of messages, each with its customer and its id, in one transaction."""
        rows = [
            {"customer_id": customer, "message_id": message, "vector": vector, "version": version}
            for customer, message, vector in vectors
        ]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(QUERIES["write_vector"], rows)

    def update_readings(self, readings: Sequence[Mapping[str, Any]]) -> int:
        """Write what was read in messages, and return how many of them changed. Use it within `writing`."""
        if not readings:
            return 0
        with self._connection.cursor() as cursor:
            cursor.executemany(QUERIES["update_reading"], readings)
            return cursor.rowcount

    def erase(self, customer_ids: Sequence[str]) -> Counter[str]:
        """Delete every row of customers and return how many there were by table; their tombstones must exist."""
        rows: Counter[str] = Counter()
        with self.writing():
            for (table,) in self.execute("customer_tables").fetchall():
                delete = sql.SQL("DELETE FROM {} WHERE customer_id = ANY (%s)").format(
                    sql.Identifier("intelligence", table)
                )
                rows[f"intelligence.{table}"] = self._connection.execute(delete, [list(customer_ids)]).rowcount
        return rows

    def has_tables(self) -> bool:
        """Return whether the store was ever migrated."""
        return bool(self.execute("has_tables").fetchall()[0][0])

    def count_older(self, cutoff: datetime) -> int:
        """Return how many messages are older than a time."""
        return int(self.execute("count_older", cutoff=cutoff).fetchall()[0][0])

    def delete_older(self, cutoff: datetime) -> int:
        """Delete the messages that are older than a time, in short transactions; return how many there were."""
        deleted = 0
        while rows := self.execute("delete_older", cutoff=cutoff, most=DELETED_AT_ONCE).rowcount:
            deleted += rows
        return deleted

    def count(self) -> int:
        """Return the number of messages."""
        return int(self.execute("count_messages").fetchall()[0][0])

    def execute(self, query: str, **values: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement of queries.sql."""
        return self._connection.execute(QUERIES[query], values)


@contextmanager
def open_store(store_url: str) -> Iterator[MessageStore]:
    """Open the message store.

    Raises:
        MessageStoreUnavailableError: it cannot be reached, has no tables yet, or this role may not use it.
    """
    try:
        with psycopg.connect(store_url, connect_timeout=5, autocommit=True) as connection:
            yield MessageStore(connection)
    except (pg.UndefinedTable, pg.UndefinedColumn, pg.InvalidSchemaName) as error:
        raise MessageStoreUnavailableError(
            "the message store's tables are missing or of an older version; run: holdfast messages migrate"
        ) from error
    except pg.InsufficientPrivilege as error:
        raise MessageStoreUnavailableError(
            f"HOLDFAST_INTELLIGENCE_URL: this role may not use the message store ({_first_line(error)}); use the role "
            "that ran `holdfast messages migrate`"
        ) from error
    except (pg.OperationalError, pg.InterfaceError, pg.ReadOnlySqlTransaction) as error:
        raise MessageStoreUnavailableError(
            f"HOLDFAST_INTELLIGENCE_URL: the message store cannot be used: {_first_line(error)}"
        ) from error


def vector_literals(vectors: NDArray[np.float32]) -> list[str | None]:
    """Return vectors as PostgreSQL reads them; None for a vector of zeros, which has no direction."""
    rows = vectors.round(_DIGITS).tolist()
    return [f"[{','.join(map(repr, row))}]" if any(row) else None for row in rows]


def _as_values(message: StoredMessage) -> dict[str, Any]:
    return {name: getattr(message, name) for name in StoredMessage.__slots__}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
