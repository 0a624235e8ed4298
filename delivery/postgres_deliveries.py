"""Deliveries in the ledger's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaigns.consent import ConsentChange, add_change
from campaigns.postgres_connections import ERASURE_LOCK, LedgerPool
from campaigns.queries import load_queries
from campaigns.tombstones import digest
from delivery.bursts import DomainCounts
from delivery.outcomes import OptOut, Report
from delivery.ports import Claimed
from delivery.trigger import read_trigger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import psycopg

    from campaigns.consent import Consent
    from delivery.answers import Outcome
    from delivery.ports import Received
    from delivery.trigger import Trigger

    Connection = psycopg.AsyncConnection[tuple[Any, ...]]

QUERIES = load_queries("delivery")
STATEMENT_MS = 15_000


class PostgresDeliveries:
    """Deliveries on a small pool of connections; each call is a transaction of its own.

    Args:
        url: libpq connection string of the ledger.
        connections: size of the pool.
        connect_timeout: seconds to wait for a connection before the ledger counts as unavailable.
    """

    def __init__(self, url: str, *, connections: int = 4, connect_timeout: float = 5) -> None:
        self._pool = LedgerPool(url, size=connections, configure=_configure, connect_timeout=connect_timeout)

    async def open(self) -> None:
        """Open the first connection.

        Raises:
            LedgerUnavailableError: it cannot be opened; the message says why.
        """
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def accept(self, received: Sequence[Received], *, now: datetime) -> int:
        """See the port."""
        triggers = [each.trigger for each in received]
        return await self._execute_unless_erased(
            "accept",
            [each.customer_id for each in triggers],
            now=now,
            ids=[each.id for each in triggers],
            customers=[each.customer_id for each in triggers],
            campaigns=[each.campaign for each in triggers],
            channels=[each.channel for each in triggers],
            bodies=[each.body for each in received],
            expire_at=[each.expires_at for each in triggers],
        )

    async def claim(self, channel: str, *, now: datetime, until: datetime, limit: int) -> Sequence[Claimed]:
        """See the port."""
        rows = await self._rows("claim", channel=channel, now=now, until=until, limit=limit)
        return [Claimed(read_trigger(bytes(body)), bytes(body), attempts) for body, attempts in rows]

    async def postpone(self, claimed: Claimed, at: datetime) -> None:
        """See the port."""
        await self._execute("postpone", id=claimed.trigger.id, attempts=claimed.attempts, at=at)

    async def retry(self, claimed: Claimed, at: datetime, reason: str) -> None:
        """See the port."""
        await self._execute("retry", id=claimed.trigger.id, attempts=claimed.attempts, at=at, reason=reason)

    async def settle(
        self, trigger: Trigger, outcome: Outcome, reason: str, *, at: datetime, mail_domain: str | None = None
    ) -> bool:
        """See the port."""
        rows = await self._rows("settle", id=trigger.id, outcome=outcome, reason=reason, at=at, domain=mail_domain)
        return bool(rows)

    async def opt_out(self, opt_out: OptOut) -> None:
        """See the port."""
        await self._execute_unless_erased(
            "opt_out",
            [opt_out.customer_id],
            event=opt_out.event_id,
            customer=opt_out.customer_id,
            channel=opt_out.channel,
            trigger=opt_out.trigger_id,
            at=opt_out.at,
        )

    async def consent(self, customer_ids: Collection[str]) -> Mapping[str, Consent]:
        """See the port."""
        found: dict[str, Consent] = {}
        for customer, channel, granted, at in await self._rows("consent", customers=list(customer_ids)):
            change = ConsentChange(customer, "", channel, granted, at, "")
            found[customer] = add_change(found.get(customer, {}), change)
        return found

    async def unreported(self, limit: int) -> tuple[Sequence[Report], Sequence[OptOut]]:
        """See the port."""
        opt_outs = [OptOut(*row) for row in await self._rows("unreported_opt_outs", limit=limit)]
        return [Report(*row) for row in await self._rows("unreported", limit=limit)], opt_outs

    async def mark_reported(self, reports: Sequence[Report], opt_outs: Sequence[OptOut], *, at: datetime) -> None:
        """See the port."""
        if reports:
            await self._execute("mark_reported", ids=[each.trigger_id for each in reports], at=at)
        if opt_outs:
            await self._execute("mark_opt_outs_reported", ids=[each.event_id for each in opt_outs], at=at)

    async def count_domains(self, *, since: datetime) -> Sequence[DomainCounts]:
        """See the port."""
        return [DomainCounts(*row) for row in await self._rows("count_domains", since=since)]

    async def count_waiting(self) -> Mapping[str, int]:
        """See the port."""
        return dict(await self._rows("count_waiting"))

    async def _execute_unless_erased(self, query: str, customer_ids: Sequence[str], **values: Any) -> int:
        """Write rows of customers who are not erased; an erasure waits meanwhile, or comes first."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(QUERIES["hold_erasures"], {"lock": ERASURE_LOCK})
            ((key,),) = await (await connection.execute(QUERIES["erasure_key"])).fetchall()
            digests = {digest(key, each): each for each in customer_ids}
            found = await (await connection.execute(QUERIES["find_tombstones"], {"digests": list(digests)})).fetchall()
            erased = [digests[each] for (each,) in found]
            return (await connection.execute(QUERIES[query], {**values, "erased": erased})).rowcount

    async def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(QUERIES[query], values)).fetchall()

    async def _execute(self, query: str, **values: Any) -> int:
        async with self._pool.connection() as connection:
            return (await connection.execute(QUERIES[query], values)).rowcount


async def _configure(connection: Connection) -> None:
    await connection.execute(f"SET statement_timeout = {STATEMENT_MS}".encode())
