"""What a batch reads of the ledger in PostgreSQL, in one round trip; customers who are kept are only checked."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.consent import ConsentTimes
from campaigns.contact_limits import PastContact
from campaigns.contact_state import Contact, ContactState
from campaigns.decide import ContactHistory
from campaigns.feedback import Standing
from campaigns.kept_customers import CustomerState, KeptCustomers, arrange_parts, begin_reading
from campaigns.leads import LeadState
from campaigns.ports import NO_FACTS, LedgerState
from campaigns.queries import QUERIES
from features.insights import Insights
from features.pg_array_literal import PgTextArray
from features.signals import Signals
from segments.engine import Episode, MembershipState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from campaigns.ports import CustomerKey, HourRange, LedgerFacts
    from campaigns.postgres_connections import LedgerPool
    from campaigns.postgres_rosters import Rosters

    Rows = Sequence[tuple[Any, ...]]
    Values = Mapping[str, Any]


class _Evaluated(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of one customer: the last evaluation was under the present versions unless others are named.

    The revision is null for a minute after the first evaluation, in which no worker keeps the customer.
    """

    revision: str | None
    due_at: int | None
    roster: int = 0
    earlier: tuple[int, ...] = ()


class _Customers(msgspec.Struct, frozen=True):
    """What `read_customers` returns, by customer."""

    evaluated: dict[str, _Evaluated]
    episodes: dict[str, dict[str, Episode]]
    signals: dict[str, Signals]
    consent: dict[str, dict[str, ConsentTimes]]
    last_contacts: dict[str, dict[str, datetime]]
    contacts: dict[str, tuple[PastContact, ...]]
    feedback: dict[str, tuple[Standing, ...]]


class _Surroundings(msgspec.Struct, frozen=True):
    """What `read_surroundings` returns before the horizon: two by campaign, two by customer."""

    stops: dict[str, str]
    contact_hours: dict[str, dict[int, int]]
    last_transitions: dict[str, datetime]
    insights: dict[str, Insights]


def _decoders(answer: type[msgspec.Struct]) -> list[msgspec.json.Decoder[Any]]:
    return [msgspec.json.Decoder(each.type) for each in msgspec.structs.fields(answer)]


_CUSTOMERS, _SURROUNDINGS = _decoders(_Customers), _decoders(_Surroundings)
_NEVER_EVALUATED = _Evaluated(None, None)
_FIRST_AT = msgspec.json.Decoder(dict[str, datetime])


class LedgerReader:
    """Reads the state that batches are decided on.

    Args:
        pool: connections to the ledger.
        rosters: those that this process has met.
        kept: the most customers to keep between batches.

    Attributes:
        kept: customers kept between batches.
        reads: how many customers were kept and still the latest, not kept (read), or kept and not the latest (changed).
    """

    def __init__(self, pool: LedgerPool, rosters: Rosters, kept: int) -> None:
        self._pool = pool
        self._rosters = rosters
        self.kept = KeptCustomers(kept)
        self.reads: Counter[str] = Counter()
        self._cooling = PgTextArray()

    def add_cooling(self, campaigns: Iterable[str]) -> None:
        """Read the last contacts of these campaigns, too, from now on."""
        if added := set(campaigns) - set(self._cooling):
            self._cooling = PgTextArray([*self._cooling, *sorted(added)])
            # Of those kept, such contacts were not read.
            self.kept.forget_all()

    async def read(  # noqa: PLR0913 - one parameter for each part of the state
        self,
        customer_ids: Sequence[str],
        message_ids: Sequence[CustomerKey],
        *,
        triggers: Sequence[CustomerKey],
        decisions: Sequence[CustomerKey],
        contacts_after: datetime | None,
        hours: Sequence[HourRange],
        versions: Mapping[str, str],
        facts: LedgerFacts = NO_FACTS,
        leads: Sequence[str],
        breaking: PgTextArray,
    ) -> LedgerState:
        """See the port; `breaking` are the campaigns with a breaker."""
        keys = {"read_seen": message_ids, "read_contacts": triggers, "read_decided": decisions}
        questions: dict[str, Values] = {query: as_arrays(asked) for query, asked in keys.items() if asked}
        if leads:
            questions["read_leads"] = {"customers": PgTextArray(leads)}
        # Last: what is deleted before a query above sees it was announced before.
        questions["read_surroundings"] = {
            "customers": PgTextArray(customer_ids if facts != NO_FACTS else ()),
            "hour_begins": [first for first, _ in hours],
            "hour_ends": [last for _, last in hours],
            "breaking": breaking,
            "last_transitions": facts.last_transitions,
            "insights": list(facts.insights),
        }
        after = begin_reading(contacts_after)
        while True:
            roster = self._rosters.find(versions)
            kept = self.kept.find(customer_ids, roster, contacts_after)
            missing = [each for each in customer_ids if each not in kept]
            rows = await self._ask({**self._ask_customers(missing, roster, after), **_check(kept), **questions})
            changed = [customer for (customer,) in rows.get("find_changed_customers", ())]
            if not changed:
                break
            self.kept.forget(changed)
            self.reads["changed"] += len(changed)
        self.reads.update(kept=len(kept), read=len(missing))
        read = await self._find_customers(rows.get("read_customers", ()), versions, after)
        self.kept.keep({each: one for each, one in read.items() if one.revision is not None}, roster)
        customers = arrange_parts({**kept, **read}, contacts_after)
        *answers, pruned_before = rows["read_surroundings"][0]
        around = _Surroundings(*_decode(_SURROUNDINGS, answers))
        return LedgerState(
            customers.memberships,
            customers.signals,
            customers.histories,
            set(rows.get("read_seen", ())),
            dict(map(_contact, rows.get("read_contacts", ()))),
            set(rows.get("read_decided", ())),
            around.stops,
            around.contact_hours,
            customers.due_times,
            pruned_before,
            around.last_transitions,
            around.insights,
            leads={row[0]: LeadState(*row) for row in rows.get("read_leads", ())},
        )

    def _ask_customers(self, customer_ids: Sequence[str], roster: int, after: datetime | None) -> dict[str, Values]:
        if not customer_ids:
            return {}
        values = {"customers": PgTextArray(customer_ids), "cooling": self._cooling, "contacts_after": after}
        return {"read_customers": {**values, "roster": roster}}

    async def _ask(self, questions: Mapping[str, Values]) -> Mapping[str, Rows]:
        """Return the rows of some queries, all asked at once."""
        async with self._pool.connection() as connection, connection.pipeline():
            cursors = {query: await connection.execute(QUERIES[query], values) for query, values in questions.items()}
        # Not in the pipeline: each would wait for an answer of its own.
        return {query: await cursor.fetchall() for query, cursor in cursors.items()}

    async def _find_customers(
        self, rows: Rows, versions: Mapping[str, str], after: datetime | None
    ) -> dict[str, CustomerState]:
        """Return what was read of customers; those evaluated under the present versions have a revision."""
        if not rows:
            return {}
        read = _Customers(*_decode(_CUSTOMERS, rows[0]))
        memberships = await self._find_memberships(read, versions)
        ids = {each: None for part in msgspec.structs.astuple(read) for each in part}
        found = {}
        for each in ids:
            evaluated = read.evaluated.get(each, _NEVER_EVALUATED)
            found[each] = CustomerState(
                None if evaluated.roster else evaluated.revision,
                evaluated.due_at,
                memberships.get(each),
                read.signals.get(each),
                _history(read, each),
                after,
            )
        return found

    async def _find_memberships(self, read: _Customers, present: Mapping[str, str]) -> Mapping[str, MembershipState]:
        """Return the memberships by customer, with earlier versions where the last evaluation was under others."""
        others = {customer: each for customer, each in read.evaluated.items() if each.roster}
        versions = await self._rosters.read(
            {self._rosters.find(present), *(each.roster for each in others.values())} - {0}
        )
        current = self._rosters.find(present)  # which a worker that has just started may have learned now
        outdated = {customer: each.earlier for customer, each in others.items() if each.roster != current}
        versions = await self._rosters.read({number for earlier in outdated.values() for number in earlier})
        return {
            customer: MembershipState(
                read.episodes.get(customer, {}),
                versions[each.roster or current] if (each := read.evaluated.get(customer)) else {},
                tuple(versions[number] for number in outdated.get(customer, ())),
            )
            for customer in {**read.evaluated, **read.episodes}
        }


def as_arrays(keys: Sequence[CustomerKey]) -> dict[str, Any]:
    """Return pairs of a customer and an id as the parameters of a query."""
    return {"customers": PgTextArray(customer for customer, _ in keys), "ids": PgTextArray(each for _, each in keys)}


def _check(kept: Mapping[str, CustomerState]) -> dict[str, Values]:
    if not kept:
        return {}
    revisions = PgTextArray(each.revision for each in kept.values())
    return {"find_changed_customers": {"customers": PgTextArray(kept), "revisions": revisions}}


def _history(read: _Customers, customer_id: str) -> ContactHistory | None:
    parts = (read.consent, read.last_contacts, read.contacts, read.feedback)
    if not any(customer_id in part for part in parts):
        return None
    return ContactHistory(
        read.consent.get(customer_id, {}),
        read.last_contacts.get(customer_id, {}),
        read.contacts.get(customer_id, ()),
        read.feedback.get(customer_id, ()),
    )


def _contact(row: tuple[Any, ...]) -> tuple[CustomerKey, Contact]:
    customer_id, trigger_id, channel, status, value, conversions, first_at = row
    state = ContactState(status, value, conversions, _FIRST_AT.decode(first_at))
    return (customer_id, trigger_id), Contact(channel, state)


def _decode(decoders: Sequence[msgspec.json.Decoder[Any]], answers: Sequence[str | None]) -> list[Any]:
    return [decoder.decode(each or "{}") for decoder, each in zip(decoders, answers, strict=True)]
