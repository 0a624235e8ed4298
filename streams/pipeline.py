"""The whole job, in order. Read this first.

    prepare:  decode > refresh > score                            while the batch before is decided
    decide:   recall > absorb > classify > decide > commit        one batch at a time, in order
    then      publish > acknowledge                               worker.py, in order

Every step takes and returns a whole batch. The world is touched three times: features are read, the ledger is
read, the ledger is written; all else is a function of values. Event time is the only time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from campaigns.candidates import decide_all, entry_candidates, launch_candidates
from campaigns.ports import BatchChanges
from campaigns.triggers import outgoing
from features.signals import Signals, as_columns, fold
from models.scores import score_customers, score_offers
from models.sentiment import read_message
from segments.engine import classify
from streams.batch_state import Decided, Prepared
from streams.campaign_launches import launch_requests, reject_unknown_campaigns
from streams.customers import (
    joined_at,
    latest_events,
    messages_by_customer,
    read_outcome_reports,
    reject_unknown_customers,
    sort_by_kind,
    trigger_context,
    unseen,
)
from streams.formats.dead_letters import dead_letter
from streams.formats.events import decode_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.ports import Ledger
    from features.store import FeatureStore
    from models.fallbacks import ModelFallbacks
    from models.registry import Scorers
    from streams.decision_config import DecisionConfig
    from streams.formats.events import Record, Reject


class Pipeline:
    """The steps from records to committed decisions, with the stores they ask.

    Args:
        features: the feature store.
        ledger: the ledger.
        knowledge: models and definitions.
        topic_prefix: stands before every topic's name.
        max_event_bytes: a larger event is a dead letter.
        fallbacks: told of customers whom a rule scored although a model serves.
    """

    def __init__(
        self,
        features: FeatureStore,
        ledger: Ledger,
        config: DecisionConfig,
        *,
        topic_prefix: str = "",
        max_event_bytes: int = 262_144,
        fallbacks: ModelFallbacks | None = None,
    ) -> None:
        self._features = features
        self._ledger = ledger
        self._config = config
        self._topic_prefix = topic_prefix
        self._max_event_bytes = max_event_bytes
        self._fallbacks = fallbacks

    def use_cache_generation(self, generation: int) -> None:
        """Read no cached row of an earlier generation from now on."""
        self._features.use_generation(generation)

    def use_scorers(self, scorers: Scorers) -> None:
        """Score the batches to come with these; those prepared already are decided with what they were scored with."""
        self._config = self._config.with_scorers(scorers)

    async def prepare(self, records: Sequence[Record], poison: Sequence[Reject] = ()) -> Prepared:
        """Decode, refresh and score a batch; nothing here depends on the batches before it.

        Args:
            records: the batch.
            poison: those of its records that cannot be decided; they become dead letters.

        Raises:
            WarehouseUnavailableError: ask again later.
        """
        config = self._config
        poisonous = {id(reject.record) for reject in poison}
        sound = [record for record in records if id(record) not in poisonous]
        decoded = decode_records(sound, topic_prefix=self._topic_prefix, max_bytes=self._max_event_bytes)
        decoded = reject_unknown_campaigns(decoded, config.definitions)
        concerned = sort_by_kind(decoded.events)
        customers = list(dict.fromkeys(event.customer_id for event in concerned.to_evaluate))
        read = await self._features.read(customers, fresh={event.customer_id for event in concerned.updated})
        decoded = reject_unknown_customers(decoded, concerned, read.table)
        concerned = sort_by_kind(decoded.events)
        facts = score_customers(read.table, config.scorers, self._fallbacks)
        messages = messages_by_customer(concerned.said, read_message)
        return Prepared(config, decoded, poison, concerned, facts, messages, read.cache_lost)

    async def decide(self, prepared: Prepared, owners: Mapping[int, int]) -> Decided:
        """Recall, absorb, classify, decide and commit a batch, after every batch before it.

        Raises:
            LedgerUnavailableError, LedgerConflictError, LedgerFencedError: see campaigns/ports.py.
        """
        changes = await self._evaluate(prepared)
        committed = await self._ledger.commit(changes, owners=owners)
        self._features.use_generation(committed.cache_generation)
        return Decided(changes, committed, owners, len(prepared.decoded.events), prepared.rejects)

    async def dry_run(self, records: Sequence[Record]) -> None:
        """Do all that is done to a batch and keep nothing of it: whatever would be raised is raised."""
        await self._ledger.dry_run(await self._evaluate(await self.prepare(records)))

    async def _evaluate(self, prepared: Prepared) -> BatchChanges:
        """Return all that a batch changes, given what the ledger holds."""
        config, concerned = prepared.config, prepared.concerned
        customers = list(prepared.facts.customer_ids)
        said = [(customer, message.id) for customer, each in prepared.messages.items() for message in each]
        state = await self._ledger.read(customers, said)
        fresh = unseen(prepared.messages, state.seen_messages)
        signals = {customer: fold(state.signals.get(customer, Signals()), said) for customer, said in fresh.items()}
        latest = latest_events(concerned.to_evaluate)
        as_of = {customer: event.wire.occurred_at for customer, event in latest.items()}
        facts = prepared.facts.with_columns(as_columns({**state.signals, **signals}, customers, as_of))
        transitions = classify(
            config.segments, facts, state.memberships, activations=config.activations, joined_at=joined_at(facts)
        )
        at = {change.customer_id: trigger_context(latest[change.customer_id]) for change in transitions.changes}
        requests = launch_requests(concerned.requested, config.definitions, state, transitions.changes)
        candidates = entry_candidates(transitions.changes, at, config.definitions) + launch_candidates(
            requests, config.definitions
        )
        score = partial(score_offers, scorers=config.scorers, fallbacks=self._fallbacks)
        decisions = decide_all(candidates, facts, state.contact_histories, config.definitions.offers, score)
        return BatchChanges(
            transitions=transitions.changes,
            transitions_at=as_of,
            evaluated=transitions.versions_changed,
            signals=signals,
            message_ids=[(customer, message.id) for customer, said in fresh.items() for message in said],
            decisions=decisions,
            outcomes=read_outcome_reports(concerned.reported),
            messages=[*outgoing(decisions), *map(dead_letter, prepared.rejects)],
            cache_lost=prepared.cache_lost,
        )
