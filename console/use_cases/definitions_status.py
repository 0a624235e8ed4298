"""Segments and campaigns: the versions of the definitions folder next to those in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segments.evaluated_versions import rules_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from campaigns.definition import DefinitionSet
    from campaigns.postgres_status import VersionInForce


@dataclass(frozen=True, slots=True)
class DefinitionStatus:
    """A segment or campaign.

    Attributes:
        kind: segment or campaign.
        key: its key.
        defined: its version in the folder.
        in_force: the version that workers started with; None where no worker has started with it.
        since: since when that is in force.
    """

    kind: str
    key: str
    defined: str
    in_force: str | None
    since: datetime | None

    @property
    def agrees(self) -> bool:
        """Whether workers have what the folder has."""
        return self.defined == self.in_force


def compare_definitions(
    defined: DefinitionSet,
    segments: Mapping[str, VersionInForce],
    campaigns: Mapping[tuple[str, str], datetime],
) -> Sequence[DefinitionStatus]:
    """Return every segment and campaign of the folder.

    Args:
        defined: the definitions of the folder.
        segments: the version of each segment in force.
        campaigns: since when each version of a campaign is known. One that was known once counts as in force.
    """
    found = []
    for segment in defined.segments:
        force = segments.get(segment.key)
        version, begun = (force.version, force.since) if force else (None, None)
        found.append(DefinitionStatus("segment", segment.key, segment.version, version, begun))
    for campaign in defined.campaigns:
        since = campaigns.get((campaign.key, campaign.version))
        known = None if since is None else campaign.version
        found.append(DefinitionStatus("campaign", campaign.key, campaign.version, known, since))
    return found


def count_waiting(
    defined: DefinitionSet, evaluated: Sequence[tuple[Mapping[str, str], int]]
) -> Mapping[str, tuple[int, int]]:
    """Return for each segment how many known customers wait for an evaluation under its version, of how many.

    Args:
        defined: the definitions of the folder.
        evaluated: how many customers were last evaluated under each combination of versions.
    """
    known = sum(count for _, count in evaluated)
    return {
        segment.key: (
            sum(count for versions, count in evaluated if rules_of(versions.get(segment.key, "")) != segment.version),
            known,
        )
        for segment in defined.segments
    }
