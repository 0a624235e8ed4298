"""Replays in the ledger's database: a scratch ledger in a schema of its own, its progress, and the comparison.

A replay reads the tables of the live ledger and writes to none of them.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec
import psycopg
from psycopg import errors as pg
from psycopg import sql

from campaigns.migrations import migrate
from campaigns.postgres_connections import ERASURE_LOCK, connect_ledger, hold_lock
from campaigns.postgres_ledger import PostgresLedger
from campaigns.queries import QUERIES as LEDGER_QUERIES
from campaigns.queries import load_queries
from campaigns.replay_differences import DecidedTrigger, Difference, Exposure
from segments.evaluated_versions import rules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from campaigns.ports import BatchChanges, Committed
    from features.signals import Signals
    from segments.definition import Segment
    from segments.engine import Mode

    Connection = psycopg.Connection[tuple[Any, ...]]

PREFIX = "replay_"
# Any number that no other lock in the ledger has.
ADVISORY_LOCK = 481_731
QUERIES = load_queries("campaigns", "replay_queries.sql")
_COPIES = (
    "copy_later",
    "index_later",
    "copy_evaluated",
    "note_unknown_evaluations",
    "copy_memberships",
    "find_refolded",
    "copy_signals",
    "copy_seen",
    "copy_contacts",
    "copy_consent",
    "copy_feedback",
    "copy_insights",
    "copy_hours",
    "copy_stops",
)
PAGE = 5_000


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """A replay as its schema keeps it.

    Attributes:
        plan: what was asked for, as JSON.
        ends: the offsets before which reading ends, as JSON.
        positions: where reading goes on, as JSON.
        records: decided so far.
        first_at: the earliest event time so far.
        last_at: the latest.
        seconds: taken so far.
        decided_at: when the last record was decided; None while some are left.
    """

    replay_id: str
    begin: datetime
    end: datetime
    actor: str
    started_at: datetime
    plan: str
    ends: str
    positions: str
    records: int
    first_at: datetime | None
    last_at: datetime | None
    seconds: float
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay has come with a batch: absolute, except `records`."""

    positions: str
    records: int
    first: datetime | None
    last: datetime | None
    seconds: float


class ReplayLedger(PostgresLedger):
    """The scratch ledger: each commit also stores how far the replay has come.

    A batch must not be decided twice: its features are those of its own time, and a second time would go back to them.

    Args:
        url: of the scratch ledger, see `scratch_url`.
        progress: returns how far the replay has come with the batch that is committed.
        committed: called when it is.
    """

    _always_writes = True

    def __init__(self, url: str, progress: Callable[[], ReplayProgress], committed: Callable[[], None]) -> None:
        # Without the changeovers of models: a replay scores its whole period by the same models.
        super().__init__(url, read_version=rules_of)
        self._progress = progress
        self._committed = committed

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """See the port."""
        written = await super().commit(changes, owners=owners)
        self._committed()
        return written

    async def _write(self, connection: Any, changes: BatchChanges, roster: int, changed: Collection[str]) -> list[Any]:
        written = await super()._write(connection, changes, roster, changed)
        each = self._progress()
        values = {
            "positions": each.positions,
            "records": each.records,
            "first": each.first,
            "last": each.last,
            "seconds": each.seconds,
        }
        await connection.execute(QUERIES["advance_replay"], values)
        return written


class PostgresReplay:
    """One replay: its schema, and its comparison with the live ledger.

    Args:
        connection: to the live ledger, in autocommit.
        replay_id: which one.
    """

    def __init__(self, connection: Connection, replay_id: str) -> None:
        self._connection = connection
        self.replay_id = replay_id
        self.schema = f"{PREFIX}{replay_id}"

    @property
    def exists(self) -> bool:
        """Whether it has a schema."""
        return self.replay_id in list_replays(self._connection)

    @contextmanager
    def alone(self, refusal: Exception) -> Iterator[None]:
        """Lock out other processes that run it meanwhile; `refusal` is raised where one does."""
        with hold_lock(self._connection, ADVISORY_LOCK, self.replay_id, refusal):
            yield

    @contextmanager
    def without_erasures(self) -> Iterator[None]:
        """Let no customer be erased meanwhile: what is read of them before must not be written after."""
        self._connection.execute(QUERIES["hold_erasures"], {"lock": ERASURE_LOCK})
        try:
            yield
        finally:
            self._connection.execute(QUERIES["release_erasures"], {"lock": ERASURE_LOCK})

    def create(self, ledger_url: str) -> None:
        """Create the schema with the tables of a ledger, which knows who is erased.

        Raises:
            LedgerUnavailableError: this role may not create one.
        """
        self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
        migrate(scratch_url(ledger_url, self.replay_id))
        with self._inside():
            self._connection.execute(QUERIES["create_replay"])
        for name in ("copy_erasure_key", "copy_tombstones"):
            self._copy(name)

    def begin(self, **values: Any) -> None:
        """Store what the replay is of; see the query."""
        with self._inside():
            self._connection.execute(QUERIES["begin_replay"], {"replay_id": self.replay_id, **values})

    def find(self) -> ReplayRecord:
        """Return what is stored of it."""
        return self.records()[0]

    def records(self) -> list[ReplayRecord]:
        """Return what is stored of it, nothing before it has begun."""
        try:
            return [ReplayRecord(*row) for row in self._rows("find_replay")]
        except pg.UndefinedTable:
            return []

    def copy_definitions(self, begin: datetime) -> None:
        """Copy which versions of the definitions were in force when the period began."""
        for name in ("copy_rosters", "copy_activations", "copy_rules"):
            self._copy(name, begin=begin)
        roster = sql.Literal(f"{self.schema}.roster")
        self._connection.execute(
            sql.SQL(QUERIES["skip_roster_ids"]).format(roster=roster, scratch=sql.Identifier(self.schema))
        )

    def copy_state(self, begin: datetime, end: datetime, customers: Sequence[str] | None) -> None:
        """Copy what the ledger held when the period began, all as of one moment."""
        wanted = None if customers is None else list(customers)
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for name in _COPIES:
                self._copy(name, begin=begin, end=end, customers=wanted)

    def activate_otherwise(self, segments: Sequence[Segment], mode: Mode, *, at: datetime, by: str) -> None:
        """Set how first evaluations count under rules that were not in force when the period began."""
        keys, versions = [each.key for each in segments], [each.version for each in segments]
        with self._inside():
            self._connection.execute(
                QUERIES["activate_otherwise"],
                {"keys": keys, "versions": versions, "mode": mode, "begin": at, "by": by},
            )

    def finish(self) -> None:
        """Store that every record is decided."""
        with self._inside():
            self._connection.execute(QUERIES["finish_replay"])

    def compare(self, found: ReplayRecord, customers: Sequence[str] | None) -> None:
        """Compare its decisions with those of the live ledger, and keep the result in the schema."""
        for table in ("decision", "contact", "outbox"):
            self._connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(self.schema, table)))
        with self._connection.transaction():
            self._copy("drop_difference")
            self._copy(
                "compare",
                begin=found.begin,
                end=found.end,
                first=found.first_at,
                last=found.last_at,
                customers=None if customers is None else list(customers),
            )
            self._copy("index_difference")

    def count(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one of the queries that count differences."""
        return self._rows(query, **values)

    def count_stops_between(self, begin: datetime, end: datetime) -> int:
        """Return how many stops of campaigns in the live ledger began or ended in the period."""
        rows = self._connection.execute(QUERIES["count_stops_between"], {"begin": begin, "end": end}).fetchall()
        return int(rows[0][0])

    def refolded(self) -> frozenset[str]:
        """Return the customers whose signals were not copied."""
        return frozenset(each for (each,) in self._rows_of("SELECT customer_id FROM refolded"))

    def write_signals(self, signals: Mapping[str, Signals]) -> None:
        """Write the signals of customers that were folded again."""
        encoded = [msgspec.json.encode(each).decode() for each in signals.values()]
        with self._inside():
            self._connection.execute(LEDGER_QUERIES["write_signals"], {"customers": list(signals), "signals": encoded})

    def note_uncertain(self, customers: Collection[str], what: str) -> None:
        """Note customers of whom the ledger does not show what it held when the period began."""
        with self._inside():
            self._connection.execute(QUERIES["note_uncertain"], {"customers": list(customers), "what": what})

    def examples(self, limit: int) -> list[Difference]:
        """Return so many differences of each kind and campaign."""
        return list(map(_difference, self._rows("example_differences", limit=limit)))

    def differences(self, kinds: Sequence[str] | None = None) -> Iterator[Difference]:
        """Yield every difference, in the order of trigger ids."""
        after = ""
        wanted = None if kinds is None else list(kinds)
        while rows := self._rows("list_differences", kinds=wanted, after=after, limit=PAGE):
            yield from map(_difference, rows)
            after = rows[-1][2]

    def exposures(self) -> Iterator[Exposure]:
        """Yield each opportunity that the replay or the live ledger contacts or holds out, in any order."""
        query = sql.SQL(QUERIES["list_exposures"]).format(scratch=sql.Identifier(self.schema))
        with self._connection.transaction(), self._connection.cursor("exposures") as cursor:
            cursor.itersize = PAGE
            cursor.execute(query)
            for row in cursor:
                yield Exposure(*row)

    def missing(self) -> Iterator[list[tuple[str, str, str, str]]]:
        """Yield the triggers that the live ledger has neither as decision nor as contact, in pages.

        Each is its id, its customer, its campaign and its occasion.
        """
        after = ""
        while rows := self._rows("missing_triggers", after=after, limit=PAGE):
            yield [(trigger, customer, campaign, occasion) for trigger, customer, campaign, occasion in rows]
            after = rows[-1][0]

    def note_send(self, step: str, **values: Any) -> None:
        """Note in the live ledger that what is missing is being sent; see the queries `begin_send` and those after."""
        self._connection.execute(QUERIES[step], values)

    def drop(self) -> None:
        """Drop the schema."""
        self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema)))

    def _copy(self, name: str, **values: Any) -> None:
        """Run a statement that reads the live ledger and writes to the schema."""
        query = sql.SQL(QUERIES[name]).format(scratch=sql.Identifier(self.schema))
        self._connection.execute(query, values or None)

    def _rows(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._rows_of(QUERIES[name], values)

    def _rows_of(self, query: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._inside():
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Let names without a schema mean those of the replay, and no others."""
        with self._connection.transaction():
            self._connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(self.schema)))
            yield


@contextmanager
def open_replay(ledger_url: str, replay_id: str) -> Iterator[PostgresReplay]:
    """Open a replay, which may not have a schema yet.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, has no tables yet, or this role may not do it.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresReplay(connection, replay_id)


def list_replays(connection: Connection) -> list[str]:
    """Return the ids of the replays whose schemas are there."""
    return [name.removeprefix(PREFIX) for (name,) in connection.execute(QUERIES["list_replays"], {}).fetchall()]


def scratch_url(ledger_url: str, replay_id: str) -> str:
    """Return a libpq URL of the ledger's database in which names mean the tables of a replay, and no others."""
    parts = urlsplit(ledger_url)
    given = dict(parse_qsl(parts.query))
    options = f"{given.pop('options', '')} -c search_path={PREFIX}{replay_id}".strip()
    query = urlencode({**given, "options": options}, quote_via=quote)
    return urlunsplit(parts._replace(query=query))


def _difference(row: tuple[Any, ...]) -> Difference:
    kind, customer, trigger, campaign, segment, occasion, differing, recorded, uncertain, *sides = row
    half = len(sides) // 2
    replayed, live = sides[:half], sides[half:]
    return Difference(
        kind,
        customer,
        trigger,
        campaign,
        segment,
        occasion,
        tuple(differing),
        DecidedTrigger(*replayed) if replayed[0] is not None else None,
        DecidedTrigger(*live) if live[0] is not None else None,
        is_recorded=recorded,
        is_uncertain=uncertain,
    )
