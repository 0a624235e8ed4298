"""Arbitration: which of the contacts that are possible at one event is made. Pure.

A customer gets at most one contact at an event: by the campaign of the highest priority, then by the highest expected
net value, then by the first key. What is sent to staff about the customer is no contact and does not compete. The
control group plays no part: a held-out customer has the same winner, who makes no contact, and the others do not move
up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from campaigns.decide import withhold
from campaigns.decision_inputs import Rival
from campaigns.guardrails import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from campaigns.decide import Decision, Proposal


def choose_contact(proposals: Iterable[Proposal]) -> Proposal:
    """Return the contact to make of those that are possible for a customer at one event.

    The order of the proposals makes no difference.
    """
    return min(proposals, key=_rank)


def outrank(loser: Proposal, winner: Proposal) -> Decision:
    """Return the decision about a contact that another campaign makes in its place, with the reason."""
    return outrank_by(loser, _as_rival(winner))


def outrank_by(loser: Proposal, winner: Rival) -> Decision:
    """Return the decision about a contact that another one replaces, by what is recorded of the winner."""
    detail = _compare(_as_rival(loser), winner)
    lost = withhold(loser.candidate, Reason.OUTRANKED, detail, loser.facts, loser.net_value)
    return replace(lost, winner=winner)


def loses_to(proposal: Proposal, winner: Rival) -> bool:
    """Return whether a contact that is possible loses to the one that was made."""
    return _rank(proposal) > _rank_rival(winner)


def _rank(proposal: Proposal) -> tuple[int, float, str, str]:
    return _rank_rival(_as_rival(proposal))


def _rank_rival(rival: Rival) -> tuple[int, float, str, str]:
    return (-rival.priority, -rival.net_value, rival.campaign, rival.occasion)


def _as_rival(proposal: Proposal) -> Rival:
    campaign = proposal.candidate.campaign
    return Rival(campaign.key, campaign.priority, proposal.net_value, proposal.candidate.occasion)


def _compare(loser: Rival, winner: Rival) -> str:
    if loser.priority != winner.priority:
        return f"{winner.campaign} has priority {winner.priority}, this campaign {loser.priority}"
    if loser.net_value != winner.net_value:
        values = f"{winner.net_value:g}, this one {loser.net_value:g}"
        return f"{winner.campaign} has an expected net value of {values}"
    return f"{winner.campaign} has the same expected net value, {loser.net_value:g}, and comes first by key"
