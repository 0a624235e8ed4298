"""A confidence sequence: an interval that holds at every look at once, however often one looks. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ALPHA = 0.05
"""The probability that the interval ever misses the true value."""
TUNED_FOR = 10_000
"""Customers of both arms at which the interval is narrowest.

From a tenth to a hundred times as many it is at most a third wider than one tuned for that number.
"""


def mixture_precision(tuned_for: float = TUNED_FOR, alpha: float = ALPHA) -> float:
    """Return the precision, in customers, of the mixture that is narrowest at a number of customers.

    It is 1 / rho² of Waudby-Smith et al. (see `radius`); the closed form is the approximation of the optimum by Howard,
    Ramdas, McAuliffe and Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence sequences".
    """
    spent = -2 * math.log(alpha)
    return tuned_for / (spent + math.log1p(spent))


def radius(standard_error: Floats, customers: Floats, *, alpha: float = ALPHA, tuned_for: float = TUNED_FOR) -> Floats:
    """Return half the width of the confidence sequence around a mean or a difference of means.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central
    limit theory and asymptotic confidence sequences", Annals of Statistics 52(6): Robbins' two-sided normal mixture
    with an estimated standard error. In the paper's symbols, with t customers and rho² = 1 / precision:
    sigma * sqrt(2 (t rho² + 1) / (t² rho²) * log(sqrt(t rho² + 1) / alpha)).

    Args:
        standard_error: of the estimate now, any shape.
        customers: that the estimate rests on, of the same shape; greater than 0.
        alpha: the probability that the sequence ever misses.
        tuned_for: the number of customers at which it is narrowest; to be chosen before the data is seen.
    """
    precision = mixture_precision(tuned_for, alpha)
    growth = 1 + customers / precision
    half: Floats = standard_error * np.sqrt(growth / (growth - 1) * np.log(growth / alpha**2))
    return half
