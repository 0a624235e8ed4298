"""reasons.json: what can be used, and why another cannot."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from models.errors import ModelLoadError
from models.reasons_file import parse_reasons

MANIFEST = {"version": "churn-1", "features": ["days", "orders"]}
STORED: dict[str, Any] = {
    "format": 1,
    "groups": [{"features": ["orders", "days"]}],
    "rows": [[1.0, 2.0], [None, 3.0]],
    "weights": [0.5, 0.5],
    "outcomes": {"days": {"edges": [10.0, 20.0], "rates": [[0.1], [0.2], [0.3], [None]]}},
    "overall": [0.2],
}


def parse(**changes: Any) -> Any:
    return parse_reasons(msgspec.json.encode({**STORED, **changes}), MANIFEST)


def test_a_background_has_the_model_s_order_of_features() -> None:
    background = parse().build_background(MANIFEST["features"])
    assert background.groups == ((1, 0),)
    assert np.isnan(background.rows[1, 0])
    assert background.rows[0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("value", "rate"), [(3.0, 0.1), (10.0, 0.1), (15.0, 0.2), (99.0, 0.3), (None, None)])
def test_a_value_has_the_rate_of_its_bin(value: float | None, rate: float | None) -> None:
    assert parse().find_rates("days", value) == [rate]


def test_a_feature_without_rates_has_none() -> None:
    assert parse().find_rates("orders", 1.0) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"groups": [{"features": ["days"]}]}, "do not hold each feature of the model once"),
        ({"groups": [{"features": ["days", "orders"]}, {"features": ["days"]}]}, "do not hold each feature"),
        ({"groups": [{"features": ["days", "visits"]}]}, "do not hold each feature"),
        ({"groups": []}, r"\$\.groups"),
        ({"rows": [[1.0]]}, "expected rows of 2 features"),
        ({"rows": []}, r"\$\.rows"),
        ({"rows": [["ann", 1.0]]}, r"\$\.rows"),
        ({"weights": [1.0]}, "a weight for each row"),
        ({"weights": [0.9, 0.9]}, "of sum 1"),
        ({"weights": [1.5, -0.5]}, r"\$\.weights"),
        ({"rows": [[1.0, 2.0]] * 40_000, "weights": [1 / 40_000] * 40_000}, "at most 65,536"),
        ({"outcomes": {"days": {"edges": [2.0, 1.0], "rates": [[0.1]] * 4}}}, "ascending edges"),
        ({"outcomes": {"days": {"edges": [1.0], "rates": [[0.1]]}}}, "two rates more"),
        ({"outcomes": {"days": {"edges": [], "rates": [[0.1, 0.2]] * 2}}}, "expected 1 rates in each bin"),
        ({"overall": []}, r"\$\.overall"),
        ({"format": 2}, "format"),
    ],
)
def test_what_contradicts_itself_or_the_model_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(
        ModelLoadError, match=rf"churn-1: reasons\.json cannot be used .*{problem}.*train the model again"
    ):
        parse(**changes)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(ModelLoadError, match="cannot be used"):
        parse_reasons(content, MANIFEST)
