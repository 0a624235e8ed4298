"""Publishing what a replay would have sent, on the shadow topic."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Producer

from streams.errors import SinkUnavailableError
from streams.kafka.connection import quiet_logger
from streams.topic_descriptions import MAX_MESSAGE_BYTES, REPLAY_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.ports import OutboxRow

TRIGGERS = "campaign_triggers"
TIMEOUT_S = 30.0
_quiet = quiet_logger("holdfast.shadow.librdkafka")


class ShadowSink:
    """A TriggerSink that publishes triggers on one topic, marked with the replay, and nothing else.

    After a crash some are published a second time, under the same id: no campaign system acts on them.

    Args:
        connection: librdkafka properties that connect to the broker.
        topic: the shadow topic.
        replay_id: the value of the header `holdfast_replay`.
        options: librdkafka properties of the producer: partitioner, compression.type.
    """

    def __init__(
        self, connection: Mapping[str, str], *, topic: str, replay_id: str, options: Mapping[str, str]
    ) -> None:
        self._topic = topic
        self._header = (REPLAY_HEADER, replay_id.encode())
        self._producer = Producer(
            {
                **connection,
                **options,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.report.only.error": True,
            },
            logger=_quiet,
        )
        self._failed: list[str] = []

    async def fence(self, _partition: int) -> int:
        """There is no earlier publisher: a replay runs in one process."""
        return 0

    async def publish(self, _partition: int, rows: Sequence[OutboxRow]) -> None:
        """Publish the triggers among the messages; see the port."""
        triggers = [each for each in rows if each.message.destination == TRIGGERS]
        if triggers:
            await asyncio.to_thread(self._publish, triggers)

    def _publish(self, rows: Sequence[OutboxRow]) -> None:
        self._failed.clear()
        try:
            for row in rows:
                self._produce(row)
        except KafkaException as error:
            raise SinkUnavailableError(f"publishing on {self._topic} failed: {error.args[0].str()}") from error
        left = self._producer.flush(TIMEOUT_S)
        if left or self._failed:
            reason = self._failed[0] if self._failed else f"{left} messages are not acknowledged"
            raise SinkUnavailableError(f"publishing on {self._topic} failed: {reason}")

    def _produce(self, row: OutboxRow) -> None:
        message = row.message
        headers: list[tuple[str, str | bytes | None]] = [*message.headers, self._header]
        while True:
            try:
                self._producer.produce(
                    self._topic, key=message.key, value=message.value, headers=headers, on_delivery=self._note
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _note(self, error: object, _: object) -> None:
        if error is not None:
            self._failed.append(str(error))
