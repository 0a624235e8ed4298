"""Events without effect: of erased customers, and those processed before the time that history reaches. Pure."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from campaigns.consent import CONSENT_OUTCOMES
from streams.campaign_launches import launch_decisions
from streams.leads import lead_key
from streams.outcomes import folded_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.ports import CustomerKey, LedgerState
    from campaigns.tombstones import Tombstones
    from streams.batch_state import Prepared
    from streams.formats.events import Decoded, Event, Reject


def leave_out_erased(decoded: Decoded, tombstones: Tombstones) -> Decoded:
    """Leave out the events of erased customers, and the records with their keys that could not be decoded."""
    if not len(tombstones):
        return decoded
    keys = {id(each): _key(each) for each in decoded.rejects}
    erased = tombstones.find({event.customer_id for event in decoded.events} | set(keys.values()))
    if not erased:
        return decoded
    events = decoded.events
    kept = {
        each.name: [event for event in getattr(events, each.name) if event.customer_id not in erased]
        for each in fields(events)
    }
    rejects = [each for each in decoded.rejects if keys[id(each)] not in erased]
    left = replace(events, **kept)
    count = len(events) - len(left) + len(decoded.rejects) - len(rejects)
    return replace(decoded, events=left, rejects=rejects, erased=erased, left_out=count)


def spare_erased(rejects: Sequence[Reject], tombstones: Tombstones) -> Sequence[Reject]:
    """Return the rejects whose keys are not those of erased customers."""
    if not rejects or not len(tombstones):
        return rejects
    erased = tombstones.find({_key(each) for each in rejects})
    return [each for each in rejects if _key(each) not in erased]


def count_as_processed(prepared: Prepared, state: LedgerState) -> tuple[LedgerState, Sequence[Reject], int]:
    """Return the state with all older records as processed, the rejects to keep, and how many are without effect.

    A record of that time was processed, but the ledger may have forgotten it: a message, an outcome or an awaited
    update would be folded twice, a launch decided twice. Changes of consent and feedback are folded again: the ledger
    keeps them as long as the customer, so a second time changes nothing.
    """
    if state.pruned_before is None:
        return state, prepared.rejects, 0
    horizon, events = state.pruned_before.timestamp() * 1000, prepared.events
    said = [_message_key(each) for each in events.said if each.record.timestamp < horizon]
    reported = [folded_key(each) for each in events.reported if each.record.timestamp < horizon and _adds_up(each)]
    awaited = [key for key, each in prepared.awaited.items() if each.record.timestamp < horizon]
    requested = [each for each in events.requested if each.record.timestamp < horizon]
    launched = launch_decisions(requested, prepared.config.definitions)
    rejects = [each for each in prepared.rejects if each.record.timestamp >= horizon]
    leads = [lead_key(each) for each in events.leads if each.record.timestamp < horizon]
    seen = [*said, *reported, *awaited, *leads]
    count = len(seen) + len(launched) + len(prepared.rejects) - len(rejects)
    if not count:
        return state, prepared.rejects, 0
    processed = replace(state, seen_messages={*state.seen_messages, *seen}, decided={*state.decided, *launched})
    return processed, rejects, count


def _message_key(event: Event) -> CustomerKey:
    return event.customer_id, event.wire.id


def _adds_up(event: Event) -> bool:
    return event.wire.type.removeprefix("outcome.") not in CONSENT_OUTCOMES


def _key(reject: Reject) -> str:
    return (reject.record.key or b"").decode(errors="replace")
