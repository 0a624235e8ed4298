"""Checks of the ledger: schema, role, server, and the versions in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.use_cases.doctor.findings import error, note, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from campaigns.postgres_inspection import LedgerFacts, ServerFacts
    from console.use_cases.doctor.findings import Finding
    from streams.settings import Settings

CLOCKS_S = 1.0
FREE_CONNECTIONS = 8
"""A worker takes four to the ledger; another one must be able to start while one ends."""
LIMITS_TRANSACTIONS = 170_000
OLDEST_TESTED = 140_000
SHOWN = 10
GRANT = "psql $OWNER_URL --set role={role} --file campaigns/roles.sql"


def check_schema(settings: Settings, ledger: LedgerFacts) -> Iterator[Finding]:
    """The ledger has the migrations of this version."""
    if ledger.missing_steps:
        yield error(
            "schema-behind",
            f"the ledger lacks the migrations {', '.join(ledger.missing_steps)}",
            "No worker starts unless its role may migrate.",
            "holdfast ledger migrate, as the ledger's owner; then campaigns/roles.sql",
        )
    if ledger.unknown_steps:
        yield note(
            "schema-ahead",
            f"the ledger has the migrations {', '.join(ledger.unknown_steps)}, which this version does not know",
            "A newer version has migrated it. Workers of this version work with it, as during an upgrade.",
            "install the version of Holdfast that the other workers have",
        )


def check_rights(settings: Settings, ledger: LedgerFacts) -> Iterator[Finding]:
    """The role has the rights that a worker needs."""
    if ledger.lacking:
        shown = "; ".join(map(str, ledger.lacking[:SHOWN]))
        more = f"; {len(ledger.lacking) - SHOWN} more" if len(ledger.lacking) > SHOWN else ""
        yield error(
            "ledger-rights-missing",
            f"role {ledger.role} lacks {shown}{more}",
            "A worker stops at the first batch that needs it.",
            GRANT.format(role=ledger.role),
        )


def check_excess(settings: Settings, ledger: LedgerFacts) -> Iterator[Finding]:
    """The role has no right that a worker should not have."""
    for said in ledger.excessive:
        yield warning(
            "ledger-rights-excessive",
            f"role {ledger.role} of HOLDFAST_LEDGER_URL {said}",
            "A worker needs to delete nothing; with this role a fault or an intruder may remove or forge decisions.",
            f"CREATE ROLE holdfast_worker LOGIN PASSWORD '…'; {GRANT.format(role='holdfast_worker')}; use it in "
            "HOLDFAST_LEDGER_URL of the workers",
        )


def check_server(settings: Settings, ledger: LedgerFacts) -> Iterator[Finding]:
    """The server's version is one that is tested."""
    version = ledger.server.version
    if version < OLDEST_TESTED:
        yield warning(
            "postgresql-old",
            f"the ledger's server is PostgreSQL {version // 10_000}",
            "Versions before 14 are no longer maintained, and Holdfast is not tested with them.",
            "upgrade the server to PostgreSQL 17 or later",
        )
    elif version < LIMITS_TRANSACTIONS:
        yield note(
            "postgresql-without-transaction-timeout",
            f"the ledger's server is PostgreSQL {version // 10_000}, which has no transaction_timeout",
            "A worker that freezes while it sends a transaction keeps its partitions until its connection breaks.",
            "upgrade the server to PostgreSQL 17 or later",
        )


def check_clock(settings: Settings, ledger: LedgerFacts) -> Iterator[Finding]:
    """The server's clock agrees with this machine's."""
    yield from compare_clocks("ledger", ledger.server)


def check_connections(settings: Settings, ledger: LedgerFacts) -> Iterator[Finding]:
    """The server has room for another worker's connections."""
    yield from find_headroom("ledger", ledger.server)


def compare_clocks(name: str, server: ServerFacts) -> Iterator[Finding]:
    """Yield a finding where a server's clock differs from this machine's."""
    if abs(server.ahead_s) - server.round_trip_s / 2 > CLOCKS_S:
        direction = "ahead of" if server.ahead_s > 0 else "behind"
        yield warning(
            f"clock-of-{name}",
            f"the clock of the {name}'s server is {abs(server.ahead_s):.1f} s {direction} this machine's",
            "Ages, times of stops and of activations are wrong by as much.",
            "let both follow one time server (chronyc tracking)",
        )


def find_headroom(name: str, server: ServerFacts) -> Iterator[Finding]:
    """Yield a finding where a server has few connections left."""
    free = server.max_connections - server.connections
    if free < FREE_CONNECTIONS:
        yield warning(
            f"connections-of-{name}",
            f"the {name}'s server has {free} of {server.max_connections} connections left",
            "A worker needs four connections to the ledger and two to the warehouse; without them it waits.",
            "raise max_connections in postgresql.conf, or end idle clients (pg_stat_activity)",
        )


CHECKS: Sequence[Callable[[Settings, LedgerFacts], Iterator[Finding]]] = (
    check_schema,
    check_rights,
    check_excess,
    check_server,
    check_clock,
    check_connections,
)
