"""Which definitions are in force from now on, and the config of decisions that follows from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from campaigns.candidates import Definitions
from campaigns.guardrails import GUARDRAILS, refuse_expired
from models.facts import facts_read
from streams.decision_config import DecisionConfig
from streams.due_customers import Timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.definition import DefinitionSet
    from campaigns.guardrails import Guardrail
    from campaigns.postgres_ledger import PostgresLedger
    from models.registry import Scorers
    from segments.engine import Activation
    from streams.settings import Settings

log = structlog.get_logger()


async def activate(
    ledger: PostgresLedger,
    scorers: Scorers,
    defined: DefinitionSet,
    guardrails: Sequence[Guardrail] = GUARDRAILS,
    timing: Timing | None = None,
) -> DecisionConfig:
    """Record which definitions are in force from now on, and return the config of decisions."""
    if changed := await ledger.find_changed(defined.segments):
        log.warning("segments_changed", segments=changed, next="holdfast segments reevaluate")
    activations = await ledger.activate(defined.segments, defined.campaigns, at=datetime.now(UTC))
    return build_config(scorers, defined, activations, guardrails, timing)


def build_config(
    scorers: Scorers,
    defined: DefinitionSet,
    activations: Mapping[str, Activation],
    guardrails: Sequence[Guardrail] = GUARDRAILS,
    timing: Timing | None = None,
) -> DecisionConfig:
    """Return the config of decisions.

    Args:
        scorers: the models.
        defined: the definitions, pinned.
        activations: of each segment's version, by key.
        guardrails: those in force.
        timing: what the settings say about time; their defaults, when None.
    """
    definitions = Definitions(
        defined.campaigns,
        defined.offers,
        model_versions=scorers.versions,
        segment_versions={each.key: each.version for each in defined.segments},
        segment_facts={each.key: each.facts for each in defined.segments},
        model_facts=facts_read(scorers),
        guardrails=guardrails,
        channels=defined.channels,
    )
    return DecisionConfig(scorers, defined.segments, activations, definitions, timing or Timing())


def select_guardrails(settings: Settings) -> Sequence[Guardrail]:
    """Return the guardrails that the settings leave in force."""
    return [each for each in GUARDRAILS if settings.withhold_expired or each is not refuse_expired]
