"""The ledger in PostgreSQL: one read and one transaction per batch, arrays in and out."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import errors as pg
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_loads

from campaigns.consent import ConsentChange
from campaigns.dead_letters import DESTINATION as DEAD_LETTERS
from campaigns.dead_letters import read_message
from campaigns.decide import Outcome
from campaigns.decision_inputs import DecisionInputs
from campaigns.errors import LedgerConflictError, LedgerFencedError
from campaigns.feedback import Feedback
from campaigns.kept_customers import KEPT
from campaigns.leads import LeadRecord, LeadState
from campaigns.ports import NO_FACTS, Committed, LedgerState, OutboxRow, Refusal
from campaigns.postgres_connections import ACTIVATION_LOCK, ANSWER_S, ERASURE_LOCK, LedgerPool
from campaigns.postgres_rosters import Rosters
from campaigns.postgres_state import LedgerReader, as_arrays
from campaigns.queries import QUERIES
from campaigns.records import (
    ActivationRecord,
    DecisionRecord,
    ErasureRecord,
    MemberRecord,
    MembershipRecord,
    StopRecord,
)
from campaigns.tombstones import Tombstones, digest
from campaigns.triggers import Headers, Message, decision_message_id
from campaigns.unpublishable import set_aside
from features.pg_array_literal import PgTextArray, register_text_arrays
from models.current_user import current_user
from segments.definition import build_segment
from segments.engine import EARLIER_KEPT, Activation
from segments.errors import SegmentsError
from segments.evaluated_versions import rules_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from campaigns.breaker import CampaignStop
    from campaigns.contact_state import ContactState
    from campaigns.definition import Campaign
    from campaigns.ports import BatchChanges, CustomerKey, ExperimentCustomer, HourRange, LedgerFacts
    from features.signals import Signals
    from segments.definition import Segment
    from segments.engine import EarlierResult, Mode

    Connection = psycopg.AsyncConnection[tuple[Any, ...]]
    Cursor = psycopg.AsyncCursor[tuple[Any, ...]]
    Work = tuple[str, dict[str, Any]]

IDLE_TRANSACTION_S = 5
TRANSACTION_S = 15
_LIMITS_TRANSACTIONS = 170_000
_SEEN_KEY = "seen_event_pkey"
_OWNED = "partition_is_owned"

set_json_loads(msgspec.json.decode)


_INPUTS = msgspec.json.Decoder(DecisionInputs)


class PostgresLedger:
    """A Ledger on a small pool of connections.

    Args:
        url: libpq connection string.
        connect_timeout: seconds to wait for a connection before the ledger counts as unavailable.
        answer_s: seconds to wait for an answer before the ledger counts as unavailable.
        read_only: PostgreSQL refuses every write.
        checks_connections: before each use, see LedgerPool.
        kept_customers: the most customers whose state is kept between batches, see kept_customers.py.
        read_version: from a segment's version as customers were evaluated under it to the one that counts.
    """

    _always_writes = False
    """Whether a batch that changes nothing is a transaction, too."""

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float = 5,
        answer_s: float = ANSWER_S,
        read_only: bool = False,
        checks_connections: bool = False,
        kept_customers: int = KEPT,
        read_version: Callable[[str], str] = str,
    ) -> None:
        self._pool = LedgerPool(
            url,
            size=4,
            configure=_configure_read_only if read_only else _configure,
            connect_timeout=connect_timeout,
            answer_s=answer_s,
            prepare_threshold=2,
            checks_connections=checks_connections,
        )
        self._rosters = Rosters(self._pool, read_version)
        self._reader = LedgerReader(self._pool, self._rosters, kept_customers)
        self._versions: dict[str, str] = {}
        self._breaking = PgTextArray()
        self._tombstones, self._tombstones_version = Tombstones(), 0

    @property
    def customer_reads(self) -> Mapping[str, int]:
        """Customers whose state was kept and still the latest (kept), was not kept (read), or had changed (changed)."""
        return self._reader.reads

    @property
    def kept_customers(self) -> int:
        """The number of customers whose state is kept in memory."""
        return len(self._reader.kept)

    async def open(self) -> None:
        """Open the first connection.

        Raises:
            LedgerUnavailableError: it cannot be opened; the message says why.
        """
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def read(  # noqa: PLR0913 - one parameter for each part of the state
        self,
        customer_ids: Sequence[str],
        message_ids: Sequence[CustomerKey],
        *,
        triggers: Sequence[CustomerKey] = (),
        decisions: Sequence[CustomerKey] = (),
        contacts_after: datetime | None = None,
        hours: Sequence[HourRange] = (),
        versions: Mapping[str, str] | None = None,
        facts: LedgerFacts = NO_FACTS,
        leads: Sequence[str] = (),
    ) -> LedgerState:
        """See the port."""
        return await self._reader.read(
            customer_ids,
            message_ids,
            triggers=triggers,
            decisions=decisions,
            contacts_after=contacts_after,
            hours=hours,
            versions=versions or self._versions,
            facts=facts,
            leads=leads,
            breaking=self._breaking,
        )

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """See the port."""
        return await self._commit(changes, owners)

    async def dry_run(self, changes: BatchChanges) -> None:
        """See the port."""
        await self._commit(changes, {}, keep=False)

    async def claim(self, partition: int) -> int:
        """See the port."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                QUERIES["claim_partition"], {"partition": partition, "lock": ERASURE_LOCK}
            )
            epoch = int((await cursor.fetchall())[0][0])
        # A worker of an earlier release, which replaces no revisions, may have owned it meanwhile.
        self._reader.kept.forget_all()
        return epoch

    async def cache_generation(self) -> int:
        """Return the generation of the feature cache."""
        return int((await self._rows("cache_generation"))[0][0])

    async def bump_cache_generation(self) -> None:
        """Let no row of the feature cache be read again."""
        await self._rows("bump_cache_generation")

    async def tombstones(self) -> Tombstones:
        """See the port."""
        version = int((await self._rows("tombstones_version"))[0][0])
        if version != self._tombstones_version:
            ((key, digests, buckets),) = await self._rows("tombstones")
            self._tombstones = Tombstones.from_rows(key, digests, buckets)
            self._tombstones_version = version
        return self._tombstones

    async def last_sequence(self) -> int:
        """See the port."""
        return int((await self._rows("last_sequence"))[0][0])

    async def renew(self) -> str:
        """Give the ledger a new id, under which nothing has been published yet, and return it."""
        return str((await self._rows("renew_ledger"))[0][0])

    async def ledger_id(self) -> str:
        """Return the id of this ledger."""
        return str((await self._rows("ledger_id"))[0][0])

    async def digest_key(self) -> str:
        """Return the key of the digests of customer ids in logs."""
        return str((await self._rows("digest_key"))[0][0])

    async def unsent(self, partition: int) -> Sequence[OutboxRow]:
        """See the port."""
        rows = await self._rows("unsent", partition=partition)
        return [_stored(row) for row in rows]

    async def count_unsent(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return how many messages of each partition are not marked sent."""
        wanted = list(partitions)
        counted = {partition: count for partition, count in await self._rows("count_unsent", partitions=wanted)}  # noqa: C416 - rows are tuples of unknown length to the type checker
        return {partition: counted.get(partition, 0) for partition in wanted}

    async def mark_sent(self, stored: Sequence[OutboxRow]) -> None:
        """See the port."""
        await self._execute("mark_sent", sequences=PgTextArray(str(each.sequence) for each in stored))

    async def mark_failed(self, rows: Sequence[OutboxRow]) -> None:
        """See the port."""
        refusals = [(each.sequence, each.refusal) for each in rows if each.refusal is not None]
        failed = {
            "sequences": PgTextArray(str(sequence) for sequence, _ in refusals),
            "topics": PgTextArray(refusal.topic for _, refusal in refusals),
            "reasons": PgTextArray(refusal.reason for _, refusal in refusals),
        }
        letters = _dead_letters([each.message for each in rows])
        async with self._pool.connection() as connection, _transaction(connection):
            await connection.execute(QUERIES["mark_failed"], failed)
            await connection.execute(QUERIES["write_dead_letters"], letters)

    async def activate(
        self, segments: Sequence[Segment], campaigns: Sequence[Campaign], *, at: datetime
    ) -> Mapping[str, Activation]:
        """See the port."""
        self._use(segments, campaigns)
        kinds = [("segment", each.key, each.version) for each in segments]
        kinds += [("campaign", each.key, each.version) for each in campaigns]
        by = current_user()
        for kind, key, version in kinds:
            await self._execute("activate", kind=kind, key=key, version=version, mode="silent", at=at, by=by)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(QUERIES["lock_segment_activations"], {"lock": ACTIVATION_LOCK})
            await connection.execute(QUERIES["note_segment_activations"], {**_segments(segments), "at": at, "by": by})
        return await self._find_activations(segments)

    async def read_activations(
        self, segments: Sequence[Segment], campaigns: Sequence[Campaign]
    ) -> Mapping[str, Activation]:
        """Read under these definitions from now on, and return the activations, as `activate` does; record nothing.

        A segment of which no worker has put the version into force is missing.
        """
        self._use(segments, campaigns)
        return await self._find_activations(segments)

    def _use(self, segments: Sequence[Segment], campaigns: Sequence[Campaign]) -> None:
        self._versions = {segment.key: segment.version for segment in segments}
        # Those of earlier definitions, too: a batch that was prepared under them is decided under them.
        self._reader.add_cooling(each.key for each in campaigns if each.cooldown_days)
        breaking = (each.key for each in campaigns if each.breaker)
        self._breaking = PgTextArray(dict.fromkeys([*self._breaking, *breaking]))

    async def find_changed(self, segments: Sequence[Segment]) -> Sequence[str]:
        """See the port."""
        latest = dict(await self._rows("latest_segment_versions", keys=[each.key for each in segments]))
        return [each.key for each in segments if latest.get(each.key, each.version) != each.version]

    async def set_mode(self, segment: Segment, mode: Mode, *, at: datetime, by: str, why: str) -> None:
        """See the port."""
        values = {"key": segment.key, "version": segment.version, "mode": mode, "at": at, "by": by}
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(QUERIES["lock_segment_activations"], {"lock": ACTIVATION_LOCK})
            await connection.execute(QUERIES["set_activation_mode"], values)
            await connection.execute(QUERIES["note_segment_mode"], {**values, "why": why, "rules": segment.rules})

    async def segment_history(self, segment: str) -> Sequence[ActivationRecord]:
        """See the port."""
        return [ActivationRecord(*row) for row in await self._rows("segment_history", key=segment)]

    async def segment_histories(self, segments: Collection[str]) -> Mapping[str, Sequence[ActivationRecord]]:
        """Return the history of each of these segments, see segment_history; empty of one that was never in force."""
        histories: dict[str, list[ActivationRecord]] = {each: [] for each in segments}
        for key, *row in await self._rows("segment_histories", keys=list(segments)):
            histories[key].append(ActivationRecord(*row))
        return histories

    async def count_evaluated(self, segment: Segment) -> tuple[int, int]:
        """Return how many customers were last evaluated under a segment's present version, and how many under any."""
        ((present, known),) = await self._rows("count_evaluated_under", key=segment.key, version=segment.version)
        return int(present), int(known)

    async def stop_campaign(self, stop: CampaignStop) -> bool:
        """Stop a campaign, and return whether it was not stopped already: then nothing changes."""
        return bool(await self._rows("write_stops", **_stops([stop])))

    async def resume_campaign(self, campaign: str, *, actor: str, reason: str) -> bool:
        """Let a stopped campaign contact customers again, and return whether it was stopped.

        Its breaker counts from now on.
        """
        return bool(await self._rows("resume_campaign", campaign=campaign, by=actor, reason=reason))

    async def stops(self) -> Sequence[StopRecord]:
        """Return the campaigns that are stopped now, in the order of their keys."""
        return [StopRecord(*row) for row in await self._rows("stops")]

    async def experiment_stops(self, experiments: Collection[str]) -> Mapping[str, str]:
        """Return why each of these experiments on models stopped by itself; those that did not are missing."""
        rows = await self._rows("experiment_stops", experiments=list(experiments))
        return {experiment: reason for experiment, reason, _ in rows}

    async def segment_sizes(self) -> dict[str, int]:
        """Return the number of members by segment; a segment without members is left out."""
        return dict(await self._rows("segment_sizes"))

    async def decisions_of(self, customer_id: str) -> list[DecisionRecord]:
        """Return a customer's decisions in order of event time."""
        return [_decision_record(row) for row in await self._rows("decisions_of", customer=customer_id)]

    async def memberships_of(self, customer_id: str) -> list[MembershipRecord]:
        """Return a customer's latest episode in each segment."""
        return [MembershipRecord(*row) for row in await self._rows("memberships_of", customer=customer_id)]

    async def members(self, segment: str) -> Sequence[str]:
        """Return the customers who are members of a segment now."""
        return [row[0] for row in await self._rows("members", segment=segment)]

    async def list_members(self, segment: str, *, limit: int, after: str = "") -> Sequence[MemberRecord]:
        """Return at most so many members of a segment whose ids come after one, in the order of their ids."""
        rows = await self._rows("list_members", segment=segment, limit=limit, after=after)
        return [MemberRecord(*row) for row in rows]

    async def count_members(self, segment: str) -> int:
        """Return the number of members of a segment now."""
        return int((await self._rows("count_members", segment=segment, after=""))[0][0])

    async def find_activation(self, segment: Segment) -> Activation | None:
        """Return the activation of a segment's present version, None where no worker has started with it."""
        return (await self._find_activations([segment])).get(segment.key)

    async def _find_activations(self, segments: Sequence[Segment]) -> dict[str, Activation]:
        wanted = _segments(segments)
        rows = await self._rows("segment_activations", keys=wanted["keys"], versions=wanted["versions"])
        others: dict[str, dict[str, Segment]] = {}
        # Only mode `new` compares with other versions.
        if compared := [key for key, _, mode, _ in rows if mode == "new"]:
            for key, version, rules in await self._rows("segment_rules", keys=compared):
                # With what this version of Holdfast cannot compile nothing is compared: the first evaluation is silent.
                with suppress(SegmentsError):
                    content = {"key": key, "name": key, **rules}
                    others.setdefault(key, {})[version] = build_segment(content, where=f"{key} version {version}")
        return {key: Activation(version, since, mode, others.get(key, {})) for key, version, mode, since in rows}

    async def find_tombstone(self, customer_id: str) -> ErasureRecord | None:
        """Return when and why a customer was erased, None for one who was not."""
        ((key,),) = await self._rows("erasure_key")
        rows = await self._rows("find_tombstone", digest=digest(key, customer_id))
        return ErasureRecord(*rows[0]) if rows else None

    async def consent_history(self, customer_id: str) -> Sequence[ConsentChange]:
        """Return every change of a customer's consent, in the order of event time."""
        rows = await self._rows("consent_changes_of", customer=customer_id)
        return [ConsentChange(customer_id, *row) for row in rows]

    async def list_leads(self, tier: str | None, *, closed: bool, limit: int) -> Sequence[LeadState]:
        """Return leads, the highest score first.

        Args:
            tier: of this tier alone; None for all.
            closed: those that are converted or lost, too.
            limit: the most.
        """
        return [LeadState(*row) for row in await self._rows("list_leads", tier=tier, closed=closed, limit=limit)]

    async def lead_events(self, lead_id: str) -> Sequence[LeadRecord]:
        """Return the events of a lead, in the order of event time."""
        return [LeadRecord(*row) for row in await self._rows("lead_events", lead=lead_id)]

    async def find_lead(self, lead_id: str) -> LeadState | None:
        """Return a lead, None where there is none."""
        rows = await self._rows("read_leads", customers=[lead_id])
        return LeadState(*rows[0]) if rows else None

    async def feedback_of(self, customer_id: str) -> Sequence[Feedback]:
        """Return everything that staff said of a customer, in the order of event time."""
        return [Feedback(*row) for row in await self._rows("feedback_of", customer=customer_id)]

    async def all_feedback(self) -> Sequence[Feedback]:
        """Return everything that staff said of any customer, in the order of event time."""
        return [Feedback(*row) for row in await self._rows("all_feedback")]

    async def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(QUERIES[query], values)).fetchall()

    async def _execute(self, query: str, **values: Any) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(QUERIES[query], values)

    async def _commit(self, changes: BatchChanges, owners: Mapping[int, int], *, keep: bool = True) -> Committed:
        changed = _changed_customers(changes)
        epochs = {"partitions": list(owners), "epochs": list(owners.values())}
        try:
            async with self._pool.connection() as connection:
                # Before the transaction: a rollback would remove the roster that is remembered here.
                versions = changes.versions or self._versions
                roster = await self._rosters.number(connection, versions) if changes.evaluated else 0
                if keep and changes.is_empty and not self._always_writes:
                    async with connection.pipeline():
                        await connection.execute(QUERIES["compare_epochs"], epochs)
                        written = [await connection.execute(QUERIES["cache_generation"])]
                else:
                    async with _transaction(connection, keep=keep):
                        await connection.execute(QUERIES["hold_partitions"], epochs)
                        written = await self._write(connection, changes, roster, changed)
                stored = [await each.fetchall() for each in written]
        except pg.CheckViolation as error:
            if error.diag.constraint_name != _OWNED:
                raise
            raise LedgerFencedError(f"one of the partitions {sorted(owners)} belongs to another worker") from error
        except pg.UniqueViolation as error:
            # Only this key is expected to be violated. Another one would be violated again by every attempt.
            if error.diag.constraint_name != _SEEN_KEY:
                raise
            raise LedgerConflictError(
                "a message or outcome of this batch was folded by another worker meanwhile"
            ) from error
        # They would be found changed by their next batch, which would then wait for the ledger twice.
        self._reader.kept.forget(changed)
        ((generation,),), *outbox = stored
        messages = {message.message_id: message for message in changes.messages}
        rows = sorted(row for rows in outbox for row in rows)
        return Committed([OutboxRow(sequence, messages[message_id]) for sequence, message_id in rows], int(generation))

    def _find_rules(self, changes: BatchChanges) -> Mapping[str, str]:
        """Return the version of each segment's rules that a batch was decided under; it may be in force no longer."""
        return {key: rules_of(version) for key, version in (changes.versions or {}).items()} or self._versions

    async def _write(
        self, connection: Connection, changes: BatchChanges, roster: int, changed: Collection[str]
    ) -> list[Cursor]:
        """Write changes, and return what will give the cache's generation and then, if any, the rows of the outbox."""
        bump = "bump_cache_generation" if changes.cache_lost else "cache_generation"
        for query, values in filter(_has_rows, _statements(changes, self._find_rules(changes), roster, changed)):
            await connection.execute(QUERIES[query], values)
        written = [await connection.execute(QUERIES[bump])]
        if changes.decisions or changes.messages:
            written.append(await connection.execute(QUERIES["write_decisions"], _decisions(changes, self._breaking)))
        if changes.stops:
            await connection.execute(QUERIES["write_stops"], _stops(changes.stops))
        letters = [each for each in changes.messages if each.destination == DEAD_LETTERS]
        if letters:
            # After the outbox, which leaves out the letters that are there already.
            await connection.execute(QUERIES["write_dead_letters"], _dead_letters(letters))
        for query, values in filter(_has_rows, _outcome_statements(changes)):
            await connection.execute(QUERIES[query], values)
        return written


@asynccontextmanager
async def _transaction(connection: Connection, *, keep: bool = True) -> AsyncIterator[None]:
    """Execute the body's statements as a transaction, in one round trip: nothing is known of them before it has ended.

    psycopg's own `transaction` takes five in a pipeline. What follows an error is not executed, nor is the end: all is
    rolled back. The pool closes a connection that is cancelled during a statement.
    """
    try:
        async with connection.pipeline():
            await connection.execute("BEGIN")
            yield
            await connection.execute("COMMIT" if keep else "ROLLBACK")
    finally:
        if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            await connection.rollback()


async def _configure(connection: Connection) -> None:
    """Limit the time of transactions, keep plans to look-ups by key, and register the fast dumper of arrays.

    An open transaction of a frozen or vanished worker blocks claims of its partitions. A plan that was made while a
    table was small reads the whole table, and is kept until the table is analysed.
    """
    register_text_arrays(connection)
    for way in ("seqscan", "hashjoin", "mergejoin", "material"):
        await connection.execute(f"SET enable_{way} = off")
    await connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TRANSACTION_S}s'")
    # In the middle of a pipeline a transaction is not idle; only PostgreSQL 17 and later limit that.
    if connection.info.server_version >= _LIMITS_TRANSACTIONS:
        await connection.execute(f"SET transaction_timeout = '{TRANSACTION_S}s'")


async def _configure_read_only(connection: Connection) -> None:
    await _configure(connection)
    await connection.execute("SET default_transaction_read_only = on")


def _has_rows(work: Work) -> bool:
    return bool(work[1]["customers"])


def _segments(segments: Sequence[Segment]) -> dict[str, list[str]]:
    return {
        "keys": [each.key for each in segments],
        "versions": [each.version for each in segments],
        "rules": [each.rules for each in segments],
    }


def _changed_customers(changes: BatchChanges) -> dict[str, None]:
    """Return the customers of whom a batch changes anything that workers keep."""
    contacted = (each.candidate.customer_id for each in changes.decisions if each.outcome is not Outcome.WITHHELD)
    customers = [
        *(each.customer_id for each in changes.transitions),
        *(each.customer_id for each in changes.earlier_results),
        *changes.evaluated,
        *changes.due_times,
        *changes.signals,
        *contacted,
        *(each.customer_id for each in changes.consent_changes),
        *(each.customer_id for each in changes.feedback),
    ]
    return dict.fromkeys(customers)


def _statements(
    changes: BatchChanges, versions: Mapping[str, str], roster: int, changed: Collection[str]
) -> list[Work]:
    """Return the writes before those of decisions, what was seen first: it finds conflicts."""
    revision = secrets.randbits(63)
    seen = [*changes.message_ids, *changes.outcome_ids]
    return [
        ("write_seen", as_arrays(seen)),
        ("write_memberships", _memberships(changes, versions)),
        ("write_earlier_results", _earlier_results(changes.earlier_results)),
        ("write_evaluated", {**_evaluated(changes), "roster": roster, "kept": EARLIER_KEPT, "revision": revision}),
        ("write_revisions", {**_revisions(changes, changed), "revision": revision}),
        ("write_signals", _signals(changes.signals)),
    ]


def _outcome_statements(changes: BatchChanges) -> list[Work]:
    """Return the writes after those of decisions: an outcome may answer a contact of its batch."""
    return [
        ("write_contact_states", _contact_states(changes.contact_states)),
        ("write_consent_changes", _consent_changes(changes.consent_changes)),
        ("write_feedback", _feedback(changes.feedback)),
        ("write_experiment_customers", _experiment_customers(changes.experiment_customers)),
        ("write_leads", _leads(changes.leads)),
        ("write_lead_records", _lead_records(changes.lead_records)),
    ]


def _memberships(changes: BatchChanges, versions: Mapping[str, str]) -> dict[str, Any]:
    transitions = changes.transitions
    return {
        "customers": PgTextArray(each.customer_id for each in transitions),
        "segments": PgTextArray(each.segment for each in transitions),
        "episodes": PgTextArray(str(each.episode) for each in transitions),
        "entered": PgTextArray(_truth(each.kind == "entered") for each in transitions),
        "at": PgTextArray(changes.transitions_at[each.customer_id].isoformat() for each in transitions),
        "versions": PgTextArray(versions[each.segment] for each in transitions),
        "suppressed": PgTextArray(_truth(each.suppressed) for each in transitions),
    }


def _earlier_results(results: Sequence[EarlierResult]) -> dict[str, Any]:
    return {
        "customers": PgTextArray(each.customer_id for each in results),
        "segments": PgTextArray(each.segment for each in results),
        # Versions are hexadecimal: a comma separates them.
        "member_under": PgTextArray(",".join(each.member_under) for each in results),
    }


def _evaluated(changes: BatchChanges) -> dict[str, Any]:
    due_times = (changes.due_times.get(each) for each in changes.evaluated)
    return {"customers": PgTextArray(changes.evaluated), "due_times": PgTextArray(map(_number, due_times))}


def _revisions(changes: BatchChanges, changed: Collection[str]) -> dict[str, Any]:
    """Return the customers whose revision and due time are not written with their versions."""
    evaluated = {each for each in changes.evaluated if changes.due_times.get(each, 0) is not None}
    others = [each for each in changed if each not in evaluated]
    return {
        "customers": PgTextArray(others),
        "due_times": PgTextArray(_number(changes.due_times.get(each)) for each in others),
        "moves": PgTextArray(_truth(each in changes.due_times) for each in others),
    }


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)


def _signals(signals: Mapping[str, Signals]) -> dict[str, Any]:
    return {"customers": PgTextArray(signals), "signals": PgTextArray(map(_json, signals.values()))}


def _stops(stops: Sequence[CampaignStop]) -> dict[str, Any]:
    return {
        "campaigns": PgTextArray(each.campaign for each in stops),
        "actors": PgTextArray(each.actor for each in stops),
        "reasons": PgTextArray(each.reason for each in stops),
    }


def _decisions(changes: BatchChanges, breaking: PgTextArray) -> dict[str, Any]:
    decisions = changes.decisions
    candidates = [each.candidate for each in decisions]
    return {
        "customers": PgTextArray(each.customer_id for each in candidates),
        "ids": PgTextArray(each.trigger_id for each in candidates),
        "campaigns": PgTextArray(each.campaign.key for each in candidates),
        "segments": PgTextArray(each.campaign.segment for each in candidates),
        "occasions": PgTextArray(each.occasion for each in candidates),
        "outcomes": PgTextArray(each.outcome for each in decisions),
        "reasons": PgTextArray(each.reason for each in decisions),
        "details": PgTextArray(each.detail for each in decisions),
        "events": PgTextArray(each.event_id for each in candidates),
        "as_of": PgTextArray(each.as_of.isoformat() for each in candidates),
        "facts": PgTextArray(_json(each.facts) for each in decisions),
        "versions": PgTextArray(_json(each.versions) for each in candidates),
        "net_values": PgTextArray(None if each.net_value is None else repr(each.net_value) for each in decisions),
        "breaking": breaking,
        "inputs": PgTextArray(None if each.inputs is None else _json(each.inputs) for each in decisions),
        **_contacts([each for each in decisions if each.outcome is not Outcome.WITHHELD]),
        **_outbox(changes.messages, [each.trigger_id for each in candidates]),
    }


def _contacts(decisions: Sequence[Any]) -> dict[str, Any]:
    channels = [each.candidate.campaign.channels_by_key[each.channel] for each in decisions]
    return {
        "contact_customers": PgTextArray(each.candidate.customer_id for each in decisions),
        "contact_ids": PgTextArray(each.candidate.trigger_id for each in decisions),
        "contact_campaigns": PgTextArray(each.candidate.campaign.key for each in decisions),
        "channels": PgTextArray(each.channel for each in decisions),
        "variants": PgTextArray("treatment" if each.outcome is Outcome.FIRED else "control" for each in decisions),
        "offers": PgTextArray(str(each.offer.offer.id) for each in decisions),
        "propensities": PgTextArray(repr(each.propensity) for each in decisions),
        "campaign_variants": PgTextArray(each.variant for each in decisions),
        "contact_costs": PgTextArray(repr(each.cost) for each in channels),
        "offer_costs": PgTextArray(repr(each.offer.offer.cost) for each in decisions),
        "contact_as_of": PgTextArray(each.candidate.as_of.isoformat() for each in decisions),
    }


def _outbox(messages: Sequence[Message], decided: Sequence[str]) -> dict[str, Any]:
    decision_of = {name: each for each in decided for name in (each, decision_message_id(each))}
    return {
        "message_customers": PgTextArray(each.customer_id for each in messages),
        "message_ids": PgTextArray(each.message_id for each in messages),
        "message_decisions": PgTextArray(decision_of.get(each.message_id) for each in messages),
        "destinations": PgTextArray(each.destination for each in messages),
        "partitions": PgTextArray(str(each.partition) for each in messages),
        "keys": PgTextArray(map(_bytes, (each.key for each in messages))),
        "headers": PgTextArray(_bytes(msgspec.msgpack.encode(each.headers)) for each in messages),
        "values": PgTextArray(map(_bytes, (each.value for each in messages))),
    }


def _dead_letters(messages: Sequence[Message]) -> dict[str, Any]:
    letters = [read_message(each) for each in messages]
    return {
        "ids": PgTextArray(each.letter_id for each in letters),
        "stages": PgTextArray(each.stage for each in letters),
        "reasons": PgTextArray(each.reason for each in letters),
        "details": PgTextArray(each.detail for each in letters),
        "topics": PgTextArray(each.topic for each in letters),
        "partitions": [each.partition for each in letters],
        "offsets": [each.offset for each in letters],
        "keys": PgTextArray(map(_bytes, (each.key for each in letters))),
        "headers": PgTextArray(_bytes(msgspec.msgpack.encode(each.headers)) for each in letters),
        "values": PgTextArray(map(_bytes, (each.value for each in letters))),
        "sizes": [each.size for each in letters],
        "digests": PgTextArray(each.digest for each in letters),
        "truncated": PgTextArray(each.truncated for each in letters),
    }


def _contact_states(states: Mapping[CustomerKey, ContactState]) -> dict[str, Any]:
    return {
        **as_arrays(list(states)),
        "statuses": PgTextArray(each.status for each in states.values()),
        "values": PgTextArray(None if each.value is None else str(each.value) for each in states.values()),
        "conversions": PgTextArray(str(each.conversions) for each in states.values()),
        "first_at": PgTextArray(_json(each.first_at) for each in states.values()),
    }


def _consent_changes(changes: Sequence[ConsentChange]) -> dict[str, Any]:
    return {
        "customers": PgTextArray(each.customer_id for each in changes),
        "events": PgTextArray(each.event_id for each in changes),
        "channels": PgTextArray(each.channel for each in changes),
        "granted": PgTextArray(_truth(each.granted) for each in changes),
        "at": PgTextArray(each.changed_at.isoformat() for each in changes),
        "sources": PgTextArray(each.source for each in changes),
        "triggers": PgTextArray(each.trigger_id for each in changes),
    }


def _feedback(given: Sequence[Feedback]) -> dict[str, Any]:
    return {
        "customers": PgTextArray(each.customer_id for each in given),
        "events": PgTextArray(each.event_id for each in given),
        "kinds": PgTextArray(each.kind for each in given),
        "at": PgTextArray(each.given_at.isoformat() for each in given),
        "actors": PgTextArray(each.actor for each in given),
        "whys": PgTextArray(each.why for each in given),
        "untils": PgTextArray(each.until.isoformat() if each.until else None for each in given),
        "models": PgTextArray(each.model for each in given),
        "numbers": PgTextArray(None if each.value is None else repr(each.value) for each in given),
        "withdraws": PgTextArray(each.withdraws for each in given),
    }


def _experiment_customers(reached: Sequence[ExperimentCustomer]) -> dict[str, Any]:
    return {
        "customers": PgTextArray(each.customer_id for each in reached),
        "experiments": PgTextArray(each.experiment for each in reached),
        "arms": PgTextArray(each.arm for each in reached),
        "first_at": PgTextArray(each.first_at.isoformat() for each in reached),
        "champion_scores": PgTextArray(_float(each.scores[0]) for each in reached),
        "challenger_scores": PgTextArray(_float(each.scores[1]) for each in reached),
        "champion_answers": PgTextArray(each.answers[0] for each in reached),
        "challenger_answers": PgTextArray(each.answers[1] for each in reached),
    }


def _leads(leads: Sequence[LeadState]) -> dict[str, Any]:
    return {
        "leads": PgTextArray(each.lead_id for each in leads),
        "customers": PgTextArray(each.customer_id for each in leads),
        "updated_at": PgTextArray(map(_time, (each.updated_at for each in leads))),
        "features": PgTextArray(_json(each.features) for each in leads),
        "scores": PgTextArray(_float(each.score) for each in leads),
        "tiers": PgTextArray(each.tier for each in leads),
        "bases": PgTextArray(each.basis for each in leads),
        "versions": PgTextArray(each.version for each in leads),
        "probabilities": PgTextArray(_float(each.probability) for each in leads),
        "crossings": PgTextArray(str(each.crossings) for each in leads),
        "outcomes": PgTextArray(each.outcome for each in leads),
        "outcome_at": PgTextArray(map(_time, (each.outcome_at for each in leads))),
    }


def _lead_records(records: Sequence[LeadRecord]) -> dict[str, Any]:
    return {
        "leads": PgTextArray(each.lead_id for each in records),
        "events": PgTextArray(each.event_id for each in records),
        "customers": PgTextArray(each.customer_id for each in records),
        "types": PgTextArray(each.type for each in records),
        "at": PgTextArray(each.occurred_at.isoformat() for each in records),
        "contents": PgTextArray(_json(each.content) for each in records),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _float(number: float | None) -> str | None:
    return None if number is None else repr(number)


def _decision_record(row: tuple[Any, ...]) -> DecisionRecord:
    *others, inputs, trigger = row
    body = msgspec.json.decode(trigger) if trigger else {}
    read = _INPUTS.decode(inputs) if inputs else None
    return replace(DecisionRecord(*others), inputs=read, message=body.get("message"), subject=body.get("subject"))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _truth(value: bool) -> str:
    return "t" if value else "f"


def _bytes(value: bytes | None) -> str | None:
    """Return bytes as PostgreSQL's text form of bytea."""
    return None if value is None else "\\x" + value.hex()


def _stored(row: tuple[Any, ...]) -> OutboxRow:
    sequence, message_id, customer_id, destination, key, headers, value, partition, refused_by, failure = row
    pairs = msgspec.msgpack.decode(headers, type=Headers)
    stored = OutboxRow(sequence, Message(message_id, customer_id, destination, key, pairs, value, partition))
    return stored if failure is None else set_aside(stored, Refusal(refused_by, failure))
