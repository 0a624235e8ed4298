"""What a batch has become after each stage of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.ports import BatchChanges, Committed
    from features.signals import Message
    from features.table import FeatureTable
    from streams.customers import EventsByKind
    from streams.decision_config import DecisionConfig
    from streams.formats.events import Decoded, Reject


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of which everything is known but what the ledger holds.

    It is decided with the knowledge that it was scored with, whatever is promoted in between.
    """

    config: DecisionConfig
    decoded: Decoded
    poison: Sequence[Reject]
    concerned: EventsByKind
    facts: FeatureTable
    messages: Mapping[str, list[Message]]
    cache_lost: bool

    @property
    def rejects(self) -> list[Reject]:
        """Every record that becomes a dead letter."""
        return [*self.decoded.rejects, *self.poison]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a batch: the changes asked for, what the ledger stored of them, and under which epochs."""

    changes: BatchChanges
    committed: Committed
    owners: Mapping[int, int]
    events: int
    rejects: Sequence[Reject]
