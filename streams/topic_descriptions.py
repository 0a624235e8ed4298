"""The topics of Holdfast, described once.

`holdfast topics create` creates them by this description, as docker-compose.yml does through that command, the settings
take their names from it, and a worker compares the broker's topics with it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MESSAGE_BYTES = 4_194_304
"""The largest message published: a dead letter has an event's value at the broker's limit, and Holdfast's headers."""


SHADOW = "campaign-triggers.shadow"
"""What replays would have sent. No worker needs it."""
REPLAY_HEADER = "holdfast_replay"
"""Which replay would have sent a trigger."""


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic of Holdfast.

    Attributes:
        name: without the prefix.
        kind: inputs are read and must have equal numbers of partitions; outputs are written.
        destination: the destination of the workers' messages for it; None where they write none.
        configs: the topic's configuration, where it is not the broker's default.
    """

    name: str
    kind: Literal["input", "output"]
    destination: str | None = None
    configs: Mapping[str, str] = field(default_factory=dict)


# The broker sets the timestamps, since it refuses a producer's that is over an hour ahead, as from a wrong clock.
_STAMPED = {"message.timestamp.type": "LogAppendTime"}
TOPICS = (
    TopicDescription("customer-updates", "input"),
    TopicDescription("conversations", "input"),
    TopicDescription("outcomes", "input"),
    TopicDescription("evaluations", "input"),
    TopicDescription("leads", "input"),
    TopicDescription("campaign-triggers", "output", "campaign_triggers", _STAMPED),
    TopicDescription("campaign-triggers.control", "output", "control", _STAMPED),
    TopicDescription(SHADOW, "output", None, _STAMPED),
    TopicDescription("decisions", "output", "decisions", _STAMPED),
    TopicDescription("segment-transitions", "output", "segment_transitions", _STAMPED),
    TopicDescription("lead-alerts", "output", "lead_alerts", _STAMPED),
    TopicDescription(
        "dead-letters", "output", "dead_letters", {**_STAMPED, "max.message.bytes": str(MAX_MESSAGE_BYTES)}
    ),
)
AT_LEAST = {"max.message.bytes"}
"""Configurations that may be larger on the broker than they are described."""


def find_differences(prefix: str, found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a sentence for each difference between the topics' configuration and `TOPICS`.

    Args:
        prefix: precedes every topic's name.
        found: the configuration of each topic; one that could not be read is left out.
    """
    return [
        f"topic {prefix}{topic.name}: {name} is {configs[name]}, should be {wanted}; change it with kafka-configs.sh "
        "and restart the workers"
        for topic in TOPICS
        for configs in [found.get(prefix + topic.name, {})]
        for name, wanted in topic.configs.items()
        if name in configs and _differs(name, configs[name], wanted)
    ]


def _differs(name: str, value: str, wanted: str) -> bool:
    return int(value) < int(wanted) if name in AT_LEAST else value != wanted
