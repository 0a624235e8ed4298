"""The whole job, in order. Read this first.

    prepare:  decode > refresh > score                            several batches at once
    decide:   recall > absorb > classify > decide > commit        one batch at a time, in order
    then      publish > acknowledge                               worker.py, in order

Every step takes and returns a whole batch. The world is touched three times: features are read, the ledger is
read, the ledger is written; all else is a function of values. Event time is the only time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from campaigns.candidates import LaunchRequest, decide_all, entrants, launched
from campaigns.decide import Outcome
from campaigns.definition import Launch
from campaigns.ports import BatchChanges
from campaigns.triggers import decision_message, trigger_message
from features.signals import Signals, as_columns, fold
from models.rfm import rfm_columns
from models.scores import score_columns, score_offers
from models.sentiment import read_message
from segments.engine import classify
from streams.customers import (
    joined_at,
    latest_occurrences,
    messages_by_customer,
    occurrence,
    outcome_reports,
    refuse_unknown,
    sort_by_kind,
)
from streams.events import Reject, RejectReason, decode_records
from streams.failures import dead_letter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.candidates import Definitions
    from campaigns.decide import Decision
    from campaigns.ports import Committed, Ledger, LedgerState
    from campaigns.triggers import Message as OutgoingMessage
    from features.signals import Message
    from features.store import FeatureStore
    from features.table import FeatureTable
    from models.registry import Scorers
    from segments.definition import Segment
    from segments.engine import Activation, Transition
    from streams.customers import Concerned
    from streams.events import Decoded, Event, Record


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything that decides and does not change between batches: models, rules, campaigns."""

    scorers: Scorers
    segments: Sequence[Segment]
    activations: Mapping[str, Activation]
    definitions: Definitions


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of which everything is known but what the ledger holds."""

    decoded: Decoded
    concerned: Concerned
    facts: FeatureTable
    messages: Mapping[str, list[Message]]
    cache_lost: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a batch: the changes asked for, what the ledger stored of them, and under which epochs."""

    changes: BatchChanges
    committed: Committed
    owners: Mapping[int, int]
    events: int
    rejects: Sequence[Reject]


class Pipeline:
    """The steps from records to committed decisions, with the stores they ask.

    Args:
        features: the feature store.
        ledger: the ledger.
        knowledge: models and definitions.
        topic_prefix: stands before every topic's name.
        max_event_bytes: a larger event is a dead letter.
    """

    def __init__(
        self,
        features: FeatureStore,
        ledger: Ledger,
        knowledge: Knowledge,
        *,
        topic_prefix: str = "",
        max_event_bytes: int = 262_144,
    ) -> None:
        self._features = features
        self._ledger = ledger
        self._knowledge = knowledge
        self._topic_prefix = topic_prefix
        self._max_event_bytes = max_event_bytes

    def use_cache_generation(self, generation: int) -> None:
        """Read no cached row of an earlier generation from now on."""
        self._features.use_generation(generation)

    async def prepare(self, records: Sequence[Record]) -> Prepared:
        """Decode, refresh and score a batch; nothing here depends on the batches before it.

        Raises:
            WarehouseUnavailableError: ask again later.
        """
        decoded = decode_records(records, topic_prefix=self._topic_prefix, max_bytes=self._max_event_bytes)
        decoded = refuse_unknown_campaigns(decoded, self._knowledge.definitions)
        concerned = sort_by_kind(decoded.events)
        customers = list(dict.fromkeys(event.customer_id for event in concerned.to_evaluate))
        read = await self._features.read(customers, fresh={event.customer_id for event in concerned.updated})
        decoded = refuse_unknown(decoded, concerned, read.table)
        concerned = sort_by_kind(decoded.events)
        messages = messages_by_customer(concerned.said, read_message)
        return Prepared(decoded, concerned, score(read.table, self._knowledge.scorers), messages, read.cache_lost)

    async def decide(self, prepared: Prepared, owners: Mapping[int, int]) -> Decided:
        """Recall, absorb, classify, decide and commit a batch, after every batch before it.

        Raises:
            LedgerUnavailableError, LedgerConflictError, LedgerFencedError: see campaigns/ports.py.
        """
        customers = list(prepared.facts.customer_ids)
        message_ids = [message.id for said in prepared.messages.values() for message in said]
        state = await self._ledger.read(customers, message_ids)
        fresh = unseen(prepared.messages, state)
        signals = {customer: fold(state.signals.get(customer, Signals()), said) for customer, said in fresh.items()}
        at = latest_occurrences(prepared.concerned.to_evaluate)
        as_of = {customer: when.as_of for customer, when in at.items()}
        facts = prepared.facts.with_columns(as_columns({**state.signals, **signals}, customers, as_of))
        knowledge = self._knowledge
        moved = classify(
            knowledge.segments,
            facts,
            state.held,
            activations=knowledge.activations,
            joined_at=joined_at(facts),
        )
        requests = launch_requests(prepared.concerned.requested, knowledge.definitions, state, moved.changes)
        candidates = entrants(moved.changes, at, knowledge.definitions) + launched(requests, knowledge.definitions)
        offers = knowledge.definitions.offers
        decisions = decide_all(
            candidates, facts, state.standings, offers, partial(score_offers, scorers=knowledge.scorers)
        )
        changes = BatchChanges(
            transitions=moved.changes,
            transitions_at=as_of,
            evaluated=moved.roster_changed,
            signals=signals,
            message_ids=[(customer, message.id) for customer, said in fresh.items() for message in said],
            decisions=decisions,
            outcomes=outcome_reports(prepared.concerned.reported),
            messages=[*outgoing(decisions), *map(dead_letter, prepared.decoded.rejects)],
            cache_lost=prepared.cache_lost,
        )
        committed = await self._ledger.commit(changes, owners=owners)
        self._features.use_generation(committed.cache_generation)
        return Decided(changes, committed, owners, len(prepared.decoded.events), prepared.decoded.rejects)


def score(table: FeatureTable, scorers: Scorers) -> FeatureTable:
    """Return the table with RFM and the models' scores."""
    scored = table.with_columns(rfm_columns(table, scorers.rfm))
    return scored.with_columns(score_columns(scored, scorers))


def unseen(messages: Mapping[str, list[Message]], state: LedgerState) -> dict[str, list[Message]]:
    """Return the messages that the ledger has not folded yet."""
    fresh = {
        customer: [each for each in said if (customer, each.id) not in state.seen_messages]
        for customer, said in messages.items()
    }
    return {customer: said for customer, said in fresh.items() if said}


def outgoing(decisions: Sequence[Decision]) -> list[OutgoingMessage]:
    """Return what is published of the decisions: the record of each, and the trigger of those that make one."""
    triggers = [trigger_message(each) for each in decisions if each.outcome is not Outcome.WITHHELD]
    return triggers + [decision_message(each) for each in decisions]


def refuse_unknown_campaigns(decoded: Decoded, definitions: Definitions) -> Decoded:
    """Reject launches of campaigns that no definition file names, or that run by themselves."""
    known = {campaign.key for campaign in definitions.campaigns if campaign.launch is Launch.BY_OPERATOR}

    def unknown(event: Event) -> bool:
        return bool(event.wire.campaign) and event.wire.campaign not in known

    detail = f"is not one that operators launch; those are: {', '.join(sorted(known)) or 'none'}"
    refused = [
        Reject(event.record, "decode", RejectReason.INVALID_EVENT, f"campaign {event.wire.campaign!r} {detail}")
        for event in decoded.events
        if unknown(event)
    ]
    return replace(
        decoded,
        events=[each for each in decoded.events if not unknown(each)],
        rejects=[*decoded.rejects, *refused],
    )


def launch_requests(
    requested: Sequence[Event],
    definitions: Definitions,
    state: LedgerState,
    transitions: Sequence[Transition],
) -> list[LaunchRequest]:
    """Return the launches among requests for evaluation, each knowing whether its customer is a member by now."""
    campaigns = {campaign.key: campaign for campaign in definitions.campaigns}
    moved = {(each.customer_id, each.segment): each.kind == "entered" for each in transitions}
    requests = []
    for event in requested:
        campaign = campaigns.get(event.wire.campaign)
        if campaign is None:
            continue
        episode = (
            state.held[event.customer_id].members.get(campaign.segment) if event.customer_id in state.held else None
        )
        is_member = moved.get((event.customer_id, campaign.segment), episode is not None and episode.is_member)
        launch_id = event.wire.launch or event.wire.id
        requests.append(LaunchRequest(event.customer_id, campaign, launch_id, occurrence(event), is_member))
    return requests
