"""The erasure of customers from the ledger: one transaction that workers cannot overlap."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import errors as pg
from psycopg import sql

from campaigns.errors import ErasureError
from campaigns.postgres_connections import ERASURE_LOCK, connect_ledger
from campaigns.queries import QUERIES
from campaigns.tombstones import bucket, digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import psycopg

LOCK_S = 20
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure deleted.

    Attributes:
        rows: rows deleted by table; of a replay with its schema. Tables without any are there, too. Those of the audit
            log stay, and no longer say whom they are about.
        unsent: messages among them that no worker had marked as published.
    """

    rows: Counter[str] = field(default_factory=Counter)
    unsent: int = 0


class PostgresErasure:
    """Erases customers on one connection."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def erase(self, customer_ids: Sequence[str], *, by: str, why: str) -> Erased:
        """Delete every row of customers, leave their tombstones and fence the workers; all of it or nothing.

        Raises:
            ErasureError: what must not overlap did not end in time; nothing was done.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._erase(customer_ids, by=by, why=why)
            except pg.DeadlockDetected:
                continue
            except pg.LockNotAvailable:
                break
        raise ErasureError(
            "the transactions of workers, or the beginning of a replay, did not end in time; nothing was erased; run "
            "it again"
        )

    def lift(self, customer_ids: Sequence[str]) -> int:
        """Remove tombstones, and return how many there were: the customers' next events count."""
        with self._connection.transaction():
            self._fence()
            lifted = self._execute("lift_tombstones", digests=self._digests(customer_ids)).rowcount
            self._execute("note_tombstones")
        return lifted

    def _erase(self, customer_ids: Sequence[str], *, by: str, why: str) -> Erased:
        erased, customers = Erased(), self._with_leads(customer_ids)
        # Before the lock: it reads the whole table. Only the letters written since are read under it.
        letters = self._find_letters(customers, after=0)
        ((last,),) = self._execute("last_dead_letter").fetchall()
        with self._connection.transaction():
            self._fence()
            letters |= self._find_letters(customers, after=last)
            self._leave_tombstones(customers, by=by, why=why)
            ((unsent,),) = self._execute("count_unsent_of", customers=customers).fetchall()
            for schema, table in self._execute("erasure_tables").fetchall():
                name = table if schema == self._schema else f"{schema}.{table}"
                delete = sql.SQL("DELETE FROM {} WHERE customer_id = ANY (%s)").format(sql.Identifier(schema, table))
                erased.rows[name] += self._connection.execute(delete, [customers]).rowcount
            erased.rows["dead_letter"] = self._delete_letters(letters)
            erased.rows["outbox"] += self._execute("delete_dead_letter_messages", ids=list(letters)).rowcount
            erased.rows["audit_entry"] += self._execute("erase_from_audit", customers=customers).rowcount
            self._execute("erase_answers", ids=[each.encode() for each in customers])
            self._execute("erase_from_jobs", customers=customers)
            for table in ("launch", "reevaluation"):
                self._execute(f"erase_{table}_cursors", customers=customers)
            for schema in self._inside_replays():
                self._leave_tombstones(customers, by=by, why=why)
                self._execute("erase_replay_plan", customers=customers)
                erased.rows[f"{schema}.dead_letter"] += self._delete_letters(self._find_letters(customers, after=0))
        return Erased(erased.rows, int(unsent))

    def _with_leads(self, customer_ids: Sequence[str]) -> list[str]:
        """Return customers and the ids of their leads, under which the ledger keeps what came before the customer's."""
        leads = self._execute("leads_of", customers=list(customer_ids)).fetchall()
        return list(dict.fromkeys([*customer_ids, *(lead for (lead,) in leads)]))

    def _inside_replays(self) -> Iterator[str]:
        """Fence each replay that has a schema, and yield that; meanwhile names without a schema mean those in it."""
        ((former,),) = self._connection.execute("SHOW search_path").fetchall()
        for (schema,) in self._execute("replay_schemas").fetchall():
            self._connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
            self._fence_partitions()
            yield schema
        self._connection.execute("SELECT set_config('search_path', %s, true)", [former])

    def _leave_tombstones(self, customers: Sequence[str], *, by: str, why: str) -> None:
        buckets = [bucket(each) for each in customers]
        self._execute("write_tombstones", digests=self._digests(customers), buckets=buckets, by=by, why=why)
        self._execute("note_tombstones")

    def _delete_letters(self, letters: Collection[str]) -> int:
        return self._execute("delete_dead_letters", ids=list(letters)).rowcount

    def _fence(self) -> None:
        """Wait for commits in flight, let none begin, and take the leases of all workers."""
        self._connection.execute(f"SET LOCAL lock_timeout = '{LOCK_S}s'")
        self._execute("lock_erasures", lock=ERASURE_LOCK)
        self._fence_partitions()

    def _fence_partitions(self) -> None:
        self._execute("lock_partitions")
        self._execute("fence_partitions")

    @property
    def _schema(self) -> str:
        return str(self._connection.execute("SELECT current_schema()").fetchall()[0][0])

    def _digests(self, customer_ids: Sequence[str]) -> list[int]:
        ((key,),) = self._execute("erasure_key").fetchall()
        return [digest(key, each) for each in customer_ids]

    def _find_letters(self, customers: Sequence[str], *, after: int) -> set[str]:
        rows = self._execute("letters_that_may_mention", ids=[each.encode() for each in customers], after=after)
        wanted = frozenset(customers)
        return {
            letter
            for letter, _, key, value in rows.fetchall()
            if (key or b"").decode(errors="replace") in wanted or mentions(value, wanted)
        }

    def _execute(self, query: str, **values: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values)


def mentions(value: bytes | None, customer_ids: Collection[str]) -> bool:
    """Return whether a JSON value has one of the ids in a field whose name ends in `id`, at any depth.

    What is not JSON is recognised by its key alone: a short id is part of many values.
    """
    try:
        return _mentions(json.loads(value or b"null"), customer_ids)
    except (ValueError, RecursionError):
        return False


def _mentions(content: Any, customer_ids: Collection[str]) -> bool:
    if isinstance(content, dict):
        return any(
            (name.lower().endswith("id") and isinstance(part, str | int) and str(part) in customer_ids)
            or _mentions(part, customer_ids)
            for name, part in content.items()
        )
    return isinstance(content, list) and any(_mentions(part, customer_ids) for part in content)


@contextmanager
def open_erasure(ledger_url: str) -> Iterator[PostgresErasure]:
    """Open the ledger for erasures.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or takes no writes.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresErasure(connection)
