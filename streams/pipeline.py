"""The whole job, in order. Read this first.

    prepare:  decode > refresh > score                       while the batch before is decided
    decide:   load > fold > classify > evaluate > schedule > commit     one batch at a time, in order
    then      publish > acknowledge                          runtime/worker.py, in order

Each word is one function, called in this order. Every step takes and returns a whole batch. I/O happens in three steps:
`refresh` reads features, `load` reads the ledger, `commit` writes it; the others are functions of values. Event time is
the only time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from campaigns.breaker import watch_batch
from campaigns.candidates import decide_all, event_candidates, launch_candidates, transition_candidates
from campaigns.ports import BatchChanges
from campaigns.reasons import add_reasons
from campaigns.tombstones import Tombstones
from campaigns.transition_messages import transition_message
from campaigns.triggers import outgoing
from features.insights import add_insights
from features.signals import Signals, as_columns
from features.signals import fold as fold_messages
from features.table import FeatureTable
from features.times import EVENT_TIME, event_times
from models.scores import score_contacts, score_customers, score_offers, shadow_columns
from models.sources import unavailable_facts
from segments.engine import Transitions
from segments.engine import classify as classify_customers
from streams.batch_state import Decided, Evaluated, Folded, Prepared, Refreshed
from streams.campaign_launches import launch_decisions, launch_requests, reject_unknown_campaigns
from streams.customers import (
    evaluation_times,
    hours_counted,
    joined_at,
    latest_events,
    latest_times,
    leave_out_snapshots,
    limits_begin,
    messages_by_customer,
    read_fresh,
    reject_unknown_customers,
    trigger_context,
    unseen,
)
from streams.due_customers import Customers, find_departed, find_due_times, floor_s
from streams.event_audiences import awaited_updates, find_occurrences
from streams.experiments import find_reached, record_arms
from streams.formats.codecs import decode_records
from streams.formats.dead_letters import dead_letter
from streams.leads import fold_leads, lead_ids, lead_key
from streams.observability.traces import UNTRACED
from streams.outcomes import fold_consent, fold_outcomes, outcome_keys, trigger_keys
from streams.processed_before import count_as_processed, leave_out_erased, spare_erased
from streams.reevaluations import customers_without_event, select_reevaluations
from streams.staff_feedback import feedback_columns, fold_feedback, read_feedback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from campaigns.decide import Decision
    from campaigns.ports import Ledger, LedgerState
    from campaigns.triggers import Message
    from features.store import FeatureStore
    from models.fallbacks import ModelFallbacks
    from models.live_drift import LiveDrift
    from models.registry import Scorers
    from segments.definition import Segment
    from streams.decision_config import DecisionConfig
    from streams.feature_history import FeatureHistory
    from streams.formats.events import Decoded, EventsByKind, Record, Reject


class Pipeline:
    """The steps from records to committed decisions, with the stores they read and write.

    Args:
        features: the feature store.
        ledger: the ledger.
        config: models and definitions.
        decode: from records to events; see decode_records.
        fallbacks: counts customers scored by a rule although a model serves.
        drift: counts customers scored by models, by the bins of training.
        publishes_transitions: whether entries and exits are published.
        stamp: lets what a batch publishes carry the traces of its events; see streams/observability/traces.py.
        history: reads features as of past events, in place of the feature store; None where events are new.

    Attributes:
        frozen_segments: the segments that the latest batch could not evaluate, and the missing columns.
        stopped_campaigns: why each stopped campaign is, as of the latest read of the ledger.
        watermark: the latest event time known: of an evaluation that this worker has committed, in seconds since 1970.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each part that the composition root chooses
        self,
        features: FeatureStore,
        ledger: Ledger,
        config: DecisionConfig,
        *,
        decode: Callable[[Sequence[Record]], Decoded] = decode_records,
        fallbacks: ModelFallbacks | None = None,
        drift: LiveDrift | None = None,
        publishes_transitions: bool = False,
        stamp: Callable[[Sequence[Message], EventsByKind], Sequence[Message]] = UNTRACED.stamp,
        history: FeatureHistory | None = None,
    ) -> None:
        self._features = features
        self._ledger = ledger
        self._config = config
        self._fallbacks = fallbacks
        self._drift = drift
        self.frozen_segments: Mapping[str, tuple[str, ...]] = {}
        self.stopped_campaigns: Mapping[str, str] = {}
        self.watermark: int | None = None
        self._tombstones = Tombstones()
        self._decode = decode
        self._publishes_transitions = publishes_transitions
        self._stamp = stamp
        self._history = history

    async def prepare(self, records: Sequence[Record], poison: Sequence[Reject] = ()) -> Prepared:
        """Decode, refresh and score a batch; nothing here depends on earlier batches.

        Args:
            records: the batch.
            poison: the records of the batch that cannot be decided; they become dead letters.

        Raises:
            WarehouseUnavailableError: retry later.
        """
        config = self._config  # one for the whole batch, even when another model is promoted meanwhile
        decoded = self.decode(records, poison, config)
        refreshed = await self.refresh(decoded)
        return self.score(refreshed, spare_erased(poison, self._tombstones), config)

    async def decide(self, prepared: Prepared, owners: Mapping[int, int]) -> Decided:
        """Decide and commit a batch, after every batch before it.

        Raises:
            LedgerUnavailableError, LedgerConflictError, LedgerFencedError: see campaigns/ports.py.
        """
        changes, rejects, pruned = await self._find_changes(prepared)
        changes = replace(changes, messages=self._stamp(changes.messages, prepared.events))
        decided = await self.commit(prepared, changes, rejects, owners)
        if changes.transitions_at:
            self.watermark = max(self.watermark or 0, floor_s(max(changes.transitions_at.values())))
        return replace(decided, left_out=_left_out(prepared, pruned))

    async def dry_run(self, records: Sequence[Record]) -> None:
        """Prepare and decide records, then roll back: every error they cause is raised, nothing is kept."""
        changes, _, _ = await self._find_changes(await self.prepare(records))
        await self._ledger.dry_run(changes)

    async def _find_changes(self, prepared: Prepared) -> tuple[BatchChanges, Sequence[Reject], int]:
        """Return all changes that a batch makes to what the ledger holds, its dead letters, and what was pruned."""
        state, kept, pruned = count_as_processed(prepared, await self.load(prepared))
        folded = self.fold(prepared, state)
        transitions = self.classify(prepared, state, folded)
        evaluated = self.evaluate(prepared, state, folded, transitions)
        rejects = [*kept, *folded.outcomes.rejects]
        messages = transition_messages(prepared, folded, transitions) if self._publishes_transitions else []
        due_times = self.schedule(prepared, state, folded, transitions)
        return collect_changes(prepared, folded, evaluated, due_times, rejects, messages), rejects, pruned

    # The steps

    def decode(self, records: Sequence[Record], poison: Sequence[Reject], config: DecisionConfig) -> Decoded:
        """Decode records to events; what cannot be decoded is rejected."""
        if poison:
            poisonous = {id(reject.record) for reject in poison}
            records = [record for record in records if id(record) not in poisonous]
        decoded = reject_unknown_campaigns(self._decode(records), config.definitions)
        return leave_out_erased(select_reevaluations(decoded, config.fingerprint), self._tombstones)

    async def refresh(self, decoded: Decoded) -> Refreshed:
        """Read the features of every customer to evaluate; updated customers are invalidated and read fresh.

        A batch of outcomes, feedback and leads alone reads neither cache nor warehouse: an opt-out does not wait.
        """
        events = decoded.events
        latest = latest_events(events.to_evaluate)
        fresh = {event.customer_id for event in read_fresh(events)}
        # A worker that did not know of the erasure yet may have cached their rows after it.
        fresh |= decoded.erased
        # A batch without events still reads: without its poison it must show errors that no record causes.
        if (events.reported or events.feedback or events.leads) and not latest and not fresh:
            return Refreshed(decoded, latest, FeatureTable((), {}), cache_lost=False, lost_columns=frozenset())
        if self._history is None:
            changed_at = latest_times(events.updated) if self._features.reads_age else {}
            read = await self._features.read(list(latest), fresh=fresh, changed_at=changed_at)
        else:
            read = await self._history.read(latest)
        known = reject_unknown_customers(decoded, latest, read.table, read.duplicates)
        return Refreshed(known, latest, read.table, read.cache_lost, read.lost_columns)

    def score(self, refreshed: Refreshed, poison: Sequence[Reject], config: DecisionConfig) -> Prepared:
        """Score customers and messages with the models."""
        facts = refreshed.table
        if len(facts):
            facts = score_customers(facts, config.scorers, self._fallbacks, self._drift)
        messages = messages_by_customer(refreshed.decoded.events.said, config.scorers.reader.read)
        unavailable = unavailable_facts(refreshed.table.columns, refreshed.lost_columns, config.scorers)
        awaited = awaited_updates(refreshed.decoded.events, config.definitions)
        shadow = shadow_columns(facts, config.scorers) if len(facts) else {}
        return Prepared(config, refreshed, poison, facts, messages, unavailable, awaited, shadow)

    async def load(self, prepared: Prepared) -> LedgerState:
        """Load what the ledger holds of the batch's customers, messages, outcomes and launches."""
        events = prepared.events
        messages = [(customer, message.id) for customer, each in prepared.messages.items() for message in each]
        definitions = prepared.config.definitions
        state = await self._ledger.read(
            prepared.facts.customer_ids,
            [*messages, *prepared.awaited, *outcome_keys(events.reported), *map(lead_key, events.leads)],
            triggers=trigger_keys(events.reported),
            decisions=launch_decisions(events.requested, definitions),
            contacts_after=limits_begin(events.to_evaluate, definitions.longest_limit),
            hours=hours_counted(events.to_evaluate, definitions.longest_breaker),
            versions=prepared.config.scored.versions,
            facts=prepared.config.ledger_facts,
            leads=lead_ids(events.leads),
        )
        self.stopped_campaigns = state.stops
        return state

    def fold(self, prepared: Prepared, state: LedgerState) -> Folded:
        """Fold new messages into signals, outcomes into contacts and consent, feedback into histories, and leads.

        The signals are added to the facts as of each customer's evaluation: see evaluation_times.
        """
        fresh = unseen(prepared.messages, state.seen_messages)
        signals = {each: fold_messages(state.signals.get(each, Signals()), new) for each, new in fresh.items()}
        customers = prepared.facts.customer_ids
        as_of = evaluation_times(prepared.latest, customers, state.last_transitions)
        columns = as_columns({**state.signals, **signals}, customers, as_of)
        if prepared.config.reads_event_time:
            columns[EVENT_TIME] = event_times(as_of.values())
        outcomes = fold_outcomes(prepared.events.reported, state, prepared.config.definitions.channels)
        histories = fold_consent(state.contact_histories, outcomes.consent_changes)
        feedback = read_feedback(prepared.events.feedback)
        histories = fold_feedback(histories, feedback)
        if prepared.config.reads_feedback:
            columns.update(feedback_columns(histories, customers, as_of))
        updates = {key: event for key, event in prepared.awaited.items() if key not in state.seen_messages}
        facts = add_insights(
            prepared.facts.with_columns(columns), state.insights, prepared.config.ledger_facts.insights
        )
        leads = fold_leads(prepared.events.leads, state.leads, state.seen_messages, prepared.config.scorers.leads)
        return Folded(fresh, signals, as_of, facts, outcomes, histories, feedback, updates, leads)

    def classify(self, prepared: Prepared, state: LedgerState, folded: Folded) -> Transitions:
        """Compare memberships with what the rules give now."""
        config = prepared.config
        facts = leave_out_snapshots(folded.facts, prepared.events, state.memberships, config.activations)
        if not len(facts):
            return Transitions((), {}, (), {}, self.frozen_segments)
        transitions = classify_customers(
            config.segments,
            facts,
            state.memberships,
            activations=config.activations,
            joined_at=joined_at(facts),
            unavailable=prepared.unavailable,
            reevaluated=customers_without_event(prepared.events),
            scored=config.scored,
        )
        self.frozen_segments = transitions.frozen
        return transitions

    def evaluate(self, prepared: Prepared, state: LedgerState, folded: Folded, transitions: Transitions) -> Evaluated:
        """Decide every candidate that a transition, an event or a launch makes, except what is decided already."""
        definitions, changes = prepared.config.definitions, transitions.changes
        scorers, shadow = prepared.config.scorers, prepared.shadow
        contexts = {change.customer_id: trigger_context(prepared.latest[change.customer_id]) for change in changes}
        requests = launch_requests(prepared.events.requested, definitions, state, changes)
        launched = launch_candidates(requests, definitions)
        occurrences = find_occurrences(
            prepared.events.said, folded.messages, folded.updates.values(), definitions, state, changes
        )
        candidates = [
            *transition_candidates(changes, contexts, definitions),
            *event_candidates(occurrences, definitions),
            *(each for each in launched if (each.customer_id, each.trigger_id) not in state.decided),
        ]
        score = partial(score_offers, scorers=scorers, fallbacks=self._fallbacks, drift=self._drift)
        breakers = watch_batch(state.stops, state.contact_hours, definitions.longest_breaker)
        decisions = decide_all(
            candidates,
            folded.facts,
            folded.contact_histories,
            definitions.offers,
            score,
            definitions.guardrails,
            prepared.unavailable,
            breakers,
            score_contacts=partial(score_contacts, scorers=scorers, fallbacks=self._fallbacks),
        )
        explained = add_reasons(decisions, folded.facts, definitions, scorers)
        recorded = record_arms(explained, scorers, folded.facts, shadow)
        reached = find_reached(recorded, scorers, folded.facts, shadow, folded.as_of)
        return Evaluated(transitions, recorded, breakers.tripped if breakers else (), reached)

    def schedule(
        self, prepared: Prepared, state: LedgerState, folded: Folded, transitions: Transitions
    ) -> Mapping[str, int | None]:
        """Find when time alone may change a segment of the customers, where that differs from what the ledger holds."""
        config, events = prepared.config, prepared.events
        known = folded.facts.customer_ids
        departed = find_departed(prepared.latest, events, known, config.timing)
        if transitions.facts is None:
            return departed
        signals = {**state.signals, **folded.signals} if config.schedule.windows else {}
        customers = Customers(transitions.facts, signals, folded.contact_histories)
        due_times = find_due_times(
            config.schedule,
            customers,
            state.due_times,
            as_of=folded.as_of,
            fresh=(event.customer_id for event in read_fresh(events)),
            without_event=customers_without_event(events),
        )
        return {**departed, **due_times}

    async def commit(
        self, prepared: Prepared, changes: BatchChanges, rejects: Sequence[Reject], owners: Mapping[int, int]
    ) -> Decided:
        """Commit a batch's changes under the epochs of its partitions."""
        committed = await self._ledger.commit(changes, owners=owners)
        self._features.use_generation(committed.cache_generation)
        decided = len(prepared.events) - len([each for each in rejects if each.stage == "fold"])
        return Decided(changes, committed, owners, decided, rejects)

    # Settings that change while the worker runs

    def use_cache_generation(self, generation: int) -> None:
        """Read no cached row of an earlier generation from now on."""
        self._features.use_generation(generation)

    def use_tombstones(self, tombstones: Tombstones) -> None:
        """Leave out the events of these customers in every batch that is prepared from now on."""
        self._tombstones = tombstones

    @property
    def scorers(self) -> Scorers:
        """The models that later batches are scored with."""
        return self._config.scorers

    @property
    def segments(self) -> Sequence[Segment]:
        """The segments that later batches are evaluated under."""
        return self._config.segments

    @property
    def offers(self) -> int:
        """The number of offers that later batches choose from."""
        return len(self._config.definitions.offers)

    def use_definitions(self, config: DecisionConfig) -> None:
        """Decide later batches by the definitions of a config; a batch that is prepared keeps those it has.

        The models stay those that serve now: others may have been promoted since the config was made.
        """
        self._config = config.with_scorers(self._config.scorers)

    def use_scorers(self, scorers: Scorers) -> None:
        """Score later batches with these; a batch that is prepared keeps the scorers it was scored with."""
        self._config = self._config.with_scorers(scorers)
        if self._drift is not None:
            self._drift.keep(scorers.versions, scorers.challengers)


def _left_out(prepared: Prepared, pruned: int) -> dict[str, int]:
    counts = {"erased": prepared.refreshed.decoded.left_out, "pruned": pruned}
    return {reason: count for reason, count in counts.items() if count}


def transition_messages(prepared: Prepared, folded: Folded, transitions: Transitions) -> list[Message]:
    """Return what is published of a batch's transitions, dated as the ledger dates them."""
    versions = {segment.key: segment.version for segment in prepared.config.segments}
    return [
        transition_message(
            each,
            trigger_context(prepared.latest[each.customer_id], folded.as_of[each.customer_id]),
            versions[each.segment],
        )
        for each in transitions.changes
    ]


def collect_changes(
    prepared: Prepared,
    folded: Folded,
    evaluated: Evaluated,
    due_times: Mapping[str, int | None],
    rejects: Sequence[Reject],
    transitions: Sequence[Message] = (),
) -> BatchChanges:
    """Return the changes of a batch as the ledger commits them."""
    decisions: Sequence[Decision] = evaluated.decisions
    return BatchChanges(
        transitions=evaluated.transitions.changes,
        transitions_at=folded.as_of,
        evaluated=evaluated.transitions.versions_changed,
        versions=prepared.config.scored.versions,
        earlier_results=evaluated.transitions.earlier_results,
        signals=folded.signals,
        message_ids=[
            *((customer, message.id) for customer, new in folded.messages.items() for message in new),
            *folded.updates,
        ],
        decisions=decisions,
        outcome_ids=[*folded.outcomes.outcome_ids, *folded.leads.event_ids],
        contact_states=folded.outcomes.contact_states,
        consent_changes=folded.outcomes.consent_changes,
        feedback=folded.feedback,
        messages=[*transitions, *folded.leads.alerts, *outgoing(decisions), *map(dead_letter, rejects)],
        cache_lost=prepared.refreshed.cache_lost,
        stops=evaluated.stops,
        due_times=due_times,
        experiment_customers=evaluated.experiment_customers,
        leads=list(folded.leads.states.values()),
        lead_records=folded.leads.records,
    )
