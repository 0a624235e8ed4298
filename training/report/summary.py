"""The summary at the top of the report: verdict, quality, comparison, certainty, doubts and next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training.evaluation.off_policy import NOT_ENOUGH
from training.report.model_card import describe_prediction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from training.evaluation.curves import Estimate
    from training.evaluation.evaluation_data import EvaluationData
    from training.task import Task

    RunStatus = Literal["promoted", "refused", "forced", "undecided"]

ROWS_RECOMMENDED = 1000
WIDE_INTERVAL = 0.08
DRIFT = 0.05
TOTAL_DRIFT = 0.2
ONE_FEATURE_RULES = 0.8
SEVERAL = 2
HEADLINES: dict[RunStatus, str] = {
    "promoted": "Passed every gate that applies: ready to serve.",
    "refused": "Refused: stored, but not serving.",
    "forced": "Promoted with --force although gates refused it.",
    "undecided": "Not evaluated: no gate was run on this model.",
}
NAMES = {
    "model": "this model",
    "champion": "champion, serving now",
    "rfm": "RFM score",
    "constant": "average for all customers",
    "tweedie": "Tweedie regression",
    "kaplan_meier": "curve of all customers",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a person should know first.

    Attributes:
        verdict: in one word.
        headline: in one sentence, with the gates that refuse it.
        answers: questions and their answers, in the order they are asked.
        doubts: what may be wrong, a sentence each.
        next_step: what to do.
    """

    verdict: RunStatus
    headline: str
    answers: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]
    next_step: str


def summarise(manifest: Mapping[str, Any], evidence: EvaluationData, estimates: Mapping[str, Estimate]) -> Summary:
    """Return what the model predicts, how good it is, compared with what, how certain that is, and the next step.

    Args:
        manifest: the run's; keys that are missing are passed over.
        evidence: what the run knows of itself.
        estimates: from `training.report.sections.estimate`, the model first; empty where nothing can be compared.
    """
    verdict = run_status(manifest)
    return Summary(
        verdict,
        _headline(verdict, manifest),
        (
            ("What it predicts", describe_prediction(manifest, evidence.task)),
            ("How good it is", _how_good(manifest, evidence, estimates)),
            ("Compared with what", _compared(evidence.task, estimates)),
            ("How certain that is", _how_sure(manifest, evidence)),
        ),
        _doubts(manifest, evidence, estimates),
        _next(verdict, manifest),
    )


def run_status(manifest: Mapping[str, Any]) -> RunStatus:
    """Return the status of the model: one gate that refuses it is enough, unless it was promoted by force."""
    promotion = manifest.get("promotion") or {}
    if refusing(manifest):
        return "forced" if promotion.get("forced") else "refused"
    return "promoted" if manifest.get("gates") else "undecided"


def refusing(manifest: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the gates that refuse the model."""
    return tuple(gate for gate in manifest.get("gates") or () if gate.get("passed") is False)


def name_of(scorer: str) -> str:
    """Return a scorer's name for display."""
    return NAMES.get(scorer, scorer.replace("_", " "))


def enumerate_words(words: Sequence[str]) -> str:
    """Return words as a list in prose: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def describe_policy(policy: Mapping[str, Any]) -> str:
    """Return what the model's offers are worth, in words; empty where `policy` does not estimate it."""
    if "difference_to_constant" not in policy:
        return ""
    if policy.get("verdict") == NOT_ENOUGH:
        return f"Not enough evidence for the value of its offers: {policy['reason']}."
    gap, constant = policy["difference_to_constant"], policy["best_constant_offer"]
    low, high = gap["interval_95"]
    against = "better than" if low > 0 else "worse than" if high < 0 else "not significantly different from"
    return (
        f"Its offers would convert at {policy['model']['dr']:.1%}; the logged ones did at "
        f"{policy['logged']['value']:.1%}. They are {against} always offer {constant['offer_id']} "
        f"({constant['dr']:.1%}): the difference is {gap['value'] * 100:+.1f} points, 95% interval {low * 100:+.1f} "
        f"to {high * 100:+.1f}."
    )


def _headline(verdict: RunStatus, manifest: Mapping[str, Any]) -> str:
    gates = [_gate_name(gate) for gate in refusing(manifest)]
    if not gates:
        return HEADLINES[verdict]
    verb = "refuses" if len(gates) == 1 else "refuse"
    return f"{HEADLINES[verdict]} {len(gates)} of {len(manifest['gates'])} gates {verb} it: {enumerate_words(gates)}."


def _gate_name(gate: Mapping[str, Any]) -> str:
    return str(gate.get("name") or "without name").replace("_", " ")


def _how_good(manifest: Mapping[str, Any], evidence: EvaluationData, estimates: Mapping[str, Estimate]) -> str:
    if not estimates:
        return "Unknown: the later rows do not allow an evaluation; see the doubts below."
    model = next(iter(estimates.values()))
    if evidence.task.predicts_amount:
        return _how_good_amounts(evidence, model)
    words, observed = evidence.task.words, evidence.outcome >= 0
    outcome, scores = evidence.outcome[observed], evidence.scores[observed]
    best = outcome[np.argsort(-scores, kind="stable")[: max(1, len(scores) // 10)]].mean()
    policy = describe_policy((manifest.get("metrics") or {}).get("policy") or {})
    return (
        f"Of two {words.who}, one that {words.had} and one that {words.had_not}, it ranks the first higher in "
        f"{model.value:.0%} of pairs (AUC {model.value:.3f}, 95% interval {model.low:.3f} to {model.high:.3f}; random "
        f"gives 50%). Of the highest-scored tenth {best:.0%} {words.had}, of all {outcome.mean():.0%}. {policy}"
    ).strip()


def _how_good_amounts(evidence: EvaluationData, model: Estimate) -> str:
    outcome, scores = evidence.outcome[:, 0], evidence.scores[:, 0]
    best = np.argsort(-scores, kind="stable")[: max(1, len(scores) // 10)]
    share = outcome[best].sum() / outcome.sum() if outcome.sum() else 0.0
    return (
        f"It explains {model.value:.0%} of the variance of spend between customers (R squared, 95% interval "
        f"{model.low:.0%} to {model.high:.0%}; spend is capped at its 99th percentile). The highest-scored tenth "
        f"accounts for {share:.0%} of all spend. It predicted {scores.sum():,.0f} in total; the actual total is "
        f"{outcome.sum():,.0f}."
    )


def _compared(task: Task, estimates: Mapping[str, Estimate]) -> str:
    # A scorer whose metric never varies does not separate customers: a lead over it means nothing.
    others = [(name, each) for name, each in estimates.items() if name != "model" and each.low < each.high]
    if not others:
        return "No comparison: no baseline could be scored on the later rows, so the added value is unknown."
    figure = "R squared" if task.predicts_amount else "AUC"
    sentences = [
        f"Better than {_list_scorers(each for each in others if each[1].behind_low > 0)}.",
        f"No significant difference to {_list_scorers(each for each in others if _level(each[1]))}.",
        f"Worse than {_list_scorers(each for each in others if each[1].behind_high < 0)}.",
        f"In brackets: its {figure} minus theirs on the same rows.",
        "" if "champion" in estimates else "There is no champion to compare with.",
    ]
    return " ".join(sentence for sentence in sentences if sentence and not sentence.endswith(" ."))


def _list_scorers(scorers: Iterable[tuple[str, Estimate]]) -> str:
    named = [f"{name_of(name)} ({each.behind:+.3f})" for name, each in scorers]
    return enumerate_words(named) if named else ""


def _level(each: Estimate) -> bool:
    return not each.behind_low > 0 and not each.behind_high < 0


def _how_sure(manifest: Mapping[str, Any], evidence: EvaluationData) -> str:
    days = evidence.dates[~np.isnat(evidence.dates)]
    trained = (manifest.get("training") or {}).get("dates") or ()
    later = len(days) > 0 and len(trained) > 0 and str(days.min()) > max(map(str, trained))
    dated = f", dated {_span(days)}" if len(days) else ""
    dated += ", later than all training rows" if later else ""
    rows, customers = len(evidence.outcome), len(set(evidence.customer_ids))
    known = [value for value in evidence.folds.values() if np.isfinite(value)]
    figure = "rank correlation" if evidence.task.predicts_amount else "AUC"
    folds = (
        f" Retrained for {len(known)} cut-offs, its {figure} was between {min(known):.3f} and {max(known):.3f}."
        if len(known) >= SEVERAL
        else ""
    )
    return (
        f"It was evaluated on {rows:,} rows of {customers:,} customers{dated}.{folds} "
        "The intervals cover the sampling of customers, not a changing market."
    )


def _span(days: Any) -> str:
    first, last = str(days.min()), str(days.max())
    return first if first == last else f"{first} to {last}"


def _next(verdict: RunStatus, manifest: Mapping[str, Any]) -> str:
    name, version = manifest.get("name", ""), manifest.get("version", "")
    if verdict == "promoted":
        return (
            "Nothing, unless a doubt above concerns you. `holdfast models list` shows what serves, `holdfast models "
            f"monitor` says when to retrain, `holdfast models rollback {name}` restores the previous version."
        )
    if verdict == "refused":
        return (
            "What serves now keeps serving. Fix what the gates report and train again. To override them: "
            f"`holdfast models promote {name} {version} --force --why REASON`; the reason is recorded."
        )
    if verdict == "forced":
        return f"Monitor it closely; `holdfast models rollback {name}` restores the previous version."
    return "Evaluate it by the figures below, or train it again with its gates."


def _doubts(
    manifest: Mapping[str, Any], evidence: EvaluationData, estimates: Mapping[str, Estimate]
) -> tuple[str, ...]:
    training = manifest.get("training") or {}
    warnings = [_as_sentence(str(warning)) for warning in training.get("warnings") or ()]
    sentences = [_as_sentence(str(gate.get("sentence") or "")) for gate in refusing(manifest)]
    model = next(iter(estimates.values()), None)
    wide = model is not None and model.high - model.low > WIDE_INTERVAL
    figure = "R squared" if evidence.task.predicts_amount else "AUC"
    wide_interval = f"The interval of its {figure} is wide: another sample of customers could give a different result."
    found = [
        *sentences,
        _list_skipped(manifest),
        *warnings,
        *_doubts_of_rows(evidence),
        _doubt_of_level(training, evidence),
        wide_interval if wide else "",
        *_doubts_of_features(evidence),
    ]
    return tuple(sentence for sentence in found if sentence)


def _list_skipped(manifest: Mapping[str, Any]) -> str:
    gates = manifest.get("gates") or ()
    skipped = [_gate_name(gate) for gate in gates if gate.get("passed") is None]
    return f"{len(skipped)} of {len(gates)} gates were not applied: {enumerate_words(skipped)}." if skipped else ""


def _as_sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


def _doubts_of_rows(evidence: EvaluationData) -> list[str]:
    found = []
    if len(evidence.outcome) < ROWS_RECOMMENDED:
        found.append(f"Only {len(evidence.outcome):,} later rows; {ROWS_RECOMMENDED:,} or more are recommended.")
    if evidence.task.predicts_amount:
        return [*found, *_doubts_of_totals(evidence)]
    observed = evidence.outcome >= 0
    if len(np.unique(evidence.outcome[observed])) < SEVERAL:
        return [*found, "The later rows have one outcome only, or none: AUC and related metrics are undefined."]
    expected, actual = float(evidence.scores[observed].mean()), float(evidence.outcome[observed].mean())
    if abs(expected - actual) > DRIFT:
        found.append(
            f"It predicted {expected:.1%} on average and {actual:.1%} {evidence.task.words.had}: "
            "the base rate changed, so rely on the ranking more than on the probabilities."
        )
    return [*found, *evidence.task.find_doubts(evidence)]


def _doubt_of_level(training: Mapping[str, Any], evidence: EvaluationData) -> str:
    rate = training.get("rate")
    if rate is None or evidence.task.predicts_amount or not len(evidence.training_scores):
        return ""
    scored = float(evidence.training_scores.mean(dtype=np.float64))
    if abs(scored - rate) <= DRIFT:
        return ""
    return f"On its training rows the mean score is {scored:.1%} and the {evidence.task.words.rate} {rate:.1%}."


def _doubts_of_totals(evidence: EvaluationData) -> list[str]:
    actual = float(evidence.outcome.sum(dtype=np.float64))
    off = float(evidence.scores.sum(dtype=np.float64)) / actual - 1 if actual else 0.0
    if abs(off) <= TOTAL_DRIFT:
        return []
    less = "more" if off > 0 else "less"
    return [
        f"It predicted {abs(off):.0%} {less} spend than was observed: rely on the ranking more than on the amounts."
    ]


def _doubts_of_features(evidence: EvaluationData) -> list[str]:
    useful = {name: value for name, value in evidence.importance.items() if value > 0}
    if len(useful) < SEVERAL:
        return []
    best = max(useful, key=lambda name: useful[name])
    if useful[best] <= ONE_FEATURE_RULES * sum(useful.values()):
        return []
    return [
        f"One feature, {best}, accounts for almost all of its accuracy: check that it was known before the outcome."
    ]
