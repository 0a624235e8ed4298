"""Which customers a campaign may contact, and the decisions about all of them. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from campaigns.arbitration import choose_contact, outrank
from campaigns.decide import Candidate, ContactHistory, Decision, Proposal, propose, settle, withhold
from campaigns.decision_inputs import record_inputs
from campaigns.definition import Launch
from campaigns.guardrails import GUARDRAIL_FACTS, GUARDRAILS, Reason, refuse_expired
from campaigns.offers import NO_OBSTACLES, find_conditions
from campaigns.uplift import find_effect
from features.table import plain
from models.facts import SCORE_FACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from campaigns.breaker import BatchBreakers
    from campaigns.definition import Campaign, Offer
    from campaigns.guardrails import Guardrail
    from campaigns.uplift import ContactEffect
    from features.table import Column, FeatureTable
    from segments.engine import Transition


_TRANSITIONS = {Launch.ON_ENTER: "entered", Launch.ON_LEAVE: "exited"}


class TriggerContext(NamedTuple):
    """The event that a customer's decisions are made at: its id, event time, arrival (Unix ms) and input partition."""

    event_id: str
    as_of: datetime
    received_ms: int
    partition: int


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """An operator's launch of a campaign, as it reached one customer.

    Attributes:
        occasion: of the decision about it.
        is_due: whether the customer is a member, or has left where the campaign waits for that.
    """

    customer_id: str
    campaign: Campaign
    occasion: str
    occurrence: TriggerContext
    is_due: bool


class EventOccurrence(NamedTuple):
    """An event of a member of a campaign's segment, which the campaign waits for."""

    customer_id: str
    campaign: Campaign
    context: TriggerContext


@dataclass(frozen=True, slots=True)
class Definitions:
    """The campaigns and offers in force, versions of models and segments, the facts they read, and the guardrails.

    Attributes:
        campaigns: the campaigns.
        offers: by id.
        model_versions: by model.
        segment_versions: by segment.
        segment_facts: the facts that a segment's rules read, by segment.
        model_facts: the facts that models read.
        guardrails: evaluated in order for each candidate.
        channels: the names of every channel; those of the campaigns when left out.
        longest_limit: the longest window of a limit on contacts, or on the repetition of an offer; zero without any.
        waiting: the campaigns that wait for a transition, by its kind and segment.
        waiting_for_event: the campaigns that wait for an event, by its type.
        longest_breaker: the longest window of a breaker, in hours; 0 without breakers.
    """

    campaigns: Sequence[Campaign]
    offers: dict[int, Offer]
    model_versions: Mapping[str, str]
    segment_versions: Mapping[str, str]
    segment_facts: Mapping[str, Collection[str]] = field(default_factory=dict)
    model_facts: Collection[str] = frozenset()
    guardrails: Sequence[Guardrail] = GUARDRAILS
    channels: Collection[str] = ()
    longest_limit: timedelta = field(init=False)
    waiting: Mapping[tuple[str, str], Sequence[Campaign]] = field(init=False, compare=False, repr=False)
    waiting_for_event: Mapping[str, Sequence[Campaign]] = field(init=False, compare=False, repr=False)
    longest_breaker: int = field(init=False)
    _facts_read: Mapping[str, Collection[str]] = field(init=False, compare=False, repr=False)
    _versions: Mapping[str, Mapping[str, str]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Find once what each campaign reads and is based on, the channels, and how far back limits reach."""
        known = frozenset(self.channels or (channel for each in self.campaigns for channel in each.channels))
        object.__setattr__(self, "channels", known)
        made = [offer for each in self.campaigns for offer in self._offers_of(each)]
        limits = [limit.days for each in self.campaigns for limit in each.limits]
        windows = [timedelta(days=days) for days in (*limits, *(each.repeat_days for each in made)) if days]
        object.__setattr__(self, "longest_limit", max(windows, default=timedelta()))
        hours = [each.breaker.hours for each in self.campaigns if each.breaker]
        object.__setattr__(self, "longest_breaker", max(hours, default=0))
        read = {each.key: self._find_facts_read(each) for each in self.campaigns}
        object.__setattr__(self, "_facts_read", read)
        object.__setattr__(self, "_versions", {each.key: self._find_versions(each) for each in self.campaigns})
        waiting, waiting_for_event = defaultdict(list), defaultdict(list)
        for each in self.campaigns:
            if kind := _TRANSITIONS.get(each.launch):
                waiting[kind, each.segment].append(each)
            if each.event:
                waiting_for_event[each.event.value].append(each)
        object.__setattr__(self, "waiting", dict(waiting))
        object.__setattr__(self, "waiting_for_event", dict(waiting_for_event))

    def facts_read_for(self, campaign: Campaign) -> Collection[str]:
        """Return the facts that may influence a decision of this campaign: those that are recorded with it."""
        return self._facts_read[campaign.key]

    def _find_facts_read(self, campaign: Campaign) -> Collection[str]:
        by_rules = frozenset(self.segment_facts.get(campaign.segment, ()))
        by_guardrails = GUARDRAIL_FACTS | campaign.consent_facts | campaign.zone_facts
        by_offers = frozenset(name for each in self._offers_of(campaign) for name in each.facts)
        by_offers |= campaign.offer_facts
        return by_rules | by_guardrails | by_offers | campaign.message_facts | SCORE_FACTS | frozenset(self.model_facts)

    def _offers_of(self, campaign: Campaign) -> list[Offer]:
        """Return the offers that a campaign may make, with those of its variants."""
        return [self.offers[each] for each in campaign.all_offers if each in self.offers]

    def versions_for(self, campaign: Campaign) -> Mapping[str, str]:
        """Return the versions that a decision of this campaign is based on."""
        return self._versions[campaign.key]

    def _find_versions(self, campaign: Campaign) -> Mapping[str, str]:
        return {
            **self.model_versions,
            "campaign": campaign.version,
            "segment": self.segment_versions[campaign.segment],
        }


def transition_candidates(
    transitions: Iterable[Transition], contexts: Mapping[str, TriggerContext], definitions: Definitions
) -> list[Candidate]:
    """Return a candidate for each customer who entered or left a segment and each campaign that waits for it.

    To leave is another opportunity than to enter, also of the same campaign after it was edited.
    """
    waiting = definitions.waiting
    return [
        _candidate(
            transition.customer_id,
            campaign,
            str(transition.episode) if transition.kind == "entered" else leaving_occasion(transition.episode),
            contexts[transition.customer_id],
            definitions,
            Reason.FIRST_EVALUATION if transition.suppressed else None,
        )
        for transition in transitions
        for campaign in waiting.get((transition.kind, transition.segment), ())
    ]


def leaving_occasion(episode: int) -> str:
    """Return the occasion of the end of an episode."""
    return f"left {episode}"


def event_occasion(event_id: str) -> str:
    """Return the occasion of an event: that of its redelivery, too."""
    return f"event {event_id}"


def event_candidates(occurrences: Iterable[EventOccurrence], definitions: Definitions) -> list[Candidate]:
    """Return a candidate for each member and each event that a campaign waits for."""
    return [
        _candidate(
            each.customer_id, each.campaign, event_occasion(each.context.event_id), each.context, definitions, None
        )
        for each in occurrences
    ]


def launch_occasion(launch_id: str) -> str:
    """Return the occasion of a launch; it differs from every episode's occasion, which is a number."""
    return f"launch {launch_id}"


def launch_candidates(requests: Iterable[LaunchRequest], definitions: Definitions) -> list[Candidate]:
    """Return a candidate for each customer whom an operator's launch reached."""
    return [
        _candidate(
            request.customer_id,
            request.campaign,
            request.occasion,
            request.occurrence,
            definitions,
            None if request.is_due else Reason.NOT_A_MEMBER,
        )
        for request in requests
    ]


def _candidate(
    customer_id: str,
    campaign: Campaign,
    occasion: str,
    occurrence: TriggerContext,
    definitions: Definitions,
    withheld: Reason | None,
) -> Candidate:
    return Candidate(
        customer_id=customer_id,
        campaign=campaign,
        occasion=occasion,
        as_of=occurrence.as_of,
        event_id=occurrence.event_id,
        received_ms=occurrence.received_ms,
        partition=occurrence.partition,
        versions=definitions.versions_for(campaign),
        facts_read=definitions.facts_read_for(campaign),
        withheld=withheld,
    )


def decide_all(  # noqa: PLR0913 - everything that decides, each from a step of its own
    candidates: Sequence[Candidate],
    facts: FeatureTable,
    contact_histories: Mapping[str, ContactHistory],
    offers: dict[int, Offer],
    score_offers: Callable[[FeatureTable], tuple[NDArray[np.float32], Column]],
    guardrails: Sequence[Guardrail] = GUARDRAILS,
    unavailable: Collection[str] = (),
    breakers: BatchBreakers | None = None,
    *,
    score_contacts: Callable[[FeatureTable], Mapping[str, NDArray[np.float64]]] | None = None,
) -> list[Decision]:
    """Decide every candidate of a batch; offers are scored for those alone, in one call.

    Candidates of one customer at one event compete: one contact at most is made, see campaigns/arbitration.py. An
    opportunity that occurs twice, as when a launch arrives twice in a batch, is decided once: the first counts, as it
    does when the second one arrives in a later batch.

    Args:
        candidates: in the order to decide them, without those that the ledger has decided. An exposure, fired or
            control, counts against the cooldowns and limits of those after it.
        facts: every fact of the batch's customers; each decision is given, and records, those that it reads.
        contact_histories: what the ledger holds, by customer; customers without a history are missing.
        offers: every offer by id.
        score_offers: gives scores of shape [rows, offers] and their basis, shape [rows]: model, rules or mock.
        guardrails: evaluated in order for each candidate.
        unavailable: facts of the table that lack their source; no offer is made whose rule reads one.
        breakers: keep back the campaigns that are stopped, and stop others; None where there are neither.
        score_contacts: gives by campaign the probability to convert with its contact and without, shape [rows, 2]; a
            campaign that it leaves out is valued by the scores of its offers.
    """
    candidates = _first_of_each_opportunity(candidates)
    if not candidates:
        return []
    position = {customer_id: place for place, customer_id in enumerate(facts.customer_ids)}
    chosen = facts.take([position[candidate.customer_id] for candidate in candidates])
    scores, bases = score_offers(chosen)
    rows = _rows(chosen, [candidate.facts_read for candidate in candidates])
    rows = [{**row, "offer_basis": basis} for row, basis in zip(rows, bases, strict=True)]
    by_campaign = score_contacts(chosen) if score_contacts else {}
    effects: Sequence[ContactEffect | None] = [None] * len(candidates)
    if by_campaign:
        effects = [find_effect(by_campaign, each.campaign, n) for n, each in enumerate(candidates)]
    conditions = find_conditions(offers, chosen, unavailable)
    histories = dict(contact_histories)
    decisions: dict[int, Decision] = {}
    sends_expired = refuse_expired not in guardrails
    for places in _competing(candidates):
        customer_id = candidates[places[0]].customer_id
        history = histories.get(customer_id, ContactHistory())
        known = history
        obstacles = [
            conditions.find_obstacles(candidates[n], n, history) if conditions else NO_OBSTACLES for n in places
        ]
        proposed = [
            propose(candidates[n], rows[n], history, offers, scores[n], guardrails, refused, effects[n])
            for n, refused in zip(places, obstacles, strict=True)
        ]
        if breakers is not None:
            proposed = _stop(proposed, breakers)
        for place, made, refused in zip(places, _arbitrate(proposed), obstacles, strict=True):
            inputs = record_inputs(made, known, scores[place], refused, effects[place], sends_expired=sends_expired)
            decisions[place] = replace(made, inputs=inputs)
            if exposure := made.exposure:
                histories[customer_id] = history = history.with_contact(exposure)
                if breakers is not None:
                    breakers.count(made.candidate)
    return [decisions[place] for place in range(len(candidates))]


def _competing(candidates: Sequence[Candidate]) -> Iterable[Sequence[int]]:
    """Return the places of the candidates that compete, those of one customer at one event, in the order of events.

    One that does not compete is alone, after those of its event that do: their contact counts against its limits.
    """
    groups = defaultdict(list)
    for place, candidate in enumerate(candidates):
        alone = None if candidate.campaign.is_arbitrated else candidate.trigger_id
        groups[candidate.customer_id, candidate.event_id, alone].append(place)

    def order(places: Sequence[int]) -> tuple[datetime, bool]:
        first = candidates[places[0]]
        return first.as_of, not first.campaign.is_arbitrated

    return sorted(groups.values(), key=order)


def _stop(proposed: Sequence[Proposal | Decision], breakers: BatchBreakers) -> list[Proposal | Decision]:
    """Withhold the contacts of stopped campaigns that would win: the next one makes its contact in their place.

    Only the winner is checked: a campaign that would lose makes no contact, and none that stops it.
    """
    left = list(proposed)
    while possible := [each for each in left if isinstance(each, Proposal)]:
        winner = choose_contact(possible)
        refused = breakers.refuse(winner.candidate)
        if refused is None:
            break
        held = withhold(winner.candidate, Reason.STOPPED, refused, winner.facts, winner.net_value)
        left = [held if each is winner else each for each in left]
    return left


def _arbitrate(proposed: Sequence[Proposal | Decision]) -> list[Decision]:
    """Return the decision about each of the candidates that compete, in their order."""
    possible = [each for each in proposed if isinstance(each, Proposal)]
    winner = choose_contact(possible) if possible else None
    return [_settle_or_outrank(each, winner) if isinstance(each, Proposal) else each for each in proposed]


def _settle_or_outrank(proposal: Proposal, winner: Proposal | None) -> Decision:
    return settle(proposal) if winner is None or proposal is winner else outrank(proposal, winner)


def _rows(table: FeatureTable, names_by_row: Sequence[Collection[str]]) -> list[dict[str, Any]]:
    """Return the named facts of every row as plain JSON values, in the order of the table's columns.

    By columns: most need no check of each cell's type. Rows of one campaign share their collection of names.
    """
    collections = {id(names): names for names in names_by_row}
    present = {each: list(filter(names.__contains__, table.columns)) for each, names in collections.items()}
    cells = {name: _cells(table.columns[name]) for name in set().union(*present.values())}
    columns = {each: [cells[name] for name in names] for each, names in present.items()}
    return [
        dict(zip(present[id(names)], map(itemgetter(row), columns[id(names)]), strict=True))
        for row, names in enumerate(names_by_row)
    ]


def _cells(column: Column) -> list[Any]:
    cells = column.tolist()
    if column.dtype.kind == "f":
        return [None if cell != cell else cell for cell in cells]  # noqa: PLR0124 - NaN is the one value unlike itself
    return cells if column.dtype.kind == "b" else [plain(cell) for cell in cells]


def _first_of_each_opportunity(candidates: Iterable[Candidate]) -> list[Candidate]:
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        known = first.setdefault(candidate.trigger_id, candidate)
        # An operator who requests this very opportunity lifts the silence of a first evaluation.
        if known.withheld is Reason.FIRST_EVALUATION and candidate.withheld is None:
            first[candidate.trigger_id] = candidate
    return list(first.values())
