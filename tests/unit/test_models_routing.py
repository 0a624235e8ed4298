"""Which of several models scores a customer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from features.table import FeatureTable
from models.errors import ModelLoadError
from models.inputs import FEATURE_MAPPING
from models.routing import RoutedScorer, group_of, load_model
from models.versions import MODEL_FILE, read_current
from tests.fakes.scorer import InMemoryScorer

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHURN = Path(__file__).parents[2] / "examples" / "online_retail" / "models" / "churn"


def constant(number: float) -> InMemoryScorer:
    return InMemoryScorer({name: [number] for name in ("France", "Spain", "Italy", "None", "a", "b")})


ROUTED = RoutedScorer(constant(0.0), "country", {"France": constant(1.0), "Spain": constant(2.0)}, {"outputs": 1})


@pytest.mark.parametrize(
    ("cells", "scores"),
    [
        (["France", "Spain", "Italy", None], [1, 2, 0, 0]),
        (["Italy", None], [0, 0]),
        (["France", "France"], [1, 1]),
    ],
)
def test_a_customer_is_scored_by_the_model_of_the_group_or_the_pooled_one(cells: list[Any], scores: list[int]) -> None:
    table = FeatureTable.from_rows([*map(str, cells)], ["country"], [[cell] for cell in cells])
    assert ROUTED.score(table)[:, 0].tolist() == scores


class SpreadScorer(InMemoryScorer):
    """A model with a spread of a tenth of its score."""

    spreads = 1

    def score_with_spread(self, table: FeatureTable) -> NDArray[np.float32]:
        """Return score and spread."""
        scores = self.score(table)
        return np.hstack([scores, scores / 10])


def test_a_spread_comes_from_the_model_of_the_group() -> None:
    pooled, french = SpreadScorer({"a": [0.5], "b": [0.5]}), SpreadScorer({"a": [0.75], "b": [0.75]})
    routed = RoutedScorer(pooled, "country", {"France": french}, {"outputs": 1})
    table = FeatureTable.from_rows(["a", "b"], ["country"], [["France"], [None]])
    np.testing.assert_allclose(routed.score_with_spread(table), [[0.75, 0.075], [0.5, 0.05]])
    np.testing.assert_allclose(routed.score(table), [[0.75], [0.5]])
    assert routed.spreads == 1


def test_a_table_without_the_column_is_scored_by_the_pooled_model() -> None:
    assert ROUTED.score(FeatureTable(("a", "b"), {}))[:, 0].tolist() == [0, 0]


def test_a_number_is_the_same_group_in_a_column_with_nulls_as_in_one_without() -> None:
    whole = FeatureTable.from_rows(["a"], ["tier"], [[2]])
    with_nulls = FeatureTable.from_rows(["a", "b"], ["tier"], [[2], [None]])
    assert group_of(whole, "tier").tolist() == ["2"]
    assert group_of(with_nulls, "tier").tolist() == ["2", ""]


@pytest.fixture
def routed_folder(tmp_path: Path) -> Path:
    current = read_current(CHURN)
    assert current is not None
    folder = Path(shutil.copytree(current.folder, tmp_path / current.version))
    shutil.copy(folder / MODEL_FILE, folder / "group-1.tflite")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["routes"] = {"column": "country", "files": {"France": "group-1.tflite"}}
    manifest["files"]["group-1.tflite"] = manifest["files"][MODEL_FILE]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_version_with_routes_loads_all_its_models(routed_folder: Path) -> None:
    columns = {name: np.ones(2) for name in FEATURE_MAPPING.values()}
    table = FeatureTable(("a", "b"), columns | {"country": np.array(["France", "Spain"], dtype=object)})
    scores = load_model(routed_folder, FEATURE_MAPPING).score(table)
    assert scores[0, 0] == scores[1, 0]


def test_a_changed_model_of_a_group_is_refused(routed_folder: Path) -> None:
    (routed_folder / "group-1.tflite").write_bytes(b"changed")
    with pytest.raises(ModelLoadError, match=r"group-1\.tflite: its SHA-256"):
        load_model(routed_folder, FEATURE_MAPPING)
