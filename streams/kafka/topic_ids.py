"""Topic ids (KIP-516): they distinguish a topic from an earlier one of the same name.

A position is only valid in the topic it was read from. It is bound to that topic's id: the id is read before the
committed offset, is written with every commit, and is compared with the present one at each assignment and every few
seconds in between. A topic with another id is read from its beginning. What was read of it meanwhile, from a position
of the earlier topic, is read again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._topic import TopicDescription  # where its types say it is

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ANSWER_S = 5.0
# Of a broker that has no topic ids: older than 2.8, or on ZooKeeper with an old protocol.
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
PREFIX = "topic_id="

_log = logging.getLogger("librdkafka")


class KafkaTopicIds:
    """Reads topic ids from the broker; the version of aiokafka's metadata requests does not return them.

    Args:
        connection: librdkafka properties that connect to the broker.
    """

    def __init__(self, connection: Mapping[str, str]) -> None:
        self._admin = AdminClient(dict(connection), logger=_log)

    async def find(self, topics: Collection[str]) -> dict[str, str]:
        """Return the id of each topic; those that do not exist, or are not returned in time, are left out."""
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_S)
        answers = await asyncio.gather(*map(asyncio.wrap_future, asked.values()), return_exceptions=True)
        found = {
            name: str(answer.topic_id)
            for name, answer in zip(asked, answers, strict=True)
            if isinstance(answer, TopicDescription)
        }
        return {name: topic_id for name, topic_id in found.items() if topic_id != NO_ID}


class PlacedOffset(int):
    """An offset to commit, with the id of its topic: the two must never be paired later."""

    topic_id: str = ""


def place_offset(offset: int, topic_id: str) -> PlacedOffset:
    """Return an offset with its topic's id; the id is empty when it is not known."""
    placed = PlacedOffset(offset)
    placed.topic_id = topic_id
    return placed


def read_topic_id(offset: int | None) -> str:
    """Return the id that was placed with an offset, empty without one."""
    return offset.topic_id if isinstance(offset, PlacedOffset) else ""


def write_metadata(offset: int) -> str:
    """Return the metadata of a commit."""
    topic_id = read_topic_id(offset)
    return f"{PREFIX}{topic_id}" if topic_id else ""


def read_metadata(metadata: str | None) -> str:
    """Return the topic id of a commit, empty when it has none, as a commit by another tool or an earlier version."""
    return metadata.removeprefix(PREFIX) if metadata and metadata.startswith(PREFIX) else ""
