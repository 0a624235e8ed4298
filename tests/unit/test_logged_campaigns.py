"""The benchmarks on logged campaigns, on small files made up in their form: both answers are possible."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.quality import hillstrom, open_bandit

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def mailed(rows: int, personal: float) -> list[dict[str, Any]]:
    """Customers of the men's or the women's range; `personal` is what the e-mail of their own range adds."""
    generator = np.random.default_rng(1)
    customers = []
    for _ in range(rows):
        mens, arm = int(generator.integers(0, 2)), str(generator.choice(hillstrom.ARMS))
        own = arm == ("Mens E-Mail" if mens else "Womens E-Mail")
        chance = 0.1 + 0.1 * (arm == "Mens E-Mail") + personal * own
        customers.append(
            dict.fromkeys((*hillstrom.NUMBERS, *hillstrom.CATEGORIES), 0)
            | {"recency": generator.integers(1, 12), "mens": mens, "womens": 1 - mens}
            | {"segment": arm, "visit": int(generator.random() < chance), "spend": 0}
        )
    return customers


@pytest.mark.parametrize(("personal", "promoted"), [(0.3, True), (0.0, False)])
def test_personalising_is_promoted_where_it_pays_and_refused_where_one_arm_does(
    personal: float, promoted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hillstrom, "SPLITS", 2)
    write(tmp_path / "hillstrom.csv.gz", mailed(4000, personal))
    found = hillstrom.measure(tmp_path)
    assert found["promoted"] is promoted
    assert (found["splits_in_favour"] == hillstrom.SPLITS) is promoted


def shown(rows: int, propensity: dict[int, float], seed: int) -> list[dict[str, Any]]:
    """Items shown by a policy; every one is clicked at .1."""
    generator = np.random.default_rng(seed)
    items = generator.choice(list(propensity), rows, p=list(propensity.values()))
    return [
        {"item_id": item, "position": 1 + place % 3, "click": int(generator.random() < 0.1)}
        | {"propensity_score": propensity[int(item)]}
        | dict.fromkeys(open_bandit.USER_FEATURES, f"user {place % 2}")
        for place, item in enumerate(items)
    ]


@pytest.mark.parametrize(("skew", "verdict"), [(0.5, "enough evidence"), (30.0, "not enough evidence")])
def test_a_log_like_the_policy_is_believed_and_one_unlike_it_is_not(
    skew: float, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_bandit, "DRAWS", 5)
    raw = np.exp(np.linspace(0, skew, open_bandit.ITEMS))
    even = dict.fromkeys(range(open_bandit.ITEMS), 1 / open_bandit.ITEMS)
    skewed = dict(enumerate((raw / raw.sum()).tolist()))
    write(tmp_path / "obd_bts_men.csv.gz", shown(3000, skewed, seed=1))
    write(tmp_path / "obd_random_men.csv.gz", shown(3000, even, seed=2))
    found = open_bandit.measure(tmp_path)
    assert found["verdict"] == verdict
    assert found["truth"] == pytest.approx(0.1, abs=0.02)
    assert abs(found["dr"] - 0.1) < 3 * found["dr_error"] or verdict != "enough evidence"
