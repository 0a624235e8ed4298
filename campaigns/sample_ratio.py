"""Whether customers were split between arms, or variants, as planned: a test that may be repeated every day. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@dataclass(frozen=True, slots=True)
class VariantRatio:
    """The split of a campaign version's customers between its variants, and whether it is the planned one.

    Attributes:
        planned: the share of each variant by the definition, by key.
        customers: of both arms, by key.
        p_value: valid at every look; None below `FIRST_CUSTOMERS` customers.
    """

    planned: Mapping[str, float]
    customers: Mapping[str, int]
    p_value: float | None

    @property
    def alarm(self) -> bool:
        """Whether the split contradicts the plan."""
        return self.p_value is not None and self.p_value < ALARM_BELOW


def check_ratio(control: Floats, customers: Floats, planned: float) -> SampleRatio:
    """Test a version's split between the arms at each look, from its first to the latest.

    Args:
        control: customers of the control group so far at each look, shape [looks]; at least one look.
        customers: customers of both arms, shape [looks].
        planned: the control group's share, above 0 and below 1.
    """
    p_value = float(p_values(control, customers, planned)[-1])
    tested = customers[-1] >= FIRST_CUSTOMERS
    return SampleRatio(planned, int(customers[-1]), int(control[-1]), p_value if tested else None)


def check_variants(customers: Mapping[str, Floats], planned: Mapping[str, float]) -> VariantRatio:
    """Test a version's split between its variants at each look, from its first to the latest.

    Args:
        customers: customers of both arms so far at each look by variant, each of shape [looks]; at least one look.
        planned: the share of each variant, with the same keys; they add up to 1.
    """
    counts = np.stack([customers[key] for key in planned])
    p_value = float(p_values_of(counts, np.array([*planned.values()]))[-1])
    tested = counts[:, -1].sum() >= FIRST_CUSTOMERS
    latest = {key: int(customers[key][-1]) for key in planned}
    return VariantRatio(planned, latest, p_value if tested else None)


def p_values(control: Floats, customers: Floats, planned: float) -> Floats:
    """Return `p_values_of` the split between two arms.

    Args:
        control: shape [..., looks].
        customers: of both arms, shape [..., looks].
        planned: the control group's share, above 0 and below 1.
    """
    return p_values_of(np.stack([control, customers - control]), np.array([planned, 1 - planned]))


def p_values_of(counts: Floats, planned: Floats) -> Floats:
    """Return the p-value at each look that holds for all looks together: 1 / the greatest evidence so far.

    Args:
        counts: customers of each part, shape [parts, ..., looks].
        planned: the share of each part, shape [parts]; they add up to 1.
    """
    evidence = np.where(counts.sum(axis=0) < FIRST_CUSTOMERS, 0.0, log_evidence_of(counts, planned))
    p: Floats = np.exp(-np.maximum(np.maximum.accumulate(evidence, axis=-1), 0.0))
    return p


def log_evidence(control: Floats, customers: Floats, planned: float) -> Floats:
    """Return `log_evidence_of` the split between two arms."""
    return log_evidence_of(np.stack([control, customers - control]), np.array([planned, 1 - planned]))


def log_evidence_of(counts: Floats, planned: Floats) -> Floats:
    """Return the logarithm of the Bayes factor of any split against the planned one.

    The sequential test of Lindon and Malek (2022), "Anytime-valid inference for multinomial count data": a Dirichlet
    prior around the planned split makes the factor a martingale under it, which exceeds 1 / p at any time with
    probability p at most.

    Args:
        counts: shape [parts, ...].
        planned: shape [parts].
    """
    shares = planned.reshape(-1, *[1] * (counts.ndim - 1))
    prior = CONCENTRATION * shares
    likelihood = (counts * np.log(shares)).sum(axis=0)
    result: Floats = _log_beta(prior + counts) - _log_beta(prior) - likelihood
    return result


def _log_beta(parts: Floats) -> Floats:
    """Return the logarithm of the multivariate beta function over the first axis."""
    logs = _lgamma(parts).sum(axis=0) - _lgamma(parts.sum(axis=0))
    return np.asarray(logs, dtype=np.float64)
