"""The alarm that the arms are not split as the holdout says."""

from __future__ import annotations

import numpy as np
import pytest

from campaigns.sample_ratio import (
    ALARM_BELOW,
    SampleRatio,
    check_ratio,
    check_variants,
    log_evidence,
    log_evidence_of,
    p_values,
    p_values_of,
)

RUNS, DAYS = 2_000, 90


def split(share: float, per_day: int, *, runs: int = RUNS, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Customers of the control group and of both arms so far, each day of each run, shape [runs, days]."""
    daily = np.random.default_rng(seed).binomial(per_day, share, (runs, DAYS))
    customers = np.broadcast_to(np.arange(1, DAYS + 1) * per_day, (runs, DAYS))
    return daily.cumsum(axis=1).astype(float), customers.astype(float)


def alarms(share: float, planned: float, per_day: int) -> np.ndarray:
    """Whether each run ever alarms, shape [runs]."""
    return (p_values(*split(share, per_day), planned) < ALARM_BELOW).any(axis=1)


@pytest.mark.parametrize(
    ("control", "customers", "planned", "expected"),
    [
        (10, 100, 0.1, -0.1445431),
        (30, 200, 0.1, 0.7145027),
        (700, 10_000, 0.1, 51.8715221),
        (60, 100, 0.5, 0.3574128),
    ],
)
def test_the_evidence_is_that_of_another_implementation(
    control: float, customers: float, planned: float, expected: float
) -> None:
    """The figures are the logarithms of `sequential_bayes_factors` in ssrm-test 0.1.5."""
    found = log_evidence(np.array([control]), np.array([customers]), planned)
    assert found == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize("planned", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("per_day", [5, 500])
def test_a_correct_split_looked_at_daily_alarms_in_no_more_runs_than_stated(planned: float, per_day: int) -> None:
    """One in a thousand; of 2,000 runs, 8 would be 4 standard deviations more."""
    assert alarms(planned, planned, per_day).sum() <= 8


@pytest.mark.parametrize(
    ("share", "planned", "per_day"), [(0.08, 0.1, 200), (0.05, 0.1, 50), (0.0, 0.1, 20), (0.45, 0.5, 100)]
)
def test_a_wrong_split_is_found_within_the_days(share: float, planned: float, per_day: int) -> None:
    assert alarms(share, planned, per_day).mean() > 0.99


def test_a_holdout_that_stays_empty_is_found_at_some_hundreds() -> None:
    looks = np.arange(20.0, 1001, 20)
    found = p_values(np.zeros_like(looks), looks, 0.1) < ALARM_BELOW
    assert looks[found.argmax()] == 240


def test_fewer_than_a_hundred_customers_are_not_tested() -> None:
    assert check_ratio(np.array([0.0]), np.array([99.0]), 0.5) == SampleRatio(0.5, 99, 0, None)
    assert check_ratio(np.array([0.0]), np.array([100.0]), 0.5).alarm


def test_an_alarm_stays_when_later_days_are_balanced() -> None:
    """The first days were wrong all the same."""
    control, customers = np.array([0.0, 500.0, 5_000.0]), np.array([300.0, 1_000.0, 10_000.0])
    assert check_ratio(control, customers, 0.5).alarm
    assert not check_ratio(control[1:], customers[1:], 0.5).alarm


SHARES = np.array([0.5, 0.3, 0.2])


def split_of(shares: np.ndarray, per_day: int) -> np.ndarray:
    """Customers of each variant so far, each day of each run, shape [variants, runs, days]."""
    daily = np.random.default_rng(2).multinomial(per_day, shares, (RUNS, DAYS))
    return np.moveaxis(daily.cumsum(axis=1), -1, 0).astype(float)


@pytest.mark.parametrize("per_day", [5, 500])
def test_variants_that_are_split_as_planned_alarm_in_no_more_runs_than_stated(per_day: int) -> None:
    assert (p_values_of(split_of(SHARES, per_day), SHARES) < ALARM_BELOW).any(axis=1).sum() <= 8


def test_variants_that_are_split_otherwise_are_found() -> None:
    found = p_values_of(split_of(np.array([0.5, 0.25, 0.25]), 200), SHARES) < ALARM_BELOW
    assert found.any(axis=1).mean() > 0.99


def test_the_evidence_of_two_parts_is_that_of_the_arms() -> None:
    counts = np.array([[30.0], [170.0]])
    assert log_evidence_of(counts, np.array([0.1, 0.9])) == pytest.approx(
        log_evidence(counts[0], counts.sum(axis=0), 0.1)
    )


def test_variants_are_checked_by_name() -> None:
    found = check_variants({"a": np.array([50.0, 900.0]), "b": np.array([50.0, 300.0])}, {"b": 0.5, "a": 0.5})
    assert (found.customers, found.alarm) == ({"a": 900, "b": 300}, True)
    assert check_variants({"a": np.array([99.0]), "b": np.zeros(1)}, {"a": 0.5, "b": 0.5}).p_value is None
