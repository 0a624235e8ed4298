"""Segments, campaigns, offers and models as the settings name them, and whether the rules fit what is known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import campaigns.definition
import segments.definition
from features.signals import as_columns
from models.registry import load_scorers
from models.scores import score_customers
from models.sources import unavailable_facts
from segments.jsonlogic import unknown_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.definition import Campaign, Offer
    from features.store import FeatureStore
    from models.registry import Scorers
    from segments.definition import Segment
    from streams.settings import Settings

log = structlog.get_logger()


def load_definitions(folder: Path | None) -> tuple[Sequence[Segment], Sequence[Campaign], dict[int, Offer]]:
    """Read segments, campaigns and offers from a folder, or the shipped ones.

    Raises:
        DefinitionError, CampaignDefinitionError: a file cannot be used.
    """
    shipped = (
        Path(segments.definition.__file__).parent / "definitions",
        Path(campaigns.definition.__file__).parent / "definitions",
    )
    segment_folder, campaign_folder = (folder / "segments", folder / "campaigns") if folder else shipped
    defined = segments.definition.load_segments(segment_folder)
    keys = {segment.key for segment in defined}
    return (defined, *campaigns.definition.load_campaigns(campaign_folder, segments=keys))


def load_models(settings: Settings) -> Scorers:
    """Load the models that the settings name; rules stand in for those that are missing.

    Raises:
        ModelError: a setting contradicts the models.
    """
    folder = settings.models_dir or Path()
    return load_scorers(folder, settings.feature_mapping, settings.model_input_size, mock=settings.mock_mode)


async def check_facts(features: FeatureStore, scorers: Scorers, defined: Sequence[Segment]) -> None:
    """Warn of rules that read facts that no source supplies, and of facts that lack their columns."""
    table = (await features.read([], fresh=())).table
    unavailable = unavailable_facts(table.columns, (), scorers)
    known = {*score_customers(table, scorers).columns, *as_columns({}, (), datetime.now(UTC))} - set(unavailable)
    for segment in defined:
        unknown = unknown_facts(segment.facts, known)
        if unknown:
            log.warning("rule_reads_unknown_facts", segment=segment.key, facts=unknown)
