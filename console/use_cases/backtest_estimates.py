"""The off-policy estimate of a backtest: what the new campaigns would have earned where the log can say so. Pure.

An opportunity is a customer and an occasion on which a campaign may contact. The log has the action that was taken, no
contact or an offer by a channel, with the probability that it had: that of the control group, or that of the treated
times the propensity of the offer. The new campaigns, without their control groups, have one action for each
opportunity. Opportunities on which both do the same in any case are left out: they make no difference.

The estimates are those of training/evaluation/off_policy.py: inverse propensity (Horvitz and Thompson 1952),
self-normalised (Swaminathan and Joachims 2015) and doubly robust (Dudik, Langford and Li 2011), whose prediction is the
mean reward of the same campaign and action among the customers of the other half (cross-fitting: Chernozhukov et al.
2018, "Double/debiased machine learning"). The share of the control group is that of the log itself, which is unbiased
and more precise than the intended one (Hirano, Imbens and Ridder 2003). Intervals treat a customer's opportunities as
one draw, and the effective sample size is Kish's (1965).

No estimate is possible where the log never does what the new campaign does: there is nothing to learn from. Such
opportunities are counted, with the reason, and never guessed.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from campaigns.effect import FIRST_CONVERTED, FIRST_CUSTOMERS
from training.evaluation.off_policy import OfferLog, describe_gap, value_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from training.evaluation.off_policy import PolicyValue

FOLDS = 2


class Action(NamedTuple):
    """A contact: the channel and the offer."""

    channel: str
    offer_id: int


class Unsupported(StrEnum):
    """Why the log has nothing to say of an opportunity."""

    NEVER_CONTACTED = "the recorded campaign would not have contacted the customer on this occasion"
    NEVER_OFFERED = "the recorded campaign never made this offer by this channel"
    NO_CONTROL = "the new campaign does not contact, and the recorded one held no customer out"
    DRAWN = "the new campaign draws its offer or variant at random, by the same draw as the recorded one"


@dataclass(frozen=True, slots=True)
class Opportunity:
    """What was recorded of a customer and an occasion, and what the new campaign does.

    Attributes:
        campaign: its key.
        customer_id: the customer.
        planned: the contact of the new campaign, also where its control group holds it out; None for no contact.
        planned_propensity: the probability of its offer.
        recorded: the contact of the recorded campaign, also where it was held out; None for no contact.
        propensity: the probability of its offer, given a contact.
        is_held_out: whether the contact was held out.
        converted: whether the customer converted.
        earned: the revenue net of the costs of the contact and of the offer.
    """

    campaign: str
    customer_id: str
    planned: Action | None
    planned_propensity: float = 1.0
    recorded: Action | None = None
    propensity: float = 1.0
    is_held_out: bool = False
    converted: bool = False
    earned: float = 0.0


@dataclass(frozen=True, slots=True)
class Value:
    """A mean per opportunity: of the new campaigns by three estimators, of the log, and the difference.

    Attributes:
        recorded: the mean of the log.
        ips: by inverse propensity.
        snips: self-normalised.
        dr: doubly robust.
        low: of the 95 % interval of `dr`.
        high: likewise.
        difference: dr - recorded.
        difference_low: of its 95 % interval.
        difference_high: likewise.
    """

    recorded: float
    ips: float
    snips: float
    dr: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the log says of the new campaigns.

    Attributes:
        opportunities: on which the new or the recorded campaign contacts.
        supported: those that the log can say something of.
        unsupported: the number of the others, by reason.
        effective: how many opportunities of the new campaigns' own the estimate is worth.
        conversion: converted customers per supported opportunity; None where nothing can be estimated.
        earned: revenue net of costs per supported opportunity; None likewise.
        is_enough: whether the evidence is enough for an interval to hold.
    """

    opportunities: int
    supported: int
    unsupported: Mapping[Unsupported, int]
    effective: float
    conversion: Value | None
    earned: Value | None
    is_enough: bool

    @property
    def unsupported_share(self) -> float:
        """The share of the opportunities without an estimate, from 0 to 1."""
        return 1 - self.supported / self.opportunities if self.opportunities else 0.0


class _Taken(NamedTuple):
    """An opportunity with support: the column of the planned and of the taken action, and the latter's probability."""

    opportunity: Opportunity
    planned: int
    taken: int
    probability: float


def estimate(opportunities: Sequence[Opportunity]) -> Estimate:
    """Estimate what the new campaigns would have earned on recorded opportunities.

    Args:
        opportunities: of any campaigns; those on which neither contacts are of no account.
    """
    held_out, made = _find_policy(opportunities)
    columns: dict[tuple[str, Action | None], int] = {}
    supported: list[_Taken] = []
    unsupported: Counter[Unsupported] = Counter()
    for each in opportunities:
        if each.planned is None and each.recorded is None:
            continue
        share = held_out.get(each.campaign, 0.0)
        reason = find_obstacle(each, share, made[each.campaign])
        if reason is not None:
            unsupported[reason] += 1
            continue
        taken = None if each.is_held_out else each.recorded
        probability = share if each.is_held_out else (1 - share) * each.propensity
        planned, column = (
            columns.setdefault((each.campaign, action), len(columns)) for action in (each.planned, taken)
        )
        supported.append(_Taken(each, planned, column, probability))
    total = len(supported) + unsupported.total()
    if not supported:
        return Estimate(total, 0, unsupported, 0.0, None, None, is_enough=False)
    converted = np.array([each.opportunity.converted for each in supported])
    conversion, effective = _value(supported, len(columns), converted)
    earned, _ = _value(supported, len(columns), np.array([each.opportunity.earned for each in supported]))
    if effective == 0:
        return Estimate(total, len(supported), unsupported, 0.0, None, None, is_enough=False)
    enough = effective >= FIRST_CUSTOMERS and effective * conversion.snips >= FIRST_CONVERTED
    return Estimate(total, len(supported), unsupported, effective, conversion, earned, is_enough=enough)


def find_obstacle(each: Opportunity, held_out: float, made: Iterable[Action]) -> Unsupported | None:
    """Return why the log says nothing of an opportunity, None where it does.

    Args:
        each: the opportunity; one of the campaigns contacts.
        held_out: the share of the recorded campaign's control group.
        made: the contacts that the recorded campaign made, or held out, on any occasion.
    """
    if each.recorded is None:
        return Unsupported.NEVER_CONTACTED
    if each.planned is None:
        return None if held_out > 0 else Unsupported.NO_CONTROL
    if each.planned_propensity < 1:
        return Unsupported.DRAWN
    if each.planned != each.recorded and (each.propensity >= 1 or each.planned not in made):
        return Unsupported.NEVER_OFFERED
    return None if held_out < 1 else Unsupported.NEVER_CONTACTED


def _find_policy(opportunities: Iterable[Opportunity]) -> tuple[dict[str, float], Mapping[str, set[Action]]]:
    """Return the share that each recorded campaign held out, and the contacts that it made."""
    exposed: Counter[str] = Counter()
    control: Counter[str] = Counter()
    made: dict[str, set[Action]] = defaultdict(set)
    for each in opportunities:
        if each.recorded is not None:
            exposed[each.campaign] += 1
            control[each.campaign] += each.is_held_out
            made[each.campaign].add(each.recorded)
    return {campaign: control[campaign] / count for campaign, count in exposed.items()}, made


def _value(supported: Sequence[_Taken], columns: int, reward: NDArray[np.float64]) -> tuple[Value, float]:
    """Return the value of the new campaigns by a reward of shape [supported], and the effective sample size."""
    reward = reward.astype(np.float64)
    taken = np.array([each.taken for each in supported], dtype=np.intp)
    names = [each.opportunity.customer_id for each in supported]
    customers = np.unique(np.asarray(names), return_inverse=True)[1].astype(np.intp)
    policy = np.zeros((len(supported), columns))
    policy[np.arange(len(supported)), [each.planned for each in supported]] = 1
    probability = np.array([each.probability for each in supported], dtype=np.float64)
    halves = np.array([zlib.crc32(each.encode()) % FOLDS for each in names], dtype=np.intp)
    expected = _predict(taken, reward, halves, columns)
    log = OfferLog(taken, reward, probability, customers)
    found = value_policy(policy, expected, log)
    return _describe(found, describe_gap(found, None, expected, log), reward), found.effective_rows


def _predict(
    taken: NDArray[np.intp], reward: NDArray[np.float64], halves: NDArray[np.intp], columns: int
) -> NDArray[np.float64]:
    """Return the mean reward of each action among the customers of the other halves, shape [rows, columns].

    Where they have not the action: the mean over all actions.
    """
    expected = np.zeros((len(taken), columns))
    for half in range(FOLDS):
        others, own = halves != half, halves == half
        counts = np.bincount(taken[others], minlength=columns)
        sums = np.bincount(taken[others], weights=reward[others], minlength=columns)
        mean = float(reward[others].mean()) if others.any() else 0.0
        expected[own] = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    return expected


def _describe(found: PolicyValue, gap: Mapping[str, Any], reward: NDArray[np.float64]) -> Value:
    recorded = float(reward.mean())
    return Value(
        recorded, found.ips, found.snips, found.dr, *found.interval_95, found.dr - recorded, *gap["interval_95"]
    )
