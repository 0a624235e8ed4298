"""The interval that holds at every look."""

from __future__ import annotations

import math

import numpy as np
import pytest

from campaigns.confidence_sequence import ALPHA, TUNED_FOR, mixture_precision, radius

LOOKS = np.array([500.0, 10_000.0, 100_000.0, 2_000_000.0])


def boundary(customers: np.ndarray, **tuning: float) -> np.ndarray:
    """The sum of so many values of variance 1 that the sequence just admits."""
    return customers * radius(1 / np.sqrt(customers), customers, **tuning)


@pytest.mark.parametrize(
    ("alpha", "tuned_for", "expected"),
    [
        (0.05, 10_000, [105.515429553, 303.520899038, 1025.122868317, 5171.123461790]),
        (0.01, 2_500, [86.364200593, 365.328765149, 1240.158316969, 6056.785438427]),
    ],
)
def test_the_boundary_is_that_of_another_implementation(alpha: float, tuned_for: float, expected: list[float]) -> None:
    """The figures are of `normal_mixture_bound` in confseq 0.0.11, two-sided."""
    assert boundary(LOOKS, alpha=alpha, tuned_for=tuned_for) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("customers", LOOKS)
def test_at_the_boundary_the_mixture_of_likelihood_ratios_is_one_in_alpha(customers: float) -> None:
    """So that Ville's inequality bounds the probability of ever crossing it; integrated here by brute force."""
    total = boundary(np.array([customers]))[0]
    deviation = 1 / math.sqrt(mixture_precision())
    drift = np.linspace(-12, 12, 2_000_001) * deviation
    logs = drift * total - drift**2 * customers / 2 - (drift / deviation) ** 2 / 2
    mixed = np.exp(logs).sum() * (drift[1] - drift[0]) / (deviation * math.sqrt(2 * math.pi))
    assert mixed == pytest.approx(1 / ALPHA, rel=1e-6)


def test_the_interval_is_nearly_narrowest_from_a_tenth_to_a_hundred_times_the_number_it_is_tuned_for() -> None:
    """And of all that are tried narrowest where it is tuned for."""
    one = np.ones(1)
    for customers in (TUNED_FOR / 10, TUNED_FOR, TUNED_FOR * 100):
        widths = [radius(one, one * customers, tuned_for=tuned)[0] for tuned in np.geomspace(100, 1e8, 400)]
        assert 1 <= radius(one, one * customers)[0] / min(widths) < 4 / 3
    assert radius(one, one * TUNED_FOR)[0] / min(
        radius(one, one * TUNED_FOR, tuned_for=tuned)[0] for tuned in np.geomspace(100, 1e8, 400)
    ) == pytest.approx(1, abs=1e-3)


def test_it_is_wider_than_an_interval_for_a_single_look() -> None:
    """The price of looking as often as one likes."""
    assert (radius(np.ones(4), LOOKS) > 1.5 * 1.96).all()
