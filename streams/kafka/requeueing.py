"""Requeueing of dead letters to their topics: a read_committed consumer sees each once, after any failure.

The ledger notes a run on the letters, as being requeued; one Kafka transaction carries their records and the run, see
transactional_progress.py; the ledger notes that they are requeued. The next requeue first fences the producer of
the previous one, so nothing of that one is in flight, and reads the last run that Kafka has: the letters of that
run and earlier ones are sent, those of a later one are not. So a crash between the two stores neither loses a letter
nor sends it twice. The one exception: Kafka deletes the offsets of an idle group, after seven days by default
(`offsets.retention.minutes`); a crash between the two stores that is resumed later sends its letters twice.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from streams.errors import BrokerUnavailableError, SinkUnavailableError
from streams.kafka.connection import describe_connection, describe_security, quiet_logger
from streams.kafka.topics import verify_topics
from streams.kafka.transactional_progress import OutgoingRecord, SendError, TransactionalProgress, open_progress
from streams.topic_descriptions import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from campaigns.dead_letters import DeadLetter
    from streams.settings import Settings

TIMEOUT_S = 15.0

_quiet = quiet_logger("holdfast.requeue.librdkafka")


class DeadLetterRequeuer:
    """The only producer that may send this ledger's dead letters back.

    Args:
        settings: where Kafka is; the names of group and topics.
        ledger_id: distinguishes this ledger's runs from those of other ledgers on the broker.
    """

    def __init__(self, settings: Settings, ledger_id: str) -> None:
        name = f"{settings.group}.requeue.{ledger_id}"
        connection = describe_connection(settings)
        self._broker, self._security = settings.broker, describe_security(settings)
        # Any partition serves that is there as long as dead letters are: it names the run in the offset store.
        self._topic = settings.output_topics["dead_letters"]
        self._runs = open_progress(connection, name, _quiet)
        self._producer = TransactionalProgress(
            connection,
            transactional_id=name,
            progress=self._runs,
            place=(self._topic, 0),
            options={
                "message.max.bytes": MAX_MESSAGE_BYTES,
                # Its topic may have accepted the record only because it was compressed. Every client reads gzip.
                "compression.type": "gzip",
                # How long a topic that the broker does not know is waited for.
                "topic.metadata.propagation.max.ms": 5_000,
            },
            logger=_quiet,
            timeout_s=TIMEOUT_S,
        )
        self.failure = ""

    def fence(self) -> int:
        """Abort what an earlier requeue has in flight, and return the last run that Kafka has, 0 for none.

        Raises:
            BrokerUnavailableError, TopicLayoutError: Kafka cannot be used.
        """
        verify_topics(self._broker, [self._topic], security=self._security)
        try:
            return self._producer.fence()
        except KafkaException as error:
            raise BrokerUnavailableError(
                f"Kafka cannot requeue now: {error.args[0].str()}; nothing was sent, try again"
            ) from error

    def send(self, letters: Sequence[DeadLetter], values: Mapping[str, bytes | None], *, run: int) -> bool:
        """Send letters and the run in one transaction; False when it was aborted, with the reason in `failure`.

        Raises:
            SinkUnavailableError: it is not certain whether they were sent.
        """
        records = [
            OutgoingRecord(letter.topic, letter.key, values[letter.letter_id], list(letter.headers), letter.partition)
            for letter in letters
        ]
        try:
            self._producer.send(records, run)
        except SendError as error:
            self.failure = _describe(error, letters)
            self._take_back()
            return False
        return True

    def close(self) -> None:
        """End the connections."""
        self._runs.close()

    def _take_back(self) -> None:
        try:
            self._producer.abort()
        except KafkaException as error:
            raise SinkUnavailableError(
                f"sending dead letters back was interrupted ({self.failure}), and it is not certain whether they were "
                "sent; requeue again: it first finds out, and sends nothing twice"
            ) from error


def _describe(error: SendError, letters: Sequence[DeadLetter]) -> str:
    if not error.reports:
        return str(error)
    place, report = next(iter(error.reports.items()))
    letter = letters[place]
    return f"{letter.letter_id} to {letter.topic}, partition {letter.partition}: {report.str()}"


@contextmanager
def open_requeuer(settings: Settings, ledger_id: str) -> Iterator[DeadLetterRequeuer]:
    """Open the producer for the time of a command."""
    requeuer = DeadLetterRequeuer(settings, ledger_id)
    try:
        yield requeuer
    finally:
        requeuer.close()
