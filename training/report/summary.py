"""What a run found, in plain language: may this model be trusted, and what is to be done. Pure functions of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training.evaluation.off_policy import NOT_ENOUGH

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
    "promoted": "Passed every gate that applies to it: fit to serve.",
    "refused": "Refused: it is kept, and does not serve.",
    "forced": "Promoted by force, against its gates.",
    "undecided": "Not judged: no gate was run on this model.",
}
NAMES = {
    "model": "this model",
    "champion": "champion, serving now",
    "rfm": "RFM score",
    "constant": "average for everybody",
    "tweedie": "Tweedie regression",
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
    """Say what the model predicts, how good it is, compared with what, how sure that is, and what to do next.

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
            ("What it predicts", _predicts(manifest, evidence.task)),
            ("How good it is", _how_good(manifest, evidence, estimates)),
            ("Compared with what", _compared(evidence.task, estimates)),
            ("How sure that is", _how_sure(manifest, evidence)),
        ),
        _doubts(manifest, evidence, estimates),
        _next(verdict, manifest),
    )


def run_status(manifest: Mapping[str, Any]) -> RunStatus:
    """Return what becomes of the model: one gate against it refuses it, unless it was promoted by force."""
    promotion = manifest.get("promotion") or {}
    if refusing(manifest):
        return "forced" if promotion.get("forced") else "refused"
    return "promoted" if manifest.get("gates") else "undecided"


def refusing(manifest: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the gates that speak against the model."""
    return tuple(gate for gate in manifest.get("gates") or () if gate.get("passed") is False)


def name_of(scorer: str) -> str:
    """Return a scorer's name as a person would say it."""
    return NAMES.get(scorer, scorer.replace("_", " "))


def enumerate_words(words: Sequence[str]) -> str:
    """Return words as a list in prose: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def describe_policy(policy: Mapping[str, Any]) -> str:
    """Return what the model's offers are worth, in words; empty where `policy` does not estimate it."""
    if "difference_to_constant" not in policy:
        return ""
    if policy.get("verdict") == NOT_ENOUGH:
        return f"Not enough evidence of what its offers are worth: {policy['reason']}."
    gap, constant = policy["difference_to_constant"], policy["best_constant_offer"]
    low, high = gap["interval_95"]
    against = "ahead of" if low > 0 else "behind" if high < 0 else "not told apart from"
    return (
        f"Its offers would convert {policy['model']['dr']:.1%}; as it was done {policy['logged']['value']:.1%} did. "
        f"They are {against} always offer {constant['offer_id']} ({constant['dr']:.1%}): the difference is "
        f"{gap['value'] * 100:+.1f} points, 95% interval {low * 100:+.1f} to {high * 100:+.1f}."
    )


def _headline(verdict: RunStatus, manifest: Mapping[str, Any]) -> str:
    gates = [str(gate.get("name") or "without name").replace("_", " ") for gate in refusing(manifest)]
    if not gates:
        return HEADLINES[verdict]
    verb = "refuses" if len(gates) == 1 else "refuse"
    return f"{HEADLINES[verdict]} {len(gates)} of {len(manifest['gates'])} gates {verb} it: {enumerate_words(gates)}."


def _predicts(manifest: Mapping[str, Any], task: Task) -> str:
    days = manifest.get("window_days")
    window = f"in the {days} days from the day of scoring on" if days else "in the window that the label looks at"
    return task.predicts.format(window=window)


def _how_good(manifest: Mapping[str, Any], evidence: EvaluationData, estimates: Mapping[str, Estimate]) -> str:
    if not estimates:
        return "Not known: the later rows do not allow a judgement, as the doubts below say."
    model = next(iter(estimates.values()))
    if evidence.task.predicts_amount:
        return _how_good_amounts(evidence, model)
    words, observed = evidence.task.words, evidence.outcome >= 0
    outcome, scores = evidence.outcome[observed], evidence.scores[observed]
    best = outcome[np.argsort(-scores, kind="stable")[: max(1, len(scores) // 10)]].mean()
    policy = describe_policy((manifest.get("metrics") or {}).get("policy") or {})
    return (
        f"Of two {words.who}, one that {words.had} and one that {words.had_not}, it ranks the first higher "
        f"{100 * model.value:.0f} times in 100 (AUC {model.value:.3f}, 95% interval {model.low:.3f} to "
        f"{model.high:.3f}; guessing gives 50). Of the tenth that it ranks highest {best:.0%} {words.had}, of all "
        f"{outcome.mean():.0%}. {policy}"
    ).strip()


def _how_good_amounts(evidence: EvaluationData, model: Estimate) -> str:
    outcome, scores = evidence.outcome[:, 0], evidence.scores[:, 0]
    best = np.argsort(-scores, kind="stable")[: max(1, len(scores) // 10)]
    share = outcome[best].sum() / outcome.sum() if outcome.sum() else 0.0
    return (
        f"It explains {model.value:.0%} of the differences in spend between customers (R squared, 95% interval "
        f"{model.low:.0%} to {model.high:.0%}; spend is capped at its 99th percentile). The tenth it ranks highest "
        f"brought {share:.0%} of all spend. In total it expected {scores.sum():,.0f} and {outcome.sum():,.0f} came."
    )


def _compared(task: Task, estimates: Mapping[str, Estimate]) -> str:
    # A scorer whose figure never varies tells nobody apart: to be ahead of it says nothing.
    others = [(name, each) for name, each in estimates.items() if name != "model" and each.low < each.high]
    if not others:
        return "With nothing: no baseline could be scored on the later rows, so there is no telling what it adds."
    figure = "R squared" if task.predicts_amount else "AUC"
    sentences = [
        f"Better than {_list_scorers(each for each in others if each[1].behind_low > 0)}.",
        f"Not told apart, within the noise, from {_list_scorers(each for each in others if _level(each[1]))}.",
        f"Worse than {_list_scorers(each for each in others if each[1].behind_high < 0)}.",
        f"In brackets how much its {figure} is above theirs on the same rows.",
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
    dated += ", later than all it was trained on" if later else ""
    rows, customers = len(evidence.outcome), len(set(evidence.customer_ids))
    known = [value for value in evidence.folds.values() if np.isfinite(value)]
    figure = "rank correlation" if evidence.task.predicts_amount else "AUC"
    folds = (
        f" Trained anew for {len(known)} cut-offs, its {figure} lay between {min(known):.3f} and {max(known):.3f}."
        if len(known) >= SEVERAL
        else ""
    )
    return (
        f"It was judged on {rows:,} rows of {customers:,} customers{dated}.{folds} The intervals tell of chance in who "
        "is a customer, not of a market that changes."
    )


def _span(days: Any) -> str:
    first, last = str(days.min()), str(days.max())
    return first if first == last else f"{first} to {last}"


def _next(verdict: RunStatus, manifest: Mapping[str, Any]) -> str:
    name, version = manifest.get("name", ""), manifest.get("version", "")
    if verdict == "promoted":
        return (
            "Nothing, if none of the doubts is yours. `holdfast models list` shows what serves, `holdfast models "
            f"monitor` says when to train anew, `holdfast models rollback {name}` goes back to the version before."
        )
    if verdict == "refused":
        return (
            "What served before goes on serving. See to what the gates speak of and train again. To overrule them: "
            f"`holdfast models promote {name} {version} --force --why REASON`; the reason is recorded."
        )
    if verdict == "forced":
        return f"Watch it closely, and keep `holdfast models rollback {name}` at hand."
    return "Judge it by the figures below, or train it again with its gates."


def _doubts(
    manifest: Mapping[str, Any], evidence: EvaluationData, estimates: Mapping[str, Estimate]
) -> tuple[str, ...]:
    training = manifest.get("training") or {}
    warnings = [_as_sentence(str(warning)) for warning in training.get("warnings") or ()]
    sentences = [_as_sentence(str(gate.get("sentence") or "")) for gate in refusing(manifest)]
    model = next(iter(estimates.values()), None)
    wide = model is not None and model.high - model.low > WIDE_INTERVAL
    figure = "R squared" if evidence.task.predicts_amount else "AUC"
    told = f"The interval of its {figure} is wide: another sample of customers might have told otherwise."
    found = [*sentences, *warnings, *_doubts_of_rows(evidence), told if wide else "", *_doubts_of_features(evidence)]
    return tuple(sentence for sentence in found if sentence)


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
        return [*found, "The later rows have one outcome only, or none: AUC and what hangs on it are not defined."]
    expected, actual = float(evidence.scores[observed].mean()), float(evidence.outcome[observed].mean())
    if abs(expected - actual) > DRIFT:
        found.append(
            f"It predicted {expected:.1%} on average and {actual:.1%} {evidence.task.words.had}: the base rate moves, "
            "so trust the order of its scores more than their level."
        )
    return [*found, *evidence.task.find_doubts(evidence)]


def _doubts_of_totals(evidence: EvaluationData) -> list[str]:
    actual = float(evidence.outcome.sum(dtype=np.float64))
    off = float(evidence.scores.sum(dtype=np.float64)) / actual - 1 if actual else 0.0
    if abs(off) <= TOTAL_DRIFT:
        return []
    less = "more" if off > 0 else "less"
    return [f"It expected {abs(off):.0%} {less} spend than came: trust the order of its scores more than their amount."]


def _doubts_of_features(evidence: EvaluationData) -> list[str]:
    useful = {name: value for name, value in evidence.importance.items() if value > 0}
    if len(useful) < SEVERAL:
        return []
    best = max(useful, key=lambda name: useful[name])
    if useful[best] <= ONE_FEATURE_RULES * sum(useful.values()):
        return []
    return [f"Almost all it knows is in one feature, {best}: make sure that it was known before the outcome."]
