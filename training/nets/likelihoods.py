"""Likelihoods: the parameters that a net outputs, their loss, and the scores computed from them.

Shapes: parameters [rows, members, p], targets [rows, t], scores [rows, members, outputs].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.nets.backend import keras

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.task import LikelihoodName

ops = keras.ops
TWEEDIE_POWER = 1.5
SPREAD_AT_LEAST = 0.05
# Log spend may pass the largest seen by this much: an ensemble member's exp() must not run away.
LOG_HEADROOM = 1.0


@dataclass(frozen=True, slots=True)
class Likelihood:
    """One likelihood, fitted to the level of its targets.

    Attributes:
        parameters: the name of each parameter.
        level: shape [p], the parameters fitted to all rows together, where training begins.
        loss: targets and parameters to the mean loss of rows and members.
        scores: parameters to scores.
    """

    parameters: tuple[str, ...]
    level: NDArray[np.float32]
    loss: Callable[[Any, Any], Any]
    scores: Callable[[Any], Any]


def build_likelihood(name: LikelihoodName, targets: NDArray[np.float32]) -> Likelihood:
    """Return a head for targets.

    Args:
        name: "binary" gives a probability for each target column, in which -1 is not observed; "discrete_hazard" a
            survival curve for targets that are 1 until the event and 0 from then on; the others take one column of
            spend, of which what is below 0 counts as 0, and give the spend expected.
        targets: shape [rows, t].
    """
    return _LIKELIHOODS[name](targets)


def _binary(targets: NDArray[np.float32]) -> Likelihood:
    observed = targets >= 0
    rate = (np.where(observed, targets, 0).sum(axis=0) + 0.5) / (observed.sum(axis=0) + 1)
    return Likelihood(
        parameters=tuple(f"logit_{i}" for i in range(targets.shape[1])),
        level=_logit(rate),
        loss=_binary_loss,
        scores=ops.sigmoid,
    )


def _binary_loss(targets: Any, parameters: Any) -> Any:
    observed = ops.cast(targets >= 0, "float32")[:, None, :]
    lost = observed * _cross_entropy(targets[:, None, :], parameters)
    count = ops.maximum(ops.sum(observed), 1.0)
    return ops.sum(ops.mean(lost, axis=1)) / count


def _discrete_hazard(targets: NDArray[np.float32]) -> Likelihood:
    """Return a likelihood of waiting times in equal periods (Cox 1972; Allison 1982).

    The logit of the hazard in a period, which is the probability of the event given that there was none before, is that
    of all rows plus a parabola over the periods: three parameters, whatever the number of periods. Scores are
    survival probabilities at the ends of the periods.
    """
    periods = targets.shape[1]
    before = np.hstack([np.ones((len(targets), 1), np.float32), targets[:, :-1]])
    at_risk = (before > 0) & (targets >= 0)
    hazard = ((at_risk & (targets == 0)).sum(axis=0) + 0.5) / (at_risk.sum(axis=0) + 1)
    usual, place = _logit(hazard), np.linspace(-1.0, 1.0, periods)
    # Legendre's polynomials: over the periods the three parameters are nearly uncorrelated.
    shapes = np.stack([np.ones(periods), place, (3 * place**2 - 1) / 2]).astype(np.float32)
    until = np.triu(np.ones((periods, periods), np.float32))

    def loss(targets: Any, parameters: Any) -> Any:
        before = ops.concatenate([ops.ones_like(targets[:, :1]), targets[:, :-1]], axis=1)
        at_risk = ops.cast((before > 0) & (targets >= 0), "float32")[:, None, :]
        event = ops.cast(targets == 0, "float32")[:, None, :]
        lost = at_risk * _cross_entropy(event, ops.matmul(parameters, shapes) + usual)
        return ops.sum(ops.mean(lost, axis=1)) / ops.maximum(ops.sum(at_risk), 1.0)

    def scores(parameters: Any) -> Any:
        return ops.exp(-ops.matmul(ops.softplus(ops.matmul(parameters, shapes) + usual), until))

    return Likelihood(("hazard", "trend", "curvature"), np.zeros(3, np.float32), loss, scores)


def _zero_inflated_lognormal(targets: NDArray[np.float32]) -> Likelihood:
    """Wang, Liu and Miao 2019, "A Deep Probabilistic Model for Customer Lifetime Value Prediction"."""
    share, logs = _levels(targets)
    most = float(logs.max() + LOG_HEADROOM)

    def loss(targets: Any, parameters: Any) -> Any:
        spend = targets[:, None, 0]
        buys = ops.cast(spend > 0, "float32")
        spread = _spread(parameters[..., 2])
        z = (ops.log(ops.maximum(spend, 1e-6)) - parameters[..., 1]) / spread
        return ops.mean(_cross_entropy(buys, parameters[..., 0]) + buys * (ops.log(spread) + 0.5 * z * z))

    def scores(parameters: Any) -> Any:
        spread = _spread(parameters[..., 2:3])
        log_mean = ops.minimum(parameters[..., 1:2] + 0.5 * spread * spread, most)
        return ops.sigmoid(parameters[..., 0:1]) * ops.exp(log_mean)

    spread = max(float(logs.std()), 2 * SPREAD_AT_LEAST) - SPREAD_AT_LEAST
    level = np.array([_logit(share), logs.mean(), np.log(np.expm1(spread))], np.float32)
    return Likelihood(("buys", "log_spend", "spread"), level, loss, scores)


def _gamma(targets: NDArray[np.float32]) -> Likelihood:
    """Return a gamma likelihood for the spend of those who buy, times the probability that they do."""
    share, logs = _levels(targets)
    most = float(logs.max() + LOG_HEADROOM)

    def loss(targets: Any, parameters: Any) -> Any:
        spend = targets[:, None, 0]
        buys = ops.cast(spend > 0, "float32")
        log_mean = ops.minimum(parameters[..., 1], most)
        return ops.mean(
            _cross_entropy(buys, parameters[..., 0]) + buys * (log_mean + ops.maximum(spend, 0.0) * ops.exp(-log_mean))
        )

    def scores(parameters: Any) -> Any:
        return ops.sigmoid(parameters[..., 0:1]) * ops.exp(ops.minimum(parameters[..., 1:2], most))

    level = np.array([_logit(share), np.log(np.exp(logs).mean())], np.float32)
    return Likelihood(("buys", "log_spend"), level, loss, scores)


def _tweedie(targets: NDArray[np.float32]) -> Likelihood:
    """Return a compound Poisson-gamma likelihood: variance in proportion to mean ** 1.5."""
    share, logs = _levels(targets)
    most = float(logs.max() + LOG_HEADROOM)
    scale = float(share * np.exp(logs).mean())

    def loss(targets: Any, parameters: Any) -> Any:
        spend = ops.maximum(targets[:, None, 0], 0.0) / scale
        log_mean = ops.minimum(parameters[..., 0], most) - float(np.log(scale))
        low, high = 1 - TWEEDIE_POWER, 2 - TWEEDIE_POWER
        return ops.mean(ops.exp(high * log_mean) / high - spend * ops.exp(low * log_mean) / low)

    def scores(parameters: Any) -> Any:
        return ops.exp(ops.minimum(parameters, most))

    return Likelihood(("log_mean",), np.array([np.log(scale)], np.float32), loss, scores)


def with_interval(likelihood: Likelihood, targets: NDArray[np.float32], coverage: float) -> Likelihood:
    """Return the head with two more scores: the bounds between which spend lies with a probability.

    The bounds are quantiles of log1p(spend), learned by pinball loss (Koenker and Bassett 1978).

    Args:
        likelihood: gives the spend expected.
        targets: spend, shape [rows, 1].
        coverage: the probability, for example .8.
    """
    logs = np.log1p(np.maximum(targets[:, 0], 0))
    tails = ((1 - coverage) / 2, (1 + coverage) / 2)
    known = len(likelihood.parameters)
    most = float(logs.max() + LOG_HEADROOM)

    def loss(targets: Any, parameters: Any) -> Any:
        spend = ops.log1p(ops.maximum(targets[:, None, 0], 0.0))
        lost = likelihood.loss(targets, parameters[..., :known])
        for place, tail in enumerate(tails):
            missed = spend - parameters[..., known + place]
            lost = lost + ops.mean(ops.maximum(tail * missed, (tail - 1) * missed))
        return lost

    def scores(parameters: Any) -> Any:
        lower, upper = parameters[..., known : known + 1], parameters[..., known + 1 : known + 2]
        bounds = ops.concatenate([ops.minimum(lower, upper), ops.maximum(lower, upper)], axis=-1)
        spend = ops.exp(ops.minimum(ops.maximum(bounds, 0.0), most)) - 1.0
        return ops.concatenate([likelihood.scores(parameters[..., :known]), spend], axis=-1)

    level = np.concatenate([likelihood.level, np.quantile(logs, tails)]).astype(np.float32)
    return replace(
        likelihood, parameters=(*likelihood.parameters, "lower", "upper"), level=level, loss=loss, scores=scores
    )


def widen(scores: Any, by: float) -> Any:
    """Return spend and its bounds, shape [rows, 3], the bounds moved apart on the scale of log1p, not below 0.

    Where they are moved together, a lower bound of 0 stays 0: otherwise customers who spend nothing, whom it was
    learned to cover, would be left out at once. The bounds do not cross.
    """
    bounds = ops.log(scores[:, 1:] + 1.0)
    lower = ops.where(bounds[:, :1] > 0, ops.maximum(bounds[:, :1] - by, 0.0), 0.0)
    upper = ops.maximum(bounds[:, 1:] + by, lower)
    return ops.concatenate([scores[:, :1], ops.exp(ops.concatenate([lower, upper], axis=1)) - 1.0], axis=1)


def _cross_entropy(outcome: Any, logit: Any) -> Any:
    return ops.softplus(logit) - outcome * logit


def _spread(parameter: Any) -> Any:
    return ops.softplus(parameter) + SPREAD_AT_LEAST


def _levels(targets: NDArray[np.float32]) -> tuple[float, NDArray[np.float64]]:
    """Return the share of rows with spend, and the logarithms of that spend."""
    spend = targets[:, 0].astype(np.float64)
    positive = spend[spend > 0]
    share = (len(positive) + 0.5) / (len(spend) + 1)
    return share, np.log(positive) if len(positive) else np.zeros(1)


def _logit(rate: Any) -> Any:
    return np.log(rate / (1 - rate)).astype(np.float32)


_LIKELIHOODS: dict[LikelihoodName, Callable[[NDArray[np.float32]], Likelihood]] = {
    "binary": _binary,
    "discrete_hazard": _discrete_hazard,
    "zero_inflated_lognormal": _zero_inflated_lognormal,
    "gamma": _gamma,
    "tweedie": _tweedie,
}
