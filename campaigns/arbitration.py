"""Arbitration: which of the contacts that are possible at one event is made. Pure.

A customer gets at most one contact at an event: by the campaign of the highest priority, then by the highest expected
net value, then by the first key. What is sent to staff about the customer is no contact and does not compete. The
control group plays no part: a held-out customer has the same winner, who makes no contact, and the others do not move
up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.decide import withhold
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
    return withhold(loser.candidate, Reason.OUTRANKED, _compare(loser, winner), loser.facts, loser.net_value)


def _rank(proposal: Proposal) -> tuple[int, float, str, str]:
    campaign = proposal.candidate.campaign
    return (-campaign.priority, -proposal.net_value, campaign.key, proposal.candidate.occasion)


def _compare(loser: Proposal, winner: Proposal) -> str:
    ours, theirs = loser.candidate.campaign, winner.candidate.campaign
    if ours.priority != theirs.priority:
        return f"{theirs.key} has priority {theirs.priority}, this campaign {ours.priority}"
    if loser.net_value != winner.net_value:
        values = f"{winner.net_value:g}, this one {loser.net_value:g}"
        return f"{theirs.key} has an expected net value of {values}"
    return f"{theirs.key} has the same expected net value, {loser.net_value:g}, and comes first by key"
