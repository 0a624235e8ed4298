"""Dead letters sent back to where they came from, each once for a read_committed consumer, whatever breaks.

The ledger notes a run on the letters, as being requeued; one Kafka transaction carries their records and the run,
the committed offset of a consumer group of our own that never consumes; the ledger notes that they are requeued.
Whoever requeues next first fences the producer of the one before, so nothing of that one is in flight any more, and
reads the last run that Kafka has: the letters of that run and earlier ones are out, those of a later one are not.
So a crash between the two stores neither loses a letter nor sends it twice. The one exception: Kafka forgets the
offsets of an idle group, after seven days unless the broker is told otherwise; a crash in that moment, cleared up
only after so long, sends those letters twice.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from campaigns.errors import DeadLetterError
from streams.errors import BrokerUnavailableError, SinkUnavailableError
from streams.kafka.connection import describe_connection, describe_security
from streams.kafka.publishing import MAX_MESSAGE_BYTES
from streams.kafka.topics import verify_topics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from campaigns.dead_letters import DeadLetter, DeadLetterFilter, PostgresDeadLetters
    from streams.settings import Settings

TIMEOUT_S = 15.0
LETTERS_IN_A_RUN = 100

# What goes wrong is raised once; librdkafka would repeat it on stderr.
_quiet = logging.getLogger("holdfast.requeue.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


@dataclass(frozen=True, slots=True)
class Requeued:
    """What came of a requeue: the letters sent, and how many of an interrupted one were out already or were not."""

    sent: Sequence[DeadLetter]
    found_sent: int
    reopened: int


def requeue(
    settings: Settings, letters: PostgresDeadLetters, wanted: DeadLetterFilter, *, by: str, limit: int | None = None
) -> Requeued:
    """Send back the letters that are wanted and open: bytes, key and headers as they came, to topic and partition.

    Args:
        settings: where Kafka is, and the group's name.
        letters: the ledger's.
        wanted: which letters.
        by: who does it.
        limit: send the oldest so many.

    Raises:
        BrokerUnavailableError, TopicLayoutError: nothing could be begun.
        SinkUnavailableError: sending failed; the message says what is certain and what to do.
        DeadLetterError, LedgerUnavailableError: see campaigns/dead_letters.py.
    """
    with letters.requeue_alone(), open_returns(settings, letters.ledger_id()) as returns:
        last = returns.fence()
        found_sent, reopened = letters.finish(last), letters.reopen()
        runs = count(max(last, letters.last_run()) + 1)
        chosen = letters.find(wanted)[:limit]
        reject_truncated(chosen)
        sent: list[DeadLetter] = []
        for first in range(0, len(chosen), LETTERS_IN_A_RUN):
            sent += _send(returns, letters, chosen[first : first + LETTERS_IN_A_RUN], run=next(runs), by=by)
        return Requeued(sent, found_sent, reopened)


def reject_truncated(chosen: Sequence[DeadLetter]) -> None:
    """Refuse letters that hold only a part of their records.

    Raises:
        DeadLetterError: such a letter is among those chosen; nothing was sent.
    """
    for letter in chosen:
        if letter.truncated:
            raise DeadLetterError(
                f"dead letter {letter.letter_id} of {letter.topic}, offset {letter.offset}, was too large to keep "
                f"whole (truncated: {letter.truncated}), so it cannot be sent back; nothing was requeued. Let its "
                "producer send it again, discard it with `holdfast dead-letters discard`, or choose others"
            )


def _send(
    returns: DeadLetterRequeuer, letters: PostgresDeadLetters, chosen: Sequence[DeadLetter], *, run: int, by: str
) -> list[DeadLetter]:
    """Send one run and return its letters; one that was discarded meanwhile is left out."""
    claimed = letters.claim([letter.letter_id for letter in chosen], by=by, run=run)
    ours = [letter for letter in chosen if letter.letter_id in claimed]
    if not ours:
        return []
    if returns.send(ours, letters.read_values(list(claimed)), run=run):
        letters.finish(run)
        return ours
    letters.reopen()
    raise SinkUnavailableError(
        f"dead letters cannot be sent back: {returns.failure}; those of this transaction ({len(ours)}) are open still"
    )


class DeadLetterRequeuer:
    """The one producer that may send this ledger's dead letters back.

    Args:
        settings: where Kafka is; the names of group and topics.
        ledger_id: tells this ledger's runs from those of any other that the broker has seen.
    """

    def __init__(self, settings: Settings, ledger_id: str) -> None:
        name = f"{settings.group}.requeue.{ledger_id}"
        connection = describe_connection(settings)
        self._broker, self._security = settings.broker, describe_security(settings)
        # Any partition serves that is there as long as dead letters are: it names the run in the offset store.
        self._place = TopicPartition(settings.output_topics["dead_letters"], 0)
        self._runs = Consumer(
            {**connection, "group.id": name, "enable.auto.commit": False, "isolation.level": "read_committed"},
            logger=_quiet,
        )
        self._producer = Producer(
            {
                **connection,
                "transactional.id": name,
                "compression.type": "lz4",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                # How long a topic that the broker does not know is waited for.
                "topic.metadata.propagation.max.ms": 5_000,
            },
            logger=_quiet,
        )
        self.failure = ""

    def fence(self) -> int:
        """End whatever an earlier requeue has in flight, and return the last run that Kafka has, 0 for none.

        Raises:
            BrokerUnavailableError, TopicLayoutError: Kafka cannot be used.
        """
        verify_topics(self._broker, [self._place.topic], security=self._security)
        try:
            self._producer.init_transactions(TIMEOUT_S)
            return self._read_run()
        except KafkaException as error:
            raise BrokerUnavailableError(
                f"Kafka lets nothing be requeued now: {error.args[0].str()}; nothing was sent, try again"
            ) from error

    def _read_run(self) -> int:
        committed = self._runs.committed([self._place], timeout=TIMEOUT_S)[0]
        if committed.error:
            raise KafkaException(committed.error)
        return max(committed.offset, 0)

    def send(self, letters: Sequence[DeadLetter], values: Mapping[str, bytes | None], *, run: int) -> bool:
        """Send letters and the run in one transaction; False when it was taken back, with the reason in `failure`.

        Raises:
            SinkUnavailableError: it is not certain whether they were sent.
        """
        try:
            self._commit(letters, values, run)
        except KafkaException as error:
            self.failure = self.failure or error.args[0].str()
            self._take_back()
            return False
        return True

    def close(self) -> None:
        """End the connections."""
        self._runs.close()

    def _commit(self, letters: Sequence[DeadLetter], values: Mapping[str, bytes | None], run: int) -> None:
        self._producer.begin_transaction()
        for letter in letters:
            self._produce(letter, values[letter.letter_id])
        self._wait_for_reports()
        place = TopicPartition(self._place.topic, self._place.partition, run)
        self._producer.send_offsets_to_transaction([place], self._runs.consumer_group_metadata(), TIMEOUT_S)
        self._producer.commit_transaction(TIMEOUT_S)

    def _wait_for_reports(self) -> None:
        # Not flush(): of a fenced producer it now and then raises SystemError (confluent-kafka 2.16).
        deadline = time.monotonic() + TIMEOUT_S
        while len(self._producer):
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))  # noqa: SLF001 - librdkafka's own codes
            self._producer.poll(0.1)

    def _produce(self, letter: DeadLetter, value: bytes | None) -> None:
        def note(error: KafkaError | None, _: object) -> None:
            if error is not None and not self.failure:
                self.failure = f"{letter.letter_id} to {letter.topic}, partition {letter.partition}: {error.str()}"

        try:
            self._producer.produce(
                letter.topic,
                value=value,
                key=letter.key,
                headers=list(letter.headers),
                partition=letter.partition,
                on_delivery=note,
            )
        except KafkaException as error:
            note(error.args[0], None)
            raise

    def _take_back(self) -> None:
        try:
            # librdkafka refuses while it is open whether the commit has succeeded.
            self._producer.abort_transaction(TIMEOUT_S)
        except KafkaException as error:
            raise SinkUnavailableError(
                f"sending dead letters back was interrupted ({self.failure}), and it is not certain whether they were "
                "sent; requeue again: it first finds out, and sends nothing twice"
            ) from error


@contextmanager
def open_returns(settings: Settings, ledger_id: str) -> Iterator[DeadLetterRequeuer]:
    """Lend the producer."""
    returns = DeadLetterRequeuer(settings, ledger_id)
    try:
        yield returns
    finally:
        returns.close()
