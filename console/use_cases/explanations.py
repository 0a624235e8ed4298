"""Why a customer was contacted, and why not: decisions, memberships, and each rule evaluated on the present facts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from campaigns.errors import ErasedCustomerError
from campaigns.ports import LedgerFacts
from campaigns.recomputation import recompute
from console.use_cases.customer_feedback import judge_feedback
from console.use_cases.ledger import ask_ledger
from features.errors import UnknownWarehouseCustomerError, WarehouseError
from features.insights import KINDS, add_insights
from features.signals import as_columns
from features.times import EVENT_TIME, event_times
from features.warehouses import opened
from models.fallbacks import ModelFallbacks
from models.scores import score_customers, score_offers
from segments.explanation import explain_rule
from streams.definitions import read_definitions
from streams.runtime.model_reload import load_models
from streams.staff_feedback import feedback_columns
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.consent import ConsentChange
    from campaigns.definition import Offer
    from campaigns.postgres_ledger import PostgresLedger
    from campaigns.recomputation import Recomputed
    from campaigns.records import DecisionRecord, MembershipRecord
    from console.use_cases.customer_feedback import FeedbackState
    from features.ports import Warehouse
    from features.table import FeatureTable
    from segments.definition import Segment
    from segments.explanation import Explanation
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """A segment's rule evaluated on facts.

    Attributes:
        leaving: the exit rule where it keeps a member inside: neither rule holds. None otherwise.
    """

    segment: Segment
    explanation: Explanation
    leaving: Explanation | None = None


@dataclass(frozen=True, slots=True)
class DecisionExplanation:
    """A decision, and the segment's present rule evaluated on the recorded facts.

    Attributes:
        rule: None when the segment does not exist now, or its present rule reads facts that were not recorded.
        changed: the present segment, when its rule reads facts that were not recorded.
        recomputed: the decision made again from its record; None where that was not asked for.
    """

    record: DecisionRecord
    rule: RuleExplanation | None
    changed: Segment | None = None
    recomputed: Recomputed | None = None


@dataclass(frozen=True, slots=True)
class CustomerExplanation:
    """Everything about a customer.

    Attributes:
        memberships: the latest episode in each segment.
        decisions: in order of event time.
        consent_changes: consent revoked or given again by events, in order of event time.
        feedback: what staff said of the customer, in order of event time.
        facts: the facts that the next event would be decided with.
        rules: each segment's rule evaluated on those facts.
        substitutions: a sentence for each model that a rule replaces now.
    """

    customer_id: str
    memberships: Sequence[MembershipRecord]
    decisions: Sequence[DecisionExplanation]
    consent_changes: Sequence[ConsentChange]
    facts: Mapping[str, Any]
    rules: Sequence[RuleExplanation]
    substitutions: Sequence[str] = ()
    feedback: Sequence[FeedbackState] = ()


def explain_customer(settings: Settings, customer_id: str, *, recomputes: bool = False) -> CustomerExplanation:
    """Return everything about a customer; with `recomputes`, each decision is made again from its record.

    Raises:
        WarehouseError: the warehouse cannot be read, or has no such customer.
        LedgerUnavailableError: the ledger cannot be read.
        ErasedCustomerError: the customer was erased.
    """
    definitions = read_definitions(settings)
    segments = definitions.segments
    by_key = {segment.key: segment for segment in segments}

    campaigns = {each.key: each for each in definitions.campaigns}
    versions = {each.key: each.version for each in segments}

    def again(record: DecisionRecord) -> Recomputed | None:
        return recompute(customer_id, record, campaigns, definitions.offers, versions) if recomputes else None

    async def ask(ledger: PostgresLedger) -> CustomerExplanation:
        if (erased := await ledger.find_tombstone(customer_id)) is not None:
            raise ErasedCustomerError(
                f"customer {customer_id!r} was erased on {erased.erased_at:%Y-%m-%d} by {erased.actor} ({erased.why}): "
                "nothing of them is kept, and their events are left out"
            )
        decisions = await ledger.decisions_of(customer_id)
        facts, substitutions = await current_facts(settings, ledger, customer_id, decisions, definitions.offers)
        memberships = await ledger.memberships_of(customer_id)
        inside = {each.segment for each in memberships if each.is_member}
        return CustomerExplanation(
            customer_id,
            memberships,
            [replace(explain_decision(each, by_key), recomputed=again(each)) for each in decisions],
            await ledger.consent_history(customer_id),
            facts,
            [explain_membership(segment, facts, is_member=segment.key in inside) for segment in segments],
            substitutions,
            judge_feedback(await ledger.feedback_of(customer_id), datetime.now(UTC)),
        )

    return ask_ledger(settings, ask)


def explain_decision(record: DecisionRecord, segments: Mapping[str, Segment]) -> DecisionExplanation:
    """Explain a decision by the facts that were recorded with it."""
    segment = segments.get(record.segment)
    if segment is None:
        return DecisionExplanation(record, None)
    decided_by = record.versions.get("segment", segment.version)
    if decided_by != segment.version and segment.rule.missing(record.facts):
        return DecisionExplanation(record, None, segment)
    return DecisionExplanation(record, explain_membership(segment, record.facts))


def explain_membership(segment: Segment, facts: Mapping[str, Any], *, is_member: bool = False) -> RuleExplanation:
    """Explain each comparison of a segment's rule on facts, and of the exit rule where that keeps a member inside."""
    entering = explain_rule(segment.rule, facts)
    if segment.exit_rule is None or entering.met or not is_member:
        return RuleExplanation(segment, entering)
    leaving = explain_rule(segment.exit_rule, facts)
    return RuleExplanation(segment, entering, None if leaving.met else leaving)


async def current_facts(
    settings: Settings,
    ledger: PostgresLedger,
    customer_id: str,
    decisions: Sequence[DecisionRecord],
    offers: Mapping[int, Offer],
) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Return the facts that the next event of a customer would be decided with, and the models that a rule replaces.

    It only reads.

    Raises:
        WarehouseError: the warehouse cannot be read, or has no such customer.
    """
    async with opened(find_warehouse(settings)) as warehouse:
        table = await fetch_customer(warehouse, customer_id)
    state = await ledger.read([customer_id], [], facts=LedgerFacts(insights=tuple(KINDS)))
    signals = state.signals
    moments = [each.as_of for each in decisions] + [s.last_message_at for s in signals.values() if s.last_message_at]
    as_of = max(moments, default=datetime.now(UTC))
    scorers, fallbacks = load_models(settings, offers), ModelFallbacks()
    scored = score_customers(table, scorers, fallbacks)
    score_offers(scored, scorers, fallbacks)
    by_rule = [f"{model}: the rules score, {why}" for model, why in scorers.reasons.items()]
    # In force now: feedback is given for the days to come, and the latest event may be long ago.
    feedback = feedback_columns(state.contact_histories, [customer_id], {customer_id: datetime.now(UTC)})
    added = {**as_columns(signals, table.customer_ids, as_of), **feedback, EVENT_TIME: event_times([as_of])}
    facts = add_insights(scored.with_columns(added), state.insights).row(0)
    return facts, [*by_rule, *fallbacks.describe(scorers.versions)]


async def fetch_customer(warehouse: Warehouse, customer_id: str) -> FeatureTable:
    """Return the row of a customer.

    Raises:
        WarehouseError: the warehouse cannot be read, or has not one row of the customer.
    """
    table = await warehouse.fetch([customer_id])
    if not len(table):
        raise UnknownWarehouseCustomerError(f"the warehouse has no customer {customer_id!r}; check the id")
    if len(table) > 1:
        raise WarehouseError(f"the warehouse has {len(table)} rows of customer {customer_id!r}; leave one")
    return table
