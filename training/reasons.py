"""What reasons for a model's scores are computed and worded with: reasons.json of a version.

Groups. Features that move together are explained together: apart, each would be given a share of one reason that
depends on the others. Average linkage on 1 - |Spearman's rank correlation| is cut at a correlation of .7, or where
eight groups are left, six if coalitions must be scored; features of one family, which differ in the days of their
window alone, count as correlated. The most important feature (by permutation) names its group.

Background. Rows are stratified by score, and one row stands for each stratum: of the tenth of its rows with scores
nearest the stratum's mean, the one nearest to the stratum in ranks of features (its medoid). So the mean score of the
background is near that of all rows. Each number is then replaced by the nearest of 20 quantiles: no row of the
background is a customer's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from models.drift import describe_column
from models.reasons_file import REASONS_FILE, FeatureGroup, OutcomeRates, StoredReasons
from models.shapley import ExactShapley

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.shapley import Score

CORRELATED = 0.7
GROUPS_AT_MOST, ROWS_AT_MOST = 8, 64
SCORED_GROUPS = 6
SCORED_AT_MOST, SCORED_ADDITIVE = 64, 128
"""Coalitions times rows that are scored for each customer where terms do not give the score; of an additive net."""
LEVELS = 20
VALUES_AT_MOST = 50
ROWS_AT_LEAST = 30
"""Fewer training rows with a value give no outcome rate."""
_WINDOW = re.compile(r"_?\d+_?d(ays)?$")


def write_reasons(
    folder: Path,
    features: Sequence[str],
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    scores: NDArray[np.float32],
    importance: Mapping[str, float],
    predict: Score,
    method: str,
) -> dict[str, Any]:
    """Write reasons.json to a version's folder; return its description for the manifest.

    Args:
        folder: of the version.
        features: the model's.
        inputs: of the training rows, shape [rows, features], null is NaN.
        targets: shape [rows, outputs], -1 where not observed.
        scores: shape [rows, outputs].
        importance: of each feature.
        predict: the model.
        method: which net it is.
    """
    stored = describe_reasons(features, inputs, targets, scores, importance, predict, method)
    (folder / REASONS_FILE).write_bytes(msgspec.json.encode(stored) + b"\n")
    base = ExactShapley(predict, stored.build_background(features)).base[: scores.shape[1]]
    return {
        "groups": [group.features for group in stored.groups],
        "background_rows": len(stored.rows),
        "additive": stored.additive,
        "background_score": [round(float(each), 6) for each in base],
        "training_score": [round(float(each), 6) for each in scores.mean(axis=0, dtype=np.float64)],
    }


def describe_reasons(
    features: Sequence[str],
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    scores: NDArray[np.float32],
    importance: Mapping[str, float],
    predict: Score,
    method: str,
) -> StoredReasons:
    """Return the content of the file; the arguments are those of `write_reasons`."""
    cells = np.where(np.isfinite(inputs), inputs, np.nan)
    outcomes, overall = describe_outcomes(features, inputs, targets)
    level = scores.mean(axis=1, dtype=np.float64)

    def describe(groups_at_most: int, *, additive: bool) -> StoredReasons:
        groups = find_groups(features, cells, importance, groups_at_most)
        scored = SCORED_ADDITIVE if method == "additive" else SCORED_AT_MOST
        most = ROWS_AT_MOST if additive else min(ROWS_AT_MOST, scored >> len(groups))
        chosen, weights = choose_rows(cells, level, most)
        return StoredReasons(
            groups=[FeatureGroup([features[each] for each in group]) for group in groups],
            rows=[[_shortest(cell) for cell in row] for row in round_cells(cells, chosen)],
            weights=weights,
            additive=additive,
            outcomes=outcomes,
            overall=overall,
        )

    found = describe(GROUPS_AT_MOST, additive=True)
    outputs = targets.shape[1]
    if ExactShapley(
        lambda rows: predict(rows)[:, :outputs], found.build_background(features), additive=True
    ).is_additive:
        return found
    return describe(SCORED_GROUPS, additive=False)


def find_groups(
    features: Sequence[str], cells: NDArray[np.float32], importance: Mapping[str, float], most: int
) -> list[list[int]]:
    """Return the features of each group by position, the most important one of a group first.

    Args:
        features: their names.
        cells: shape [rows, features], null is NaN.
        importance: of each feature.
        most: how many groups there may be.
    """
    count = len(features)
    order = sorted(range(count), key=lambda each: (-importance.get(features[each], 0.0), each))
    if count == 1:
        return [[0]]
    distance = squareform(_find_distances(features, cells), checks=False)
    tree = linkage(distance, method="average")
    labels = fcluster(tree, 1 - CORRELATED, criterion="distance")
    if labels.max() > most:
        labels = fcluster(tree, most, criterion="maxclust")
    groups: dict[int, list[int]] = {}
    for place in order:
        groups.setdefault(int(labels[place]), []).append(place)
    return list(groups.values())


def _find_distances(features: Sequence[str], cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return 1 - |rank correlation| of features, shape [features, features]; 0 within a family."""
    ranks = _rank(cells)
    spread = ranks.std(axis=0)
    ranks = (ranks - ranks.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    distances: NDArray[np.float64] = 1 - np.abs(ranks.T @ ranks / len(ranks)).clip(0, 1)
    families = np.array([_WINDOW.sub("", name) or name for name in features])
    distances[families[:, None] == families] = 0.0
    return distances


def _rank(cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ranks from 0 to 1, shape [rows, features]; null is in the middle."""
    ranks = np.empty(cells.shape, dtype=np.float64)
    for place, column in enumerate(cells.T):
        known = ~np.isnan(column)
        ranks[:, place] = 0.5
        ranks[known, place] = (rankdata(column[known]) - 0.5) / max(int(known.sum()), 1)
    return ranks


def choose_rows(
    cells: NDArray[np.float32], scores: NDArray[np.float64], most: int
) -> tuple[NDArray[np.intp], list[float]]:
    """Return the positions of the background's rows and their weights: a row of each stratum of scores.

    Args:
        cells: shape [rows, features], null is NaN.
        scores: shape [rows].
        most: how many rows to choose.
    """
    ranks = _rank(cells)
    strata = np.array_split(np.argsort(scores, kind="stable"), min(most, len(cells)))
    chosen = []
    for stratum in strata:
        distance = np.abs(scores[stratum] - scores[stratum].mean())
        near = stratum[np.argsort(distance, kind="stable")[: -(-len(stratum) // 10)]]
        middle = np.median(ranks[stratum], axis=0)
        chosen.append(int(near[np.abs(ranks[near] - middle).sum(axis=1).argmin()]))
    return np.array(chosen), [len(stratum) / len(cells) for stratum in strata]


def round_cells(cells: NDArray[np.float32], chosen: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return chosen rows, each number replaced by the nearest of the quantiles of its feature."""
    rounded = cells[chosen].copy()
    for place, column in enumerate(cells.T):
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        levels = np.quantile(known, (np.arange(LEVELS) + 0.5) / LEVELS, method="inverted_cdf")
        is_known = ~np.isnan(rounded[:, place])
        nearest = np.abs(rounded[is_known, place, None] - levels).argmin(axis=1)
        rounded[is_known, place] = levels[nearest]
    return rounded


def describe_outcomes(
    features: Sequence[str], inputs: NDArray[np.float32], targets: NDArray[np.float32]
) -> tuple[dict[str, OutcomeRates], list[float | None]]:
    """Return the mean outcome by value of each feature, and of all rows; the arguments are those of `write_reasons`."""
    rates = {}
    for name, column in zip(features, inputs.T, strict=True):
        edges = _find_edges(column)
        bins = np.searchsorted(np.asarray(edges, dtype=np.float32), column, side="left")
        bins[np.isnan(column)] = len(edges) + 1
        rates[name] = OutcomeRates(edges, [_find_means(targets[bins == place]) for place in range(len(edges) + 2)])
    return rates, _find_means(targets)


def _find_edges(column: NDArray[np.float32]) -> list[float]:
    """Return the upper edges of bins: one for each value of a few, as codes of categories are; else ten."""
    values = np.unique(column[np.isfinite(column)])
    return values[:-1].tolist() if len(values) <= VALUES_AT_MOST else describe_column(column)["edges"]


def _find_means(targets: NDArray[np.float32]) -> list[float | None]:
    """Return the mean of each output where enough rows were observed."""
    seen = [column[column >= 0] for column in targets.T]
    return [float(f"{column.mean(dtype=np.float64):.4g}") if len(column) >= ROWS_AT_LEAST else None for column in seen]


def _shortest(cell: np.float32) -> float | None:
    """Return a number by the shortest text that is this float32."""
    return None if np.isnan(cell) else float(str(cell))
