"""Messages copied from the conversations topic to the message store, each read by the text models.

Reading joins no group. The offsets are in the store and committed with the messages, so that an interrupted run goes
on where it ended, and what is read twice is stored once.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from campaigns.postgres_connections import hold_lock
from campaigns.postgres_ledger import PostgresLedger
from intelligence.errors import MessageStoreError
from intelligence.message_index import newest_vectors
from intelligence.message_rereading import reread_messages
from intelligence.postgres_messages import StoredMessage, vector_literals
from streams.adapters import build_decoder, open_schemas
from streams.definitions import read_definitions
from streams.kafka.history import HistoryReader, Period
from streams.runtime.history_batches import Position
from streams.runtime.model_reload import load_models
from streams.schema_registry import SchemaRegistry, load_schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.signals import MessageReading
    from intelligence.message_rereading import RereadReport
    from intelligence.postgres_messages import MessageStore
    from intelligence.text_vectors import TextVectors
    from models.sentiment import MessageReader
    from streams.formats.events import Event, Record
    from streams.settings import Settings

TOPIC = "conversations"
# Any number that no other lock in the database has.
SYNC_LOCK = 481_632
_EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_CANNOT_STORE = str.maketrans({"\x00": None})


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run copied.

    Attributes:
        records: records read.
        new: messages stored.
        known: messages that were stored before, or twice in the topic.
        erased: events of erased customers, left out.
        rejected: records that cannot be decoded; workers publish them as dead letters.
        other: events of other kinds.
        expired: offsets whose records were deleted from the topic before they were read.
    """

    records: int = 0
    new: int = 0
    known: int = 0
    erased: int = 0
    rejected: int = 0
    other: int = 0
    expired: int = 0

    def __add__(self, more: SyncReport) -> SyncReport:
        return SyncReport(*(getattr(self, name) + getattr(more, name) for name in self.__slots__))


def sync_messages(
    settings: Settings, store: MessageStore, on_progress: Callable[[str, int, int], None]
) -> tuple[SyncReport, RereadReport]:
    """Copy the messages that are new in the topic, and read all others again where the reader is another one now.

    Args:
        settings: where Kafka and the ledger are; the ledger has the tombstones.
        store: the message store.
        on_progress: receives what is being done, how much of it is done, and how much there is.

    Raises:
        MessageStoreError: another process copies messages now.
        BrokerUnavailableError, HistoryGoneError, LedgerUnavailableError, RegistryUnavailableError: they cannot be read.
    """
    refusal = MessageStoreError("another process copies messages into the store now; wait until it ends")
    # The reader of the workers: of the promoted model, if there is one.
    reader = load_models(settings, read_definitions(settings).offers).reader
    with hold_lock(store.connection, SYNC_LOCK, TOPIC, refusal):
        # Before new messages come, which this reader reads anyway: then an empty store needs none of it.
        again = reread_messages(store, reader, partial(on_progress, "messages read again"))
        return asyncio.run(_sync(settings, store, reader, partial(on_progress, "messages copied"))), again


async def _sync(
    settings: Settings, store: MessageStore, reader: MessageReader, on_progress: Callable[[int, int], None]
) -> SyncReport:
    async with AsyncExitStack() as stack:
        ledger = PostgresLedger(settings.ledger_url, read_only=True)
        stack.push_async_callback(ledger.close)
        await ledger.open()
        history = HistoryReader(settings)
        stack.push_async_callback(history.close)
        await history.open()
        period, expired = resume_period(
            await history.find_period(*_EVER, topics=[settings.topic_prefix + TOPIC]), store.positions()
        )
        copier = _Copier(settings, store, reader, newest_vectors(store))
        places = sorted(period.ends)
        report = SyncReport(expired=expired)
        async for placed in history.read(period):
            ends = {places[each.partition]: each.record.offset + 1 for each in placed}
            report += await copier.copy([each.record for each in placed], ends, ledger)
            on_progress(report.records, period.records)
        # What ends a transaction has an offset, too, and is no record.
        with store.writing():
            store.write((), period.ends)
        return report


def resume_period(everything: Period, positions: Mapping[tuple[str, int], int]) -> tuple[Period, int]:
    """Return what of a topic is left to read, and how many records were deleted before they were read.

    A partition that ends before its position was created again: it is read from its beginning.
    """
    begins, expired = {}, 0
    for place, first in everything.begins.items():
        stored = positions.get(place)
        if stored is None or stored > everything.ends[place]:
            begins[place] = first
            continue
        begins[place] = Position(max(stored, first.offset), first.time)
        expired += max(0, first.offset - stored)
    return Period(begins, everything.ends), expired


class _Copier:
    """Stores batches of records.

    Args:
        settings: the formats and limits of records.
        store: the message store.
        reader: reads the messages.
        vectors: of the messages, None where none are learned yet.
    """

    def __init__(
        self, settings: Settings, store: MessageStore, reader: MessageReader, vectors: TextVectors | None
    ) -> None:
        self._store = store
        self._vectors = vectors
        self._reader = reader
        self._schemas = open_schemas(settings)
        self._registry = SchemaRegistry(str(settings.schema_registry_url))
        self._decode = build_decoder(settings, self._schemas)

    async def copy(
        self, records: Sequence[Record], ends: Mapping[tuple[str, int], int], ledger: PostgresLedger
    ) -> SyncReport:
        """Store the messages of a batch, with where it ends."""
        if self._schemas is not None:
            await load_schemas(self._schemas, self._registry, records)
        decoded = self._decode(records)
        said = decoded.events.said
        messages = read_messages(said, self._reader)
        with self._store.writing():
            erased = (await ledger.tombstones()).find({each.customer_id for each in messages})
            kept = [each for each in messages if each.customer_id not in erased]
            new = self._store.write(self._with_vectors(kept), ends)
        left_out = sum(each.customer_id in erased for each in said)
        return SyncReport(
            records=len(records),
            new=new,
            known=len(said) - left_out - new,
            erased=left_out,
            rejected=len(decoded.rejects),
            other=len(decoded.events) - len(said),
        )

    def _with_vectors(self, messages: Sequence[StoredMessage]) -> list[StoredMessage]:
        if self._vectors is None:
            return list(messages)
        version = self._vectors.version
        vectors = vector_literals(self._vectors.encode([each.text for each in messages]))
        return [
            replace(each, vector=vector, vector_version=version) for each, vector in zip(messages, vectors, strict=True)
        ]


def read_messages(said: Sequence[Event], reader: MessageReader) -> list[StoredMessage]:
    """Return the messages of a batch of events as they are stored, each once; the first one of an id counts."""
    found: dict[tuple[str, str], Event] = {}
    for event in said:
        found.setdefault((event.customer_id, event.wire.id), event)
    texts = [clean_text(event.wire.text or "") for event in found.values()]
    readings = reader.read(texts)
    return [_stored(*each) for each in zip(found.values(), texts, readings, strict=True)]


def _stored(event: Event, text: str, reading: MessageReading) -> StoredMessage:
    return StoredMessage(
        customer_id=event.customer_id,
        message_id=event.wire.id,
        occurred_at=event.wire.occurred_at,
        role="customer" if event.wire.role == "customer" else "agent",
        text=text,
        language=reading.language or None,
        sentiment=reading.sentiment,
        satisfaction=reading.satisfaction,
        concerns=list(reading.concerns),
        urgency=reading.urgency,
        wants_to_cancel=reading.wants_to_cancel,
    )


def clean_text(text: str) -> str:
    """Return a text without what PostgreSQL cannot store: NUL, and halves of surrogate pairs."""
    return text.translate(_CANNOT_STORE).encode("utf-8", "replace").decode("utf-8")
