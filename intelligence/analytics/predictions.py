"""Learning what concepts say about purchases, churn and value, and whether they say anything.

A logistic regression on which concepts a client mentions, with the penalty chosen on inner folds. Each client is
predicted by a model that did not see it (five folds); a model is useful if its Brier score is lower than that of always
saying the base rate of the same training folds, with the whole 95 % interval of the difference. The interval is over
clients, by bootstrap; it does not contain what another choice of folds would change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from intelligence.analytics.concept_models import TIERS, ConceptModel, find_presence, softmax
from intelligence.analytics.labels import LIFETIME_VALUE
from training.evaluation.probability_metrics import roc_auc
from training.evaluation.ranking import Ranking
from training.evaluation.resampling import bootstrap, interval, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from intelligence.analytics.labels import Labels
    from intelligence.analytics.mentions import Mentions

FOLDS = 5
INNER_FOLDS = 3
PENALTIES = (0.01, 0.1, 1.0)
"""Inverse strengths of the quadratic penalty, strongest first."""
FEWEST_MENTIONING = 5
"""Labelled clients who mention a concept that models read."""
MOST_CONCEPTS = 500
FEWEST_OF_CLASS = 20
DRIVERS = 20
TIER_SHARES = (0.25, 0.5, 0.75)
_STEPS = FOLDS + 1


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of one label.

    Attributes:
        model: trained on all labelled clients.
        out_of_fold: of each labelled client by all it mentions, from a model that did not see it; [labelled, classes].
        labelled: the places of the labelled clients.
        metrics: against the base rate.
        drivers: the concepts that matter most.
    """

    model: ConceptModel
    out_of_fold: NDArray[np.float64]
    labelled: NDArray[np.int64]
    metrics: dict[str, Any]
    drivers: Sequence[dict[str, Any]]

    def predict(self, mentions: Mentions) -> NDArray[np.float64]:
        """Return the probabilities of all clients; of labelled ones those that did not see their label."""
        probabilities = self.model.predict(mentions)
        if self.model.is_useful:
            probabilities[self.labelled] = self.out_of_fold
        return probabilities


def learn(label: str, labels: Labels, mentions: Mentions, show: Callable[[int, int], None]) -> Learned | str:
    """Learn a label from concepts; return a sentence where there are too few labels.

    Args:
        label: one of labels.LABELS.
        labels: of some of the clients.
        mentions: of all clients.
        show: receives how many folds are done, and of how many.
    """
    known = labels.of(label, mentions.clients)
    labelled = np.flatnonzero(~np.isnan(known))
    if label == LIFETIME_VALUE:
        names, target, amounts, cuts = _cut_tiers(known[labelled])
    else:
        names, target, amounts, cuts = ("no", "yes"), known[labelled].astype(np.int64), (), ()
    sizes = np.bincount(target, minlength=len(names))
    if len(names) < 2 or sizes.min() < FEWEST_OF_CLASS:  # noqa: PLR2004 - one class cannot be told from another
        found = ", ".join(f"{size} {name}" for name, size in zip(names, sizes, strict=True)) or "none"
        return f"{label}: each class needs {FEWEST_OF_CLASS} clients with concepts and this label; there are {found}"
    earlier = labels.hide_later(mentions)
    concepts = _choose_concepts(earlier, labelled)
    presence, latest = (find_presence(each, concepts)[labelled] for each in (earlier, mentions))
    with threadpool_limits(limits=1):
        tested = _cross_validate(presence, latest, target, len(names), show)
        intercept, coefficients = _fit(presence, target, _choose_penalty(presence, target))
    show(_STEPS, _STEPS)
    metrics = _measure(target, tested.probabilities, tested.base, names)
    model = ConceptModel(
        label, names, concepts, intercept, coefficients, sizes / sizes.sum(), amounts, metrics["is_useful"]
    )
    metrics |= {"tiers": _describe_tiers(names, sizes, amounts, cuts)} if label == LIFETIME_VALUE else {}
    drivers = _find_drivers(model, presence, target, tested.coefficients) if model.is_useful else []
    return Learned(model, tested.latest, labelled, metrics, drivers)


@dataclass(frozen=True, slots=True)
class _Tested:
    probabilities: NDArray[np.float64]
    latest: NDArray[np.float64]
    base: NDArray[np.float64]
    coefficients: Sequence[NDArray[np.float64]]


def _cut_tiers(
    values: NDArray[np.float64],
) -> tuple[tuple[str, ...], NDArray[np.int64], tuple[float, ...], tuple[float, ...]]:
    """Return the tiers that clients have, the tier of each, the mean value of each tier and the cuts between them.

    A tier is a quarter of the labelled clients. Equal values are in one tier, so a tier may have none and is left out.
    """
    if not len(values):
        return (), np.zeros(0, dtype=np.int64), (), ()
    cuts = np.quantile(values, TIER_SHARES)
    tiers, target = np.unique(np.searchsorted(cuts, values, side="left"), return_inverse=True)
    amounts = tuple(round(float(values[target == place].mean()), 2) for place in range(len(tiers)))
    return tuple(TIERS[tier] for tier in tiers), target, amounts, tuple(float(cut) for cut in cuts)


def _describe_tiers(
    names: Sequence[str], sizes: NDArray[np.int64], amounts: Sequence[float], cuts: Sequence[float]
) -> dict[str, Any]:
    tiers = [
        {"tier": name, "clients": int(size), "mean_lifetime_value": amount}
        for name, size, amount in zip(names, sizes, amounts, strict=True)
    ]
    return {"upper_limits": [round(cut, 2) for cut in cuts], "found": tiers}


def _choose_concepts(mentions: Mentions, labelled: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the concepts that enough labelled clients mention, the most frequent ones, in alphabetical order."""
    frequency = mentions.counts()[labelled].getnnz(axis=0)
    order = np.argsort(-frequency, kind="stable")[:MOST_CONCEPTS]
    return tuple(mentions.concepts[place] for place in sorted(order) if frequency[place] >= FEWEST_MENTIONING)


def _cross_validate(
    presence: NDArray[np.float64],
    latest: NDArray[np.float64],
    target: NDArray[np.int64],
    classes: int,
    show: Callable[[int, int], None],
) -> _Tested:
    """Predict each client by a model of the other folds: by the concepts before its label, and by the latest ones."""
    probabilities, by_latest, base = (np.zeros((len(target), classes)) for _ in range(3))
    coefficients = []
    for fold, (seen, unseen) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(presence, target)):
        intercept, slopes = _fit(presence[seen], target[seen], _choose_penalty(presence[seen], target[seen]))
        probabilities[unseen] = softmax(intercept + presence[unseen] @ slopes)
        by_latest[unseen] = softmax(intercept + latest[unseen] @ slopes)
        base[unseen] = np.bincount(target[seen], minlength=classes) / len(seen)
        coefficients.append(slopes)
        show(fold + 1, _STEPS)
    return _Tested(probabilities, by_latest, base, coefficients)


def _choose_penalty(presence: NDArray[np.float64], target: NDArray[np.int64]) -> float:
    """Return the penalty with the least Brier score on inner folds; the strongest of equals."""
    folds = list(StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=1).split(presence, target))
    scores = []
    for penalty in PENALTIES:
        losses = []
        for seen, unseen in folds:
            intercept, slopes = _fit(presence[seen], target[seen], penalty)
            losses.append(_brier(softmax(intercept + presence[unseen] @ slopes), target[unseen]).mean())
        scores.append(float(np.mean(losses)))
    return PENALTIES[int(np.argmin(scores))]


def _fit(
    presence: NDArray[np.float64], target: NDArray[np.int64], penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intercepts, shape [classes], and coefficients, shape [concepts, classes]."""
    if not presence.shape[1]:
        shares = np.bincount(target) / len(target)
        return np.log(shares), np.zeros((0, len(shares)))
    fitted = LogisticRegression(C=penalty, max_iter=500, tol=1e-3).fit(presence, target)
    if len(fitted.classes_) == 2:  # noqa: PLR2004 - one logit stands for two classes
        zero = np.zeros_like(fitted.coef_)
        return np.array([0.0, fitted.intercept_[0]]), np.ascontiguousarray(np.concatenate([zero, fitted.coef_]).T)
    return fitted.intercept_, np.ascontiguousarray(fitted.coef_.T)


def _brier(probabilities: NDArray[np.float64], target: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Brier score of each row: of two classes that of the second, of more the sum over classes."""
    happened = np.arange(probabilities.shape[1]) == target[:, None]
    squared = (probabilities - happened) ** 2
    scores: NDArray[np.float64] = squared[:, 1] if squared.shape[1] == 2 else squared.sum(axis=1)  # noqa: PLR2004
    return scores


def _measure(
    target: NDArray[np.int64], probabilities: NDArray[np.float64], base: NDArray[np.float64], names: Sequence[str]
) -> dict[str, Any]:
    """Return the figures of out-of-fold predictions, beside those of the base rate."""
    losses, base_losses = _brier(probabilities, target), _brier(base, target)
    correct = (probabilities.argmax(axis=1) == target).astype(float)
    usual = (base.argmax(axis=1) == target).astype(float)
    ranked = probabilities[:, 1] if len(names) == 2 else None  # noqa: PLR2004
    ranking = None if ranked is None else Ranking.of(ranked)

    def statistics(weights: NDArray[np.float64]) -> dict[str, float]:
        figures = {
            "improvement": float(np.average(base_losses - losses, weights=weights)),
            "accuracy": float(np.average(correct, weights=weights)),
        }
        if ranked is not None:
            figures["auc"] = roc_auc(ranked, target, weights, ranking)
        return figures

    values = statistics(np.ones(len(target)))
    bounds = {
        name: interval(each) for name, each in bootstrap(statistics, [str(i) for i in range(len(target))]).items()
    }
    least = bounds["improvement"][0]
    return {
        "clients": len(target),
        "classes": {name: int((target == place).sum()) for place, name in enumerate(names)},
        "is_useful": least is not None and least > 0,
        "brier_score": rounded(losses.mean()),
        "brier_score_of_base_rate": rounded(base_losses.mean()),
        "accuracy_of_most_frequent_class": rounded(usual.mean()),
        **{name: {"value": rounded(value), "interval_95": bounds[name]} for name, value in values.items()},
    }


def _find_drivers(
    model: ConceptModel,
    presence: NDArray[np.float64],
    target: NDArray[np.int64],
    folds: Sequence[NDArray[np.float64]],
) -> list[dict[str, Any]]:
    """Return the concepts that change predictions most, the largest change first.

    The effect is the mean change of the prediction over all labelled clients if they mentioned the concept, against
    if they did not: in probability, or in money for tiers. It is what the model says, not what a contact would do.
    """
    worth = np.array(model.amounts) if model.amounts else np.array([0.0, 1.0])
    outcome = worth[target]
    logits = model.intercept + presence @ model.coefficients
    drivers: list[dict[str, Any]] = []
    for place, concept in enumerate(model.concepts):
        slope, there = model.coefficients[place], presence[:, place] > 0
        without = logits - there[:, None] * slope
        effect = float(((softmax(without + slope) - softmax(without)) @ worth).mean())
        direction = np.sign(_lean(slope, worth))
        drivers.append(
            {
                "concept": concept,
                "direction": "raises" if effect > 0 else "lowers",
                "effect": rounded(effect),
                "clients": int(there.sum()),
                "mean_with": rounded(outcome[there].mean()),
                "mean_without": rounded(outcome[~there].mean()) if not there.all() else None,
                "folds_agreeing": sum(bool(np.sign(_lean(each[place], worth)) == direction) for each in folds),
            }
        )
    return sorted(drivers, key=lambda each: -abs(each["effect"]))[:DRIVERS]


def _lean(slope: NDArray[np.float64], worth: NDArray[np.float64]) -> float:
    """Return whether a concept's coefficients lean to what is worth more."""
    return float(slope @ (worth - worth.mean()))
