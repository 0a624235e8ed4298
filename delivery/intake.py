"""Which records of the topic are delivered. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from delivery.errors import UnreadableTriggerError
from delivery.ports import Received
from delivery.trigger import read_trigger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Sorted:
    """What a batch of records holds.

    Attributes:
        received: the triggers to deliver.
        others: triggers of channels that are not delivered here, by channel.
        unreadable: why records are no triggers, by their place in the batch.
    """

    received: Sequence[Received]
    others: Mapping[str, int]
    unreadable: Mapping[int, str]


def sort_values(values: Iterable[bytes | None], channels: Collection[str]) -> Sorted:
    """Return which records are triggers of the channels, and what the others are."""
    received: list[Received] = []
    others: dict[str, int] = {}
    unreadable: dict[int, str] = {}
    for place, value in enumerate(values):
        try:
            trigger = read_trigger(value)
        except UnreadableTriggerError as error:
            unreadable[place] = str(error)
            continue
        if trigger.channel in channels:
            received.append(Received(trigger, value or b""))
        else:
            others[trigger.channel] = others.get(trigger.channel, 0) + 1
    return Sorted(received, others, unreadable)
