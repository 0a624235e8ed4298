"""BG/NBD and gamma-gamma, the usual probability models of a customer base, by maximum likelihood.

Fader, Hardie and Lee 2005, "'Counting Your Customers' the Easy Way: An Alternative to the Pareto/NBD Model", and Fader
and Hardie 2013, "The Gamma-Gamma Model of Monetary Value". A customer buys at a rate of her own until she leaves, which
she does after any purchase with a probability of her own; the mean of her amounts varies around one of her own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

from models.tasks.next_purchase import PERIODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.data.point_in_time import Orders, Snapshots

    Numbers = NDArray[np.float64]

ENDS = np.arange(1, PERIODS + 1) * 90 / PERIODS
"""Days at which curves are compared."""
WEEK = np.timedelta64(7, "D")
DAYS = 7.0
STARTS = 3


@dataclass(frozen=True, slots=True)
class Histories:
    """What the models know of customers on a day, in the order of `customer`; time in weeks.

    Attributes:
        customer: shape [customers].
        repeats: x, days with a purchase after the first.
        last: t_x, from the first purchase to the last.
        age: T, from the first purchase to the day.
        mean: mean amount of a day with a purchase.
    """

    customer: NDArray[np.str_]
    repeats: Numbers
    last: Numbers
    age: Numbers
    mean: Numbers

    @classmethod
    def of(cls, orders: Orders, day: np.datetime64) -> Histories:
        """Build from the purchases before a day, one of each customer and day."""
        seen = orders.take((orders.amount > 0) & (orders.day < day))
        customer, place = np.unique(seen.customer, return_inverse=True)
        # The end of the day before: the published values count to it.
        age = ((day - np.timedelta64(1, "D") - seen.day) / WEEK).astype(np.float64)
        oldest, newest = np.zeros(len(customer)), np.full(len(customer), np.inf)
        np.maximum.at(oldest, place, age)
        np.minimum.at(newest, place, age)
        days = np.unique(np.stack([place, seen.day.astype(np.int64)]), axis=1)[0]
        count = np.bincount(days, minlength=len(customer)).astype(np.float64)
        total = np.bincount(place, seen.amount, minlength=len(customer))
        return cls(customer, count - 1, oldest - newest, oldest, total / count)

    def find(self, customers: NDArray[np.str_]) -> Histories:
        """Return these customers, all of whom are known, in this order."""
        rows = np.searchsorted(self.customer, customers)
        return Histories(self.customer[rows], self.repeats[rows], self.last[rows], self.age[rows], self.mean[rows])


@dataclass(frozen=True, slots=True)
class BgNbd:
    """Purchases: rates vary by a gamma distribution (r, alpha), probabilities of leaving by a beta (a, b)."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    @classmethod
    def fit(cls, known: Histories) -> BgNbd:
        """Return the most likely parameters."""
        found, lost = _minimise(lambda logs: -_bg_nbd(np.exp(logs), known), 4)
        r, alpha, a, b = np.exp(found).tolist()
        return cls(r, alpha, a, b, -lost)

    def alive(self, known: Histories) -> Numbers:
        """Return the probability that each customer has not left, shape [customers]."""
        x = known.repeats
        longer = ((self.alpha + known.age) / (self.alpha + known.last)) ** (self.r + x)
        odds = self.a / (self.b + np.maximum(x, 1) - 1) * longer
        alive: Numbers = 1 / (1 + np.where(x > 0, odds, 0.0))
        return alive

    def survive(self, known: Histories, days: Numbers) -> Numbers:
        """Return the probability of no purchase in the coming days, shape [customers, days]."""
        age = self.alpha + known.age[:, None]
        none = (age / (age + days / DAYS)) ** (self.r + known.repeats[:, None])
        return np.asarray(1 - self.alive(known)[:, None] * (1 - none), dtype=np.float64)

    def expect(self, known: Histories, days: float) -> Numbers:
        """Return the purchases expected in the coming days, shape [customers]."""
        x, time = known.repeats, days / DAYS
        age, power = self.alpha + known.age, self.r + known.repeats
        sums = self.a + self.b + x - 1
        rest = (age / (age + time)) ** power * hyp2f1(power, self.b + x, sums, time / (age + time))
        expected: Numbers = sums / (self.a - 1) * (1 - rest) * self.alive(known)
        return expected


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """Amounts: gamma with shape p, its rate gamma with (q, v)."""

    p: float
    q: float
    v: float

    @classmethod
    def fit(cls, count: Numbers, mean: Numbers) -> GammaGamma:
        """Return the most likely parameters, of customers with so many purchases of a mean amount above 0."""
        unit = float(mean.mean())
        found, _ = _minimise(lambda logs: -_gamma_gamma(np.exp(logs), count, mean / unit), 3)
        p, q, v = np.exp(found).tolist()
        return cls(p, q, v * unit)

    def expect(self, count: Numbers, mean: Numbers) -> Numbers:
        """Return the amount expected of a customer's next purchase: of her own mean and that of all, by weight."""
        weight = self.p * count + self.q - 1
        amounts: Numbers = (self.p * self.v + self.p * count * mean) / weight
        return amounts


@dataclass(frozen=True, slots=True)
class CustomerBase:
    """What the two models say of customers: no purchase until the ends of the periods, and spend in the window.

    Attributes:
        curve: shape [customers, periods].
        spend: shape [customers].
    """

    curve: Numbers
    spend: Numbers


def fit_customer_base(orders: Orders, rows: Snapshots) -> CustomerBase:
    """Fit both models to the histories of all customers up to the day of the rows, and return what they say of these.

    They need no labels, so they are given what the others are not: everything until the day they are measured at. Means
    are of all days with a purchase, the first among them.
    """
    known = Histories.of(orders, rows.cut_off[0])
    model, amounts = BgNbd.fit(known), GammaGamma.fit(known.repeats + 1, known.mean)
    seen = known.find(rows.customer)
    bought = model.expect(seen, float(ENDS[-1]))
    return CustomerBase(model.survive(seen, ENDS), bought * amounts.expect(seen.repeats + 1, seen.mean))


def _bg_nbd(parameters: Numbers, known: Histories) -> float:
    r, alpha, a, b = parameters
    x = known.repeats
    shared = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    shared += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    stays = -(r + x) * np.log(alpha + known.age)
    left = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + known.last)
    return float((shared + np.logaddexp(stays, np.where(x > 0, left, -np.inf))).sum())


def _gamma_gamma(parameters: Numbers, count: Numbers, mean: Numbers) -> float:
    p, q, v = parameters
    shape = p * count
    found = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v) + (shape - 1) * np.log(mean)
    return float((found + shape * np.log(count) - (shape + q) * np.log(v + count * mean)).sum())


def _minimise(lose: Callable[[Numbers], float], size: int) -> tuple[Numbers, float]:
    """Return the best of a few starts, in logarithms of the parameters, which keeps them above 0."""
    best = min(
        (
            minimize(
                lose,
                np.full(size, start),
                method="Nelder-Mead",
                options={"maxiter": 5000, "xatol": 1e-6, "fatol": 1e-6},
            )
            for start in np.linspace(-0.5, 1.5, STARTS)
        ),
        key=lambda found: float(found.fun),
    )
    return best.x, float(best.fun)
