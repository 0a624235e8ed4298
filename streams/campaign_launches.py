"""Launches that operators requested: which are valid, and which customers are members when they arrive. Pure.

A request may name the occasion, as `holdfast replay --live` does: then it is for the very opportunity that a campaign
missed, of a campaign of any kind, under its own trigger id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from campaigns.candidates import LaunchRequest, launch_occasion
from campaigns.decide import derive_trigger_id
from campaigns.definition import Launch
from streams.customers import is_member_now, trigger_context
from streams.formats.events import Decoded, Reject, RejectReason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from campaigns.candidates import Definitions
    from campaigns.ports import CustomerKey, LedgerState
    from segments.engine import Transition
    from streams.formats.events import Event


def reject_unknown_campaigns(decoded: Decoded, definitions: Definitions) -> Decoded:
    """Reject launches of campaigns that are not defined, or that operators do not launch."""
    requested = decoded.events.requested
    known = {campaign.key for campaign in definitions.campaigns if campaign.launch is Launch.BY_OPERATOR}
    every = {campaign.key for campaign in definitions.campaigns}
    unknown = [event for event in requested if not _is_known(event, known, every)]
    if not unknown:
        return decoded
    detail = f"is not one that operators launch; those are: {', '.join(sorted(known)) or 'none'}"
    refused = [
        Reject(event.record, "decode", RejectReason.INVALID_EVENT, f"campaign {event.wire.campaign!r} {detail}")
        for event in unknown
    ]
    valid = [event for event in requested if _is_known(event, known, every)]
    return Decoded(replace(decoded.events, requested=valid), [*decoded.rejects, *refused])


def _is_known(event: Event, launched: Collection[str], every: Collection[str]) -> bool:
    wire = event.wire
    return not wire.campaign or wire.campaign in (every if wire.occasion else launched)


def launch_requests(
    requested: Sequence[Event],
    definitions: Definitions,
    state: LedgerState,
    transitions: Sequence[Transition],
) -> list[LaunchRequest]:
    """Return the launches among requests for evaluation, each with whether its customer is a member now."""
    campaigns = {campaign.key: campaign for campaign in definitions.campaigns}
    moved = {(each.customer_id, each.segment): each.kind == "entered" for each in transitions}
    requests = []
    for event in requested:
        campaign = campaigns.get(event.wire.campaign)
        if campaign is None:
            continue
        is_member = is_member_now(event.customer_id, campaign.segment, state.memberships, moved)
        # Who has come back meanwhile has missed nothing by not being contacted for leaving.
        is_due = is_member != (campaign.launch is Launch.ON_LEAVE)
        requests.append(LaunchRequest(event.customer_id, campaign, _occasion(event), trigger_context(event), is_due))
    return requests


def launch_decisions(requested: Sequence[Event], definitions: Definitions) -> list[CustomerKey]:
    """Return the keys of the decisions that launches request: the ledger may have them already."""
    campaigns = {campaign.key: campaign for campaign in definitions.campaigns}
    return [
        (event.customer_id, derive_trigger_id(event.customer_id, campaign, _occasion(event)))
        for event in requested
        if (campaign := campaigns.get(event.wire.campaign))
    ]


def _occasion(event: Event) -> str:
    return event.wire.occasion or launch_occasion(event.wire.launch or event.wire.id)
