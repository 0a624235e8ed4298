"""A backtest: what other definitions or models would have sent in a recorded period, at what cost, and to what effect.

It is a replay, see console/use_cases/replay.py, whose contacts are counted and compared with the recorded ones.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from campaigns.decide import Outcome
from console.use_cases.backtest_estimates import Action, Estimate, Opportunity, estimate
from console.use_cases.replay import replaying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from campaigns.replay_differences import Exposure
    from console.use_cases.replay import Replayed, ReplayPlan
    from streams.settings import Settings


@dataclass(slots=True)
class Sent:
    """What one side sends.

    Attributes:
        contacts: triggers.
        held_out: customers of the control group.
        contact_cost: of the contacts by their channels.
        offer_cost: of the replay, if each offer is accepted; of the record, of those that were.
        expected: what the contacts are expected to bring by the scores of their offers, net of cost.
    """

    contacts: int = 0
    held_out: int = 0
    contact_cost: float = 0.0
    offer_cost: float = 0.0
    expected: float = 0.0


@dataclass(frozen=True, slots=True)
class CampaignBacktest:
    """A campaign in the recorded period.

    Attributes:
        campaign: its key.
        planned: what the new definitions send.
        recorded: what was sent.
        estimate: the effect of the new ones on the recorded customers.
    """

    campaign: str
    planned: Sent
    recorded: Sent
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Backtest:
    """A complete backtest.

    Attributes:
        replay: what came of the replay.
        campaigns: in the order of their keys.
        estimate: over all campaigns.
    """

    replay: Replayed
    campaigns: Sequence[CampaignBacktest]
    estimate: Estimate

    @property
    def planned(self) -> Sent:
        """What the new definitions send, over all campaigns."""
        return _add(each.planned for each in self.campaigns)

    @property
    def recorded(self) -> Sent:
        """What was sent, over all campaigns."""
        return _add(each.recorded for each in self.campaigns)


@dataclass(slots=True)
class _Group:
    planned: Sent = field(default_factory=Sent)
    recorded: Sent = field(default_factory=Sent)
    opportunities: list[Opportunity] = field(default_factory=list)


@contextmanager
def backtesting(
    settings: Settings,
    plan: ReplayPlan,
    *,
    by: str,
    resume: str | None = None,
    on_begin: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Iterator[Backtest]:
    """Replay a period and lend what it would have sent, at what cost and to what effect.

    Args:
        settings: those of the workers.
        plan: the period, the definitions and the models.
        by: the operator's name.
        resume: the id of an interrupted backtest or of a replay that was kept.
        on_begin: called with the id of the replay when it can be resumed.
        on_progress: called with the records decided, and how many there are.
        on_wait: called with a sentence when it waits for a service.

    Raises:
        ReplayError: it is refused; the message says what to do.
        CampaignError, FeaturesError, HoldfastStreamError, ModelError, SegmentsError: it cannot run.
    """
    with replaying(
        settings, plan, by=by, resume=resume, on_begin=on_begin, on_progress=on_progress, on_wait=on_wait
    ) as done:
        yield summarise(done.summary, done.exposures())


def summarise(replay: Replayed, exposures: Iterable[Exposure]) -> Backtest:
    """Return what the contacts of a replay and of the record add up to."""
    groups: dict[str, _Group] = defaultdict(_Group)
    for each in exposures:
        group = groups[each.campaign]
        _count(group, each)
        group.opportunities.append(read_opportunity(each))
    campaigns = [
        CampaignBacktest(key, group.planned, group.recorded, estimate(group.opportunities))
        for key, group in sorted(groups.items())
    ]
    return Backtest(replay, campaigns, estimate([each for group in groups.values() for each in group.opportunities]))


def read_opportunity(each: Exposure) -> Opportunity:
    """Return what a customer and an occasion say about the new campaigns."""
    is_held_out = each.live_outcome == Outcome.CONTROL
    spent = each.live_contact_cost + (each.live_offer_cost if each.is_converted else 0.0)
    return Opportunity(
        each.campaign,
        each.customer_id,
        _action(each.channel, each.offer_id),
        1.0 if each.propensity is None else each.propensity,
        _action(each.live_channel, each.live_offer_id),
        1.0 if each.live_propensity is None else each.live_propensity,
        is_held_out,
        each.is_converted,
        each.value - (0.0 if is_held_out else spent),
    )


def _action(channel: str | None, offer_id: int | None) -> Action | None:
    return None if channel is None or offer_id is None else Action(channel, offer_id)


def _count(group: _Group, each: Exposure) -> None:
    planned, recorded = group.planned, group.recorded
    if each.outcome == Outcome.FIRED:
        planned.contacts += 1
        planned.contact_cost += each.contact_cost
        planned.offer_cost += each.offer_cost
        planned.expected += each.net_value or 0.0
    planned.held_out += each.outcome == Outcome.CONTROL
    if each.live_outcome == Outcome.FIRED:
        recorded.contacts += 1
        recorded.contact_cost += each.live_contact_cost
        recorded.offer_cost += each.live_offer_cost if each.is_converted else 0.0
    recorded.held_out += each.live_outcome == Outcome.CONTROL


def _add(sides: Iterable[Sent]) -> Sent:
    total = Sent()
    for each in sides:
        total.contacts += each.contacts
        total.held_out += each.held_out
        total.contact_cost += each.contact_cost
        total.offer_cost += each.offer_cost
        total.expected += each.expected
    return total
