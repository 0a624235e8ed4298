"""Off-policy evaluation: what another policy would have earned, from a log of offers, propensities and outcomes.

Each estimate is a mean over rows of w, the probability that the policy shows the offer that was shown over that
of the log:

* IPS: mean of w r, unbiased where the propensities are right (Horvitz and Thompson 1952).
* SNIPS: sum of w r over sum of w, steadier (Swaminathan and Joachims 2015, "The self-normalized estimator
  for counterfactual learning").
* DR: mean of sum over offers of policy times q, plus w (r - q of the offer shown), where q predicts the
  reward: unbiased where either the propensities or q are right (Dudik, Langford and Li 2011, "Doubly robust
  policy evaluation and learning"). q must not have been fitted on the rows it is used for.

Standard errors treat a customer's rows as one draw. The effective sample size, (sum of w)^2 over sum of w^2
(Kish 1965), says how many rows of the policy's own the estimate is worth: a value is never reported without it.

Where a reward is 1 or 0, DR's error is the observed one or the expected one, whichever is greater. Rewards are rare and
some weights are large: while no row of a large weight was rewarded, the observed error is far too small just when the
estimate is too low. The expected error has the variance that the rewards have if q is right, w^2 q (1 - q). The
interval of a value is that of a weighted sum of counts, which is skewed: gamma distributions with its mean and
variance, the upper one with one more reward of a row of mean weight (Fay and Feuer 1997, "Confidence intervals for
directly standardized rates"; the mean weight in place of the greatest, Tiwari, Clegg and Zou 2006).
docs/uplift.md has how often it covers the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.resampling import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.evaluation.thresholds import GateThresholds

ENOUGH = "enough evidence"
NOT_ENOUGH = "not enough evidence"
Z_95 = 1.96


@dataclass(frozen=True, slots=True)
class OfferLog:
    """Rows in which one offer was shown with a known probability.

    Attributes:
        offer: shape [rows], which offer, from 0.
        reward: shape [rows], the outcome.
        propensity: shape [rows], above 0.
        customers: shape [rows], a number for each customer.
        not_logged, zero: rows left out, for a propensity that is null, or 0 or out of range.
    """

    offer: NDArray[np.intp]
    reward: NDArray[np.float64]
    propensity: NDArray[np.float64]
    customers: NDArray[np.intp]
    not_logged: int = 0
    zero: int = 0


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """A policy's value by three estimators.

    Attributes:
        ips, snips, dr: the estimates.
        ips_error, snips_error, dr_error: their standard errors.
        effective_rows: how many rows of its own the estimates are worth.
        mean_weight: near 1 where the logged propensities are right.
        interval_95: of the value by DR.
        per_row: shape [rows], whose mean is dr, for paired differences.
        weight: shape [rows], w.
        direct: shape [rows], what q predicts of the policy.
    """

    ips: float
    ips_error: float
    snips: float
    snips_error: float
    dr: float
    dr_error: float
    effective_rows: float
    mean_weight: float
    interval_95: tuple[float, float]
    per_row: NDArray[np.float64]
    weight: NDArray[np.float64]
    direct: NDArray[np.float64]

    def describe(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        names = ("ips", "ips_error", "snips", "snips_error", "dr", "dr_error", "effective_rows", "mean_weight")
        figures = {name: rounded(getattr(self, name)) for name in names}
        return {**figures, "interval_95": [rounded(bound) for bound in self.interval_95]}


def read_log(
    outcome: NDArray[Any], propensities: NDArray[np.float64], customer_ids: Sequence[str]
) -> tuple[OfferLog, NDArray[np.intp]]:
    """Return the rows a policy can be valued by, and their positions.

    Those are the rows of one offer shown with a propensity above 0 and up to 1. A logged 0 cannot have
    happened (some logs print small ones so); such rows have no weight, so they are left out and counted.

    Args:
        outcome: shape [rows, offers], 1, 0, or -1 for offers that were not shown.
        propensities: shape [rows], NaN where not logged.
        customer_ids: shape [rows].
    """
    one = (outcome >= 0).sum(axis=1) == 1
    usable = one & (propensities > 0) & (propensities <= 1)
    rows = np.flatnonzero(usable)
    offer = (outcome[rows] >= 0).argmax(axis=1)
    customers = np.unique(np.asarray(customer_ids)[rows], return_inverse=True)[1]
    not_logged = int((one & np.isnan(propensities)).sum())
    reward = outcome[rows, offer].astype(np.float64)
    zero = int(one.sum()) - len(rows) - not_logged
    return OfferLog(offer, reward, propensities[rows], customers, not_logged, zero), rows


def value_policy(policy: NDArray[Any], expected: NDArray[Any], log: OfferLog) -> PolicyValue:
    """Estimate what a policy would have earned per row.

    Args:
        policy: shape [rows, offers], the probability of showing each.
        expected: shape [rows, offers], the reward predicted for each by a model not fitted on these rows.
        log: what was shown instead.
    """
    rows = np.arange(len(log.offer))
    weight = policy[rows, log.offer] / log.propensity
    shown = expected[rows, log.offer]
    direct = (policy * expected).sum(axis=1)
    dr = direct + weight * (log.reward - shown)
    value, error = float(dr.mean()), _error(dr, weight, direct, shown, log)
    total, squares = float(weight.sum()), float((weight**2).sum())
    snips = float(weight @ log.reward) / total if total else float("nan")
    # The linearised ratio: what each row adds to the estimate's deviation.
    snips_rows = weight * (log.reward - snips) / (total / len(rows)) if total else np.full(len(rows), np.nan)
    return PolicyValue(
        ips=float((weight * log.reward).mean()),
        ips_error=standard_error(weight * log.reward, log.customers),
        snips=snips,
        snips_error=standard_error(snips_rows, log.customers),
        dr=value,
        dr_error=error,
        effective_rows=total**2 / squares if squares else 0.0,
        mean_weight=float(weight.mean()),
        interval_95=_interval(value, error, weight)
        if _is_binary(log)
        else (value - Z_95 * error, value + Z_95 * error),
        per_row=dr,
        weight=weight,
        direct=direct,
    )


def standard_error(per_row: NDArray[np.float64], customers: NDArray[np.intp]) -> float:
    """Return the standard error of a mean when a customer's rows are one draw."""
    sums = np.bincount(customers, weights=per_row - per_row.mean())
    groups = len(sums)
    return float(np.sqrt((sums**2).sum() * groups / max(groups - 1, 1)) / len(per_row))


def _is_binary(log: OfferLog) -> bool:
    return bool(np.isin(log.reward, (0, 1)).all())


def _error(
    per_row: NDArray[np.float64],
    weight: NDArray[np.float64],
    direct: NDArray[np.float64],
    shown: NDArray[Any],
    log: OfferLog,
) -> float:
    """Return the observed standard error of a mean, or the one that is expected if q is right: the greater."""
    observed = standard_error(per_row, log.customers)
    if not _is_binary(log):
        return observed
    chance = np.clip(shown.astype(np.float64), 0, 1)
    variance = (weight**2 * chance * (1 - chance)).mean() + direct.var()
    return max(observed, float(np.sqrt(variance / len(per_row))))


def _interval(value: float, error: float, weight: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a weighted mean of zeros and ones, within 0 and 1."""
    rows, variance = len(weight), error**2
    # One more reward.
    more, squared = float(weight.mean()) / rows, float((weight**2).mean()) / rows**2
    low = _gamma_quantile(value, variance, -Z_95) if value > 0 else 0.0
    # Without any weight there is no evidence.
    high = _gamma_quantile(max(value, 0.0) + more, variance + squared, Z_95) if more > 0 else 1.0
    return low, min(max(high, value), 1.0)


def _gamma_quantile(mean: float, variance: float, z: float) -> float:
    """Return the quantile of a gamma distribution by Wilson and Hilferty's approximation (1931).

    Args:
        mean: of the distribution, above 0.
        variance: of it.
        z: the quantile of the standard normal distribution for the same probability.
    """
    ninth = variance / mean**2 / 9
    return float(mean * max(1 - ninth + z * np.sqrt(ninth), 0.0) ** 3)


def always(offer: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the policy that shows one offer to all customers, shape [rows, offers]."""
    policy = np.zeros(shape)
    policy[:, offer] = 1
    return policy


def best_scored(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return the policy that shows each row its best scored offer, shape [rows, offers]."""
    policy = np.zeros(scores.shape)
    policy[np.arange(len(scores)), scores.argmax(axis=1)] = 1
    return policy


def compare_policies(scores: NDArray[Any], log: OfferLog, thresholds: GateThresholds) -> dict[str, Any]:
    """Value "make the best scored offer" against the log and against the best constant offer.

    The best constant offer is the best by DR of those with enough evidence, picked on these very rows:
    hindsight favours it, so a personalised policy has the harder stand.

    Args:
        scores: shape [rows of the log, offers], from a model fitted on earlier rows; also DR's q.
        log: the later rows.
        thresholds: how much evidence is enough.
    """
    rate = float(log.reward.mean()) if len(log.reward) else 0.0
    rows = {"used": len(log.reward), "propensity_not_logged": log.not_logged, "propensity_zero": log.zero}
    needed = effective_rows_needed(rate, thresholds)
    described: dict[str, Any] = {"rows": rows, "effective_rows_needed": rounded(needed)}
    if not len(log.reward):
        return described | {"verdict": NOT_ENOUGH, "reason": "no row has an offer shown and its propensity"}
    model = value_policy(best_scored(scores), scores, log)
    constants = [value_policy(always(each, scores.shape), scores, log) for each in range(scores.shape[1])]
    best = _best(constants, needed)
    described |= {
        "logged": {"value": rounded(rate), "standard_error": rounded(standard_error(log.reward, log.customers))},
        "model": model.describe(),
        "constant_offers": [{"offer_id": i, **each.describe()} for i, each in enumerate(constants, start=1)],
        "best_constant_offer": {"offer_id": best + 1, **constants[best].describe()},
        "difference_to_constant": describe_gap(model, constants[best], scores, log),
        "difference_to_logged": describe_gap(model, None, scores, log),
    }
    return described | check_evidence(min(model.effective_rows, constants[best].effective_rows), rate, rows, thresholds)


def effective_rows_needed(rate: float, thresholds: GateThresholds) -> float:
    """Return the effective sample size a value needs at a conversion rate; infinite where nothing converted."""
    return max(thresholds.effective_rows, thresholds.effective_conversions / rate) if rate > 0 else float("inf")


def check_evidence(
    effective_rows: float, rate: float, rows: dict[str, int], thresholds: GateThresholds
) -> dict[str, str]:
    """Return whether there is enough evidence for a policy's value, and the reason."""
    needed = effective_rows_needed(rate, thresholds)
    total = sum(rows.values())
    if rows["propensity_zero"] > thresholds.unusable_share * total:
        reason = f"{rows['propensity_zero']:,} of {total:,} rows have a logged propensity of 0, which cannot be"
        return {"verdict": NOT_ENOUGH, "reason": f"{reason}; log the probability each offer was shown with"}
    if effective_rows < needed:
        reason = f"the log is worth {effective_rows:,.0f} rows of this policy, {needed:,.0f} are needed"
        return {"verdict": NOT_ENOUGH, "reason": f"{reason} at a conversion rate of {rate:.2%}"}
    return {"verdict": ENOUGH, "reason": f"the log is worth {effective_rows:,.0f} rows of this policy"}


def _best(constants: Sequence[PolicyValue], needed: float) -> int:
    enough = [i for i, each in enumerate(constants) if each.effective_rows >= needed]
    return max(enough or range(len(constants)), key=lambda i: constants[i].dr)


def describe_gap(one: PolicyValue, other: PolicyValue | None, expected: NDArray[Any], log: OfferLog) -> dict[str, Any]:
    """Return by how much a policy earns more than another, or than the log, by DR on the same rows, with its interval.

    Args:
        one: the policy.
        other: what it is compared with; None for what was logged.
        expected: q, shape [rows, offers].
        log: what was shown.
    """
    shown = expected[np.arange(len(log.offer)), log.offer]
    # What was logged is its own estimate, whatever q says of it.
    per_row, weight, direct = (log.reward, 1.0, shown) if other is None else (other.per_row, other.weight, other.direct)
    gap = one.per_row - per_row
    value, error = float(gap.mean()), _error(gap, one.weight - weight, one.direct - direct, shown, log)
    bounds = [rounded(value - Z_95 * error), rounded(value + Z_95 * error)]
    return {"metric": "dr", "value": rounded(value), "standard_error": rounded(error), "interval_95": bounds}
