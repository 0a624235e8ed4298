"""Facts that rules and messages read and no source supplies. Pure.

Such a fact is null for every customer, and null is less than any positive number: a rule on a misspelt column could
admit everyone. So definitions that read one are refused before anything is decided.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from campaigns.errors import CampaignDefinitionError
from campaigns.messages import DECISION_NAMES
from segments.definition_files import describe_place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from campaigns.definition import Campaign, Offer
    from segments.definition import Segment

NEAREST = 3


def refuse_unknown_facts(
    segments: Sequence[Segment],
    campaigns: Sequence[Campaign],
    known: Collection[str],
    view: str,
    offers: Collection[Offer] = (),
) -> None:
    """Refuse definitions that read facts which no source supplies.

    Args:
        segments: their rules and exit rules are checked.
        campaigns: their messages are checked.
        known: the names of the view's columns, and of the facts that Holdfast adds.
        view: the name of the warehouse's view, for the message.
        offers: their rules are checked.

    Raises:
        CampaignDefinitionError: a fact is unknown; every place is named, each with the nearest known names.
    """
    if problems := find_unknown_facts(segments, campaigns, known, view, offers):
        raise CampaignDefinitionError("; ".join(problems))


def find_unknown_facts(
    segments: Sequence[Segment],
    campaigns: Sequence[Campaign],
    known: Collection[str],
    view: str,
    offers: Collection[Offer] = (),
) -> list[str]:
    """Return a sentence for each fact that definitions read and no source supplies; see refuse_unknown_facts."""
    return [
        f"{_describe(file, path)} reads {fact!r}, which neither the warehouse view {view} nor Holdfast supplies"
        f"{_suggest(fact, names)}"
        for file, path, missing, names in _places(segments, campaigns, offers, frozenset(known))
        for fact in sorted(missing)
    ]


def _places(
    segments: Sequence[Segment], campaigns: Sequence[Campaign], offers: Collection[Offer], known: frozenset[str]
) -> Iterator[tuple[str, str, Collection[str], Collection[str]]]:
    """Yield each file and place in it that reads facts, with those not known there, and those that are."""
    for segment in segments:
        yield segment.file, "$.rule", segment.rule.missing(known), known
        if segment.exit_rule:
            yield segment.file, "$.exit_rule", segment.exit_rule.missing(known), known
    for offer in offers:
        yield (
            f"the rule of offer {offer.key!r}",
            "",
            offer.eligibility.missing(known) if offer.eligibility else (),
            known,
        )
    for campaign in campaigns:
        allowed = known | DECISION_NAMES
        for path, facts in campaign.facts_by_template.items():
            yield campaign.file, path, facts - allowed, allowed
        yield f"quiet_hours in the channels of {campaign.file}", "", campaign.zone_facts - known, known


def _describe(file: str, path: str) -> str:
    return f"{file}: {describe_place(file, path)}" if path else file


def _suggest(fact: str, known: Collection[str]) -> str:
    nearest = get_close_matches(fact, sorted(known), n=NEAREST)
    return f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
