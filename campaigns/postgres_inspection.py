"""What a ledger's server says of the role, the schema, its clock and its connections, for `holdfast doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from campaigns.migrations import list_steps
from campaigns.postgres_connections import connect_ledger
from campaigns.queries import QUERIES
from campaigns.role_grants import read_grants

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from campaigns.role_grants import Grant


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a PostgreSQL server says of itself.

    Attributes:
        version: the number, such as 170004 for 17.4.
        ahead_s: by how much its clock is ahead of this machine's, s, known to half of `round_trip_s`.
        round_trip_s: how long the answer took.
        max_connections: the most connections of roles that are not superusers.
        connections: those open now.
    """

    version: int
    ahead_s: float
    round_trip_s: float
    max_connections: int
    connections: int


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What was read of a ledger.

    Attributes:
        server: its server.
        role: the role of HOLDFAST_LEDGER_URL.
        missing_steps: the migrations that this version has and the ledger lacks.
        unknown_steps: those that the ledger has and this version does not know.
        lacking: the rights that a worker needs and the role lacks.
        excessive: what the role may do and a worker's role should not, in words.
    """

    server: ServerFacts
    role: str
    missing_steps: Sequence[str]
    unknown_steps: Sequence[str]
    lacking: Sequence[Grant]
    excessive: Sequence[str]


def inspect_ledger(ledger_url: str, *, timeout_s: float) -> LedgerFacts:
    """Read from a ledger.

    Raises:
        LedgerUnavailableError: it cannot be reached.
    """
    with connect_ledger(ledger_url) as connection:
        connection.execute(f"SET statement_timeout = {int(timeout_s * 1000)}")
        ((role,),) = connection.execute("SELECT current_user::text").fetchall()
        applied, known = _find_applied(connection), list_steps()
        return LedgerFacts(
            inspect_server(connection),
            role,
            [step for step in known if step not in applied],
            sorted(applied.difference(known)),
            _find_lacking(connection) if applied else [],
            [said for (said,) in connection.execute(QUERIES["excessive_rights"]).fetchall()],
        )


def inspect_server(connection: psycopg.Connection[tuple[Any, ...]]) -> ServerFacts:
    """Return what a server says of itself."""
    before = datetime.now(UTC)
    ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    after = datetime.now(UTC)
    ((most, used),) = connection.execute(QUERIES["connections"]).fetchall()
    round_trip = after - before
    ahead = now - (before + round_trip / 2)
    return ServerFacts(connection.info.server_version, ahead.total_seconds(), round_trip.total_seconds(), most, used)


def _find_applied(connection: psycopg.Connection[tuple[Any, ...]]) -> set[str]:
    ((table,),) = connection.execute("SELECT to_regclass('_yoyo_migration')::text").fetchall()
    return {step for (step,) in connection.execute(QUERIES["applied_steps"]).fetchall()} if table else set()


def _find_lacking(connection: psycopg.Connection[tuple[Any, ...]]) -> list[Grant]:
    grants = read_grants()
    values = {
        "tables": [each.table for each in grants],
        "rights": [each.right for each in grants],
        "columns": [each.column for each in grants],
    }
    held = [held for (held,) in connection.execute(QUERIES["rights_held"], values).fetchall()]
    return [grant for grant, has in zip(grants, held, strict=True) if not has]
