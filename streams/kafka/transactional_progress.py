"""Records and a number in one Kafka transaction, by one producer at a time: both are committed or neither is.

The number is the progress of its owner. It is stored as the committed offset of a consumer group that never consumes,
at a place (topic and partition) that names the owner (the idea of KIP-618, with the offset store in place of a topic).
A new producer first fences the transactional id, which aborts what the previous producer has in flight, and then reads
the number.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT_S = 10.0
POLL_S = 0.1
REPORTS_S = 3.0
QUIET_S = 0.5
COMMIT_STEP_S = 1.0
ANY_PARTITION = -1
# Pause between look-ups of a group's coordinator during its election, as after the start of a broker.
ELECTION_PAUSES_S = (0.1, 0.2, 0.4, 0.8)
ELECTING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to send; without a partition, its key chooses one."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


class SendError(Exception):
    """A transaction was not committed, or its result is unknown.

    Attributes:
        error: the cause.
        reports: the errors of single records, by their place among the records sent.
    """

    def __init__(self, error: KafkaError, reports: Mapping[int, KafkaError]) -> None:
        super().__init__(error.str())
        self.error = error
        self.reports = reports


def open_progress(connection: Mapping[str, str], group: str, logger: logging.Logger | None = None) -> Consumer:
    """Return the consumer that reads the numbers of a group; several owners may share it."""
    properties = {**connection, "group.id": group, "enable.auto.commit": False, "isolation.level": "read_committed"}
    return Consumer(properties, logger=logger or logging.getLogger("librdkafka"))


class TransactionalProgress:
    """One producer with a transactional id, and its number. Every call blocks.

    Args:
        connection: librdkafka properties that connect to the broker.
        transactional_id: of the producer; a new producer with the same id fences the previous one.
        progress: see open_progress.
        place: names this owner's number in the offset store.
        options: further librdkafka properties of the producer.
        logger: receives librdkafka's log.
        timeout_s: longest wait for one answer of the broker.
    """

    def __init__(
        self,
        connection: Mapping[str, str],
        *,
        transactional_id: str,
        progress: Consumer,
        place: tuple[str, int],
        options: Mapping[str, str | int | float],
        logger: logging.Logger,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._progress = progress
        self._place = place
        self._timeout_s = timeout_s
        properties = {
            **connection,
            "transactional.id": transactional_id,
            # Only failures are reported, so that a transaction that succeeds costs no call for each record.
            "delivery.report.only.error": True,
            **options,
        }
        # A frame that an error keeps alive holds the list, which can be emptied.
        self._producer = [Producer(properties, logger=logger)]

    def fence(self) -> int:
        """Fence the previous producer, and return the number that it committed, 0 for none.

        Raises:
            KafkaException: the broker did not answer.
        """
        # So that it is connected: librdkafka (2.16) looks for a coordinator again only after half a second.
        self._producer[0].list_topics(self._place[0], self._timeout_s)
        self._producer[0].init_transactions(self._timeout_s)
        return self.read()

    def read(self) -> int:
        """Return the number; retry while the broker elects the group's coordinator.

        Raises:
            KafkaException: the broker did not answer.
        """
        for pause in ELECTION_PAUSES_S:
            try:
                return self._ask()
            except KafkaException as error:
                if error.args[0].code() not in ELECTING:
                    raise
            time.sleep(pause)
        return self._ask()

    def send(self, records: Sequence[OutgoingRecord], number: int) -> None:
        """Send records and the number in one transaction.

        Raises:
            SendError: it was not committed, or the result is unknown: `abort`, or fence with a new producer.
        """
        reports: dict[int, KafkaError] = {}
        error = self._try_to_send(records, number, reports)
        if error is not None:
            # Not while librdkafka's own error is handled: its frames would keep the producer.
            raise SendError(error, reports)

    def abort(self) -> None:
        """Abort what is not committed.

        Raises:
            KafkaException: the result of the transaction is unknown.
        """
        # librdkafka refuses this while the result of the commit is unknown.
        self._producer[0].abort_transaction(self._timeout_s)

    def close(self) -> None:
        """Close the producer; librdkafka may block. The next producer aborts what is in flight."""
        self._producer.clear()

    def _try_to_send(
        self, records: Sequence[OutgoingRecord], number: int, reports: dict[int, KafkaError]
    ) -> KafkaError | None:
        producer = self._producer[0]
        try:
            producer.begin_transaction()
            for place, record in enumerate(records):
                self._produce(record, place, reports)
            if reports:
                self._collect_reports()
                return next(iter(reports.values()))
            reached = TopicPartition(*self._place, number)
            producer.send_offsets_to_transaction([reached], self._progress.consumer_group_metadata(), self._timeout_s)
            self._commit(reports)
        except KafkaException as failed:
            error: KafkaError = failed.args[0]
            if reports or error.txn_requires_abort():
                self._collect_reports()
            return error
        return None

    def _commit(self, reports: Mapping[int, KafkaError]) -> None:
        """Commit in steps: after a record has failed, librdkafka would wait in vain for those behind it."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer[0].commit_transaction(min(COMMIT_STEP_S, self._timeout_s))
            except KafkaException as failed:
                # The commit goes on, and the next call waits for it again.
                if reports or not failed.args[0].retriable() or time.monotonic() > deadline:
                    raise
            else:
                return

    def _ask(self) -> int:
        committed = self._progress.committed([TopicPartition(*self._place)], timeout=self._timeout_s)[0]
        if committed.error:
            raise KafkaException(committed.error)
        return max(committed.offset, 0)

    def _produce(self, record: OutgoingRecord, place: int, reports: dict[int, KafkaError]) -> None:
        def note(error: KafkaError | None, _: object) -> None:
            if error is not None:
                reports.setdefault(place, error)

        partition = ANY_PARTITION if record.partition is None else record.partition
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer[0].produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=record.headers,
                    partition=partition,
                    on_delivery=note,
                )
            except BufferError as error:  # librdkafka's queue is full
                if time.monotonic() > deadline:
                    raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT)) from error  # noqa: SLF001 - its own code
                self._producer[0].poll(POLL_S)
            except KafkaException as error:
                # The others are still sent, so that one attempt finds every record that is refused.
                note(error.args[0], None)
                return
            else:
                return

    def _collect_reports(self) -> None:
        """Wait for the delivery report of each sent record; records that were not sent have none.

        Not flush(): of a fenced producer it may raise SystemError.
        """
        deadline = time.monotonic() + REPORTS_S
        producer = self._producer[0]
        while len(producer) and time.monotonic() < deadline:
            if producer.poll(QUIET_S) == 0:
                return
