"""Nets learn the signal, explain their scores exactly, and score the same after export."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.tflite import TFLiteScorer
from training.evaluation.classification import Classifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Found = Mapping[str, NDArray[np.float64]]

ROOT = Path(__file__).parents[2]
PROBABILITY = 1e-6
# For sums of some hundreds in float32.
SPEND = 1e-3
# find_spec, not import: TensorFlow and the interpreter crash in one process.
pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the extra `training`")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).with_name("nets.py")), str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def found(trained: Path) -> Found:
    with np.load(trained / "found.npz") as arrays:
        return dict(arrays)


def serve(folder: Path) -> Found:
    """Return what serving gives for the rows of a folder, in a process without TensorFlow."""
    files = [str(folder), str(folder / "rows.npz"), str(folder / "scores.npz")]
    command = [sys.executable, "-m", "training.evaluation.scoring_process", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "scores.npz") as scores:
        return dict(scores)


def auc(scores: NDArray[np.float64], found: Found) -> float:
    return Classifier.of(scores[:, 0], found["buys"][:, 0]).auc(np.ones(len(scores)))


@pytest.mark.parametrize(
    ("net", "tolerance"),
    [
        ("additive-binary", PROBABILITY),
        ("tabm-binary", PROBABILITY),
        ("additive-zero_inflated_lognormal", SPEND),
        ("tabm-zero_inflated_lognormal", SPEND),
        ("additive-gamma", SPEND),
        ("additive-tweedie", SPEND),
    ],
)
def test_an_exported_net_scores_as_the_trained_one_and_finite_on_odd_rows(
    net: str, tolerance: float, trained: Path, found: Found
) -> None:
    scores = serve(trained / net)
    np.testing.assert_allclose(scores["usual"], found[f"scores {net}"], rtol=0, atol=tolerance)
    assert np.isfinite(scores["odd"]).all()


@pytest.mark.parametrize("method", ["additive", "tabm"])
def test_the_same_seed_gives_the_same_scores(method: str, found: Found) -> None:
    np.testing.assert_array_equal(found[f"scores {method}-binary"], found[f"again {method}"])


def test_another_seed_gives_another_ensemble(found: Found) -> None:
    assert not np.array_equal(found["scores tabm-binary"], found["other seed"])


def test_the_folded_ensemble_is_the_mean_of_its_members(found: Found) -> None:
    np.testing.assert_allclose(found["scores tabm-binary"], found["members"].mean(axis=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ["additive", "tabm"])
def test_a_spread_changes_no_score(method: str, trained: Path, found: Found) -> None:
    """Bit for bit, of Keras and as served; and it is served as it was trained."""
    served = {name: serve(trained / f"{method}-{name}") for name in ("binary", "spread")}
    for part in ("usual", "odd"):
        np.testing.assert_array_equal(served["spread"][part], served["binary"][part])
        assert np.isfinite(served["spread"][f"{part}.spread"]).all()
    np.testing.assert_array_equal(found[f"scores {method}-spread"], found[f"scores {method}-binary"])
    np.testing.assert_allclose(served["spread"]["usual.spread"], found[f"spread {method}"], rtol=0, atol=PROBABILITY)
    assert served["binary"]["usual.spread"].shape == (len(found["inputs"]), 0)


def test_the_spread_is_the_standard_deviation_over_members(found: Found) -> None:
    """Of the ensemble over its own, of the additive net over those of a bag, whose mean is near its score."""
    np.testing.assert_allclose(found["spread tabm"], found["members"].std(axis=0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["spread additive"][:, 0], found["bag"].std(axis=1), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["bag"].mean(axis=1), found["scores additive-binary"][:, 0], rtol=0, atol=0.1)
    assert 0.001 < np.median(found["spread additive"]) < 0.1


@pytest.mark.parametrize("method", ["additive", "tabm"])
def test_the_same_seed_gives_the_same_spread(method: str, found: Found) -> None:
    np.testing.assert_array_equal(found[f"spread {method}"], found[f"spread again {method}"])


@pytest.mark.parametrize("method", ["additive", "tabm"])
def test_a_moved_level_keeps_the_spread_of_the_logit(method: str, found: Found) -> None:
    """Members move with the net: the spread of a probability p is that of the logit times p (1 - p)."""
    moved, spread = found[f"shifted {method}"].T
    before = found[f"scores {method}-spread"][:, 0]
    assert (moved > before).all()
    ratio = (spread / (moved * (1 - moved))) / (found[f"spread {method}"][:, 0] / (before * (1 - before)))
    assert np.median(np.abs(ratio - 1)) < 0.05


@pytest.mark.parametrize("method", ["additive", "tabm"])
def test_a_net_ranks_nearly_as_well_as_the_truth(method: str, found: Found) -> None:
    inputs = found["inputs"]
    truth = -inputs[:, 1:2] / 15 + np.array([0, 2, -1])[inputs[:, 2].astype(int)][:, None]
    best = auc(1 / (1 + np.exp(-truth)), found)
    assert auc(found[f"scores {method}-binary"], found) > best - 0.02


def test_the_terms_of_an_additive_net_sum_up_to_its_logit(found: Found) -> None:
    chance = found["scores additive-binary"][:, 0].astype(np.float64)
    rest = np.log(chance / (1 - chance)) - found["terms"].sum(axis=1)
    assert np.ptp(rest) < 1e-3


@pytest.mark.parametrize(
    "net", ["additive-binary", "tabm-binary", "additive-zero_inflated_lognormal", "tabm-zero_inflated_lognormal"]
)
def test_reasons_sum_to_the_score_as_served_less_that_of_the_background(net: str, trained: Path, found: Found) -> None:
    scorer = TFLiteScorer.load(trained / net, {name: name for name in ("spend", "days", "kind")})
    shapley = scorer.shapley
    assert shapley is not None
    assert shapley.is_additive == (net == "additive-binary")
    inputs = found["inputs"][:50].astype(np.float32)
    sums = [shapley.explain(row, (0,)).sum() for row in inputs]
    assert sums == pytest.approx(shapley.score(inputs)[:, 0] - shapley.base[0], abs=1e-5, rel=1e-5)
    # What customers are compared with is the average one.
    assert scorer.manifest["reasons"]["background_score"] == pytest.approx(
        scorer.manifest["reasons"]["training_score"], rel=0.15
    )


def test_a_curve_tells_what_a_feature_adds_at_a_value(found: Found) -> None:
    days = found["inputs"][:, 1]
    read = np.interp(days, found["values days"], found["added days"])
    assert np.abs(read - found["terms"][:, 1]).max() < 1e-3
    assert found["added days"][0] > 1 > -1 > found["added days"][-1]
    assert found["values kind"].tolist() == [0, 1, 2]
    assert found["added kind"][1] > found["added kind"][0] > found["added kind"][2]


def test_an_ensemble_has_no_curves(found: Found) -> None:
    assert found["ensemble shapes"] == 0


def test_an_unknown_category_is_none_of_those_seen(found: Found) -> None:
    assert not found["encoded unknown"][:, found["category columns"]].any()


def test_an_outcome_never_observed_teaches_nothing(found: Found) -> None:
    assert (found["unobserved"][:, 1] == 0.5).all()
    assert auc(found["unobserved"], found) > 0.8


@pytest.mark.parametrize(
    "net", ["additive-zero_inflated_lognormal", "tabm-zero_inflated_lognormal", "additive-gamma", "additive-tweedie"]
)
def test_spend_is_right_on_average_and_its_interval_covers_what_it_says(net: str, found: Found) -> None:
    expected, lower, upper = found[f"scores {net}"].T
    spend = found["spend"][:, 0]
    assert expected.mean() == pytest.approx(spend.mean(), rel=0.1)
    assert 0.76 < ((lower <= spend) & (spend <= upper)).mean() < 0.86
    assert (lower >= 0).all()
