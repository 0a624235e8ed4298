"""Confidence: by the uncertainty, and only where the error falls with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.confidence import LEVELS, find_confidence, interval_width
from training.evaluation.confidence import amount_errors, choose_cuts, describe_confidence, probability_errors

COUNT = 3000


def draw(seed: int, *, knows: bool) -> Any:
    """Return errors of probabilities whose spread says how far they are from the truth, or nothing."""
    generator = np.random.default_rng(seed)
    spread = generator.uniform(0.0, 0.4, (COUNT, 1))
    truth = generator.uniform(0.3, 0.7, (COUNT, 1))
    wrong = spread if knows else np.full_like(spread, 0.2)
    said = np.clip(truth + wrong * generator.choice([-1, 1], (COUNT, 1)), 0, 1)
    outcome = (generator.random((COUNT, 1)) < truth).astype(np.float32)
    return probability_errors(said.astype(np.float32), spread.astype(np.float32), outcome)


def test_cuts_are_the_terciles_where_the_error_falls_with_the_uncertainty() -> None:
    """On other rows the error falls, too."""
    cuts = choose_cuts(draw(1, knows=True))
    assert cuts == pytest.approx((0.4 / 3, 0.8 / 3), abs=0.01)
    assert cuts is not None
    bands = describe_confidence(draw(2, knows=True), cuts)
    assert [bands[level]["error"] for level in LEVELS] == sorted(bands[level]["error"] for level in LEVELS)
    assert sum(bands[level]["rows"] for level in LEVELS) == COUNT


def test_there_are_none_where_the_uncertainty_says_nothing() -> None:
    """Or where there are too few rows to see it, or all are equally uncertain."""
    assert choose_cuts(draw(1, knows=False)) is None
    few = probability_errors(*(np.zeros((60, 1), np.float32),) * 3)
    assert choose_cuts(few) is None
    same = probability_errors(*(np.zeros((600, 1), np.float32),) * 3)
    assert choose_cuts(same) is None


def test_an_outcome_that_was_not_observed_has_no_error() -> None:
    scores = np.array([[0.5, 0.2], [0.5, 0.9]], np.float32)
    errors = probability_errors(scores, scores / 10, np.array([[1, -1], [-1, 0]], np.float32))
    assert errors.error.tolist() == pytest.approx([0.25, 0.81])
    assert errors.uncertainty.tolist() == pytest.approx([0.05, 0.09])


def test_an_amount_is_as_uncertain_as_its_interval_is_wide_in_proportion() -> None:
    bounds = np.array([[99.0, 199.0], [999.0, 1999.0], [0.0, 0.0]])
    assert interval_width(bounds).tolist() == pytest.approx([np.log(2), np.log(2), 0])
    errors = amount_errors(np.array([150.0, 9.0]), bounds[:2], np.array([np.sqrt(100 * 200) - 1, 99.0]))
    assert errors.error.tolist() == pytest.approx([0, np.log(np.sqrt(1000 * 2000) / 100)])
    assert errors.covered is not None
    assert errors.covered.tolist() == [True, False]
    assert describe_confidence(errors, (0.1, 9.0))["medium"]["coverage"] == 0.5


@pytest.mark.parametrize(
    ("manifest", "uncertainty", "expected"),
    [
        ({"confidence": {"cuts": [0.1, 0.2]}}, [0.1, 0.2, 0.3, 0.0], ["high", "medium", "low", "low"]),
        ({"confidence": {"cuts": [0.1, 0.2]}}, None, [None, None, None, "low"]),
        ({}, [0.1, 0.2, 0.3, 0.0], [None, None, None, "low"]),
        ({"confidence": {"cuts": [0.1, 0.2]}}, [np.nan] * 4, [None, None, None, "low"]),
    ],
)
def test_without_thresholds_or_uncertainty_nothing_is_said(
    manifest: dict[str, Any], uncertainty: list[float] | None, expected: list[str | None]
) -> None:
    """A rule is low in any case; here it scored the last customer."""
    basis = np.array(["model", "model", "model", "rules"], dtype=object)
    given = None if uncertainty is None else np.array(uncertainty)
    assert find_confidence(given, basis, manifest).tolist() == expected
