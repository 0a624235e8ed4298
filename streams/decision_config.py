"""What decisions depend on and batches do not change: models, rules and campaigns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models.facts import facts_read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.candidates import Definitions
    from models.registry import Scorers
    from segments.definition import Segment
    from segments.engine import Activation


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """Models, rules and campaigns.

    Attributes:
        scorers: the models, or the rules that stand in for them.
        segments: the rules of membership.
        activations: the activation of each segment's version, by key.
        definitions: campaigns and offers.
    """

    scorers: Scorers
    segments: Sequence[Segment]
    activations: Mapping[str, Activation]
    definitions: Definitions

    def with_scorers(self, scorers: Scorers) -> DecisionConfig:
        """Return the same config with other models; decisions then name their versions."""
        definitions = replace(
            self.definitions,
            model_versions=scorers.versions,
            model_facts=facts_read(scorers),
        )
        return replace(self, scorers=scorers, definitions=definitions)
