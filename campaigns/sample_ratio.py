"""Whether customers were split between the arms as the holdout says: a test that may be repeated every day. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ALARM_BELOW = 0.001
FIRST_CUSTOMERS = 100
"""Fewer customers are not tested."""
CONCENTRATION = 300.0
"""Of the prior of the true split around the planned one: it is worth as many customers."""

_lgamma = np.frompyfunc(math.lgamma, 1, 1)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """The split of a campaign version's customers, and whether it is the planned one.

    Attributes:
        planned: the control group's share by the definition, 0 to 1.
        customers: of both arms.
        control: of the control group.
        p_value: valid at every look; None below `FIRST_CUSTOMERS` customers.
    """

    planned: float
    customers: int
    control: int
    p_value: float | None

    @property
    def alarm(self) -> bool:
        """Whether the split contradicts the plan."""
        return self.p_value is not None and self.p_value < ALARM_BELOW


def check_ratio(control: Floats, customers: Floats, planned: float) -> SampleRatio:
    """Test a version's split at each look, from its first to the latest.

    Args:
        control: customers of the control group so far at each look, shape [looks]; at least one look.
        customers: customers of both arms, shape [looks].
        planned: the control group's share, above 0 and below 1.
    """
    p_value = float(p_values(control, customers, planned)[-1])
    tested = customers[-1] >= FIRST_CUSTOMERS
    return SampleRatio(planned, int(customers[-1]), int(control[-1]), p_value if tested else None)


def p_values(control: Floats, customers: Floats, planned: float) -> Floats:
    """Return the p-value at each look that holds for all looks together: 1 / the greatest evidence so far.

    Args:
        control: shape [..., looks].
        customers: shape [..., looks].
        planned: the control group's share, above 0 and below 1.
    """
    evidence = np.where(customers < FIRST_CUSTOMERS, 0.0, log_evidence(control, customers, planned))
    p: Floats = np.exp(-np.maximum(np.maximum.accumulate(evidence, axis=-1), 0.0))
    return p


def log_evidence(control: Floats, customers: Floats, planned: float) -> Floats:
    """Return the logarithm of the Bayes factor of any split against the planned one.

    The sequential test of Lindon and Malek (2022), "Anytime-valid inference for multinomial count data", for two arms:
    a beta prior around the planned split makes the factor a martingale under it, which exceeds 1 / p at any time with
    probability p at most.
    """
    a, b = CONCENTRATION * planned, CONCENTRATION * (1 - planned)
    treated = customers - control
    likelihood = control * math.log(planned) + treated * math.log1p(-planned)
    result: Floats = _log_beta(a + control, b + treated) - _log_beta(np.float64(a), np.float64(b)) - likelihood
    return result


def _log_beta(a: Floats | np.float64, b: Floats | np.float64) -> Floats:
    logs = _lgamma(a) + _lgamma(b) - _lgamma(a + b)
    return np.asarray(logs, dtype=np.float64)
