"""Sections on offers: the value of the policy, and which offers it recommends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation import curves
from training.evaluation.curves import Estimate
from training.evaluation.off_policy import NOT_ENOUGH, Z_95, compare_policies, read_log
from training.evaluation.thresholds import GateThresholds
from training.report import plots
from training.report.sections import Plot, Section, Table
from training.report.summary import describe_policy
from training.report.tiles import Tile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.evaluation.evaluation_data import EvaluationData

WORTH_A_MENTION = 0.01


def value_offers(evidence: EvaluationData) -> dict[str, Any]:
    """Return what `training.evaluation.off_policy.compare_policies` says of the later rows."""
    log, rows = read_log(evidence.outcome, evidence.propensities, evidence.customer_ids)
    return compare_policies(evidence.scores[rows].astype(np.float64), log, GateThresholds())


def policy_tiles(evidence: EvaluationData) -> tuple[Tile, ...]:
    """Return what the recommended offers would convert; empty where nothing was logged."""
    found = value_offers(evidence)
    if "model" not in found:
        return ()
    if found["verdict"] == NOT_ENOUGH:
        return (Tile("Value of its offers", "unknown", f"not enough evidence: {found['reason']}"),)
    logged, constant = found["logged"]["value"], found["best_constant_offer"]["dr"]
    meaning = f"conversion rate; logged offers {logged:.1%}, the best offer for all {constant:.1%}"
    return (Tile("Its offers", f"{found['model']['dr']:.1%}", meaning),)


def policies(found: Mapping[str, Any]) -> Section:
    """Show what the model's offers would have converted, next to the logged policy and to one offer for all.

    Args:
        found: from `value_offers`.
    """
    title = "What is the value of its offers?"
    if "model" not in found:
        why = f"It cannot be estimated: {found.get('reason', 'no offer was observed')}."
        return Section("policy", title, note=f"{why} Log the probability with which each offer is shown.")
    values = _policies(found)
    plot = Plot(
        "policy-values",
        "Conversion rate of each policy",
        plots.draw(
            "policy",
            f"Estimated conversion rates of {len(values)} policies with 95% intervals",
            plots.forest({name: each for name, (each, _) in values.items()}, "conversion, 95% interval", share=True),
            height=70 + plots.ROW * len(values),
        ),
        "Conversion rate of each policy, estimated (doubly robust) from the log; further right is better.",
        describe_policy(found),
    )
    return Section("policy", title, (plot,), (_policy_table(values, found["effective_rows_needed"]),))


def _policies(found: Mapping[str, Any]) -> dict[str, tuple[Estimate, float]]:
    """Return value and effective rows of each policy by its name, the model first."""
    best, logged, model = found["best_constant_offer"]["offer_id"], found["logged"], found["model"]
    values = {
        "this model's offer": (_estimate(model), model["effective_rows"]),
        "logged policy": (_estimate_logged(logged), float(found["rows"]["used"])),
    }
    for each in found["constant_offers"]:
        name = f"always offer {each['offer_id']}" + (", the best" if each["offer_id"] == best else "")
        values[name] = (_estimate(each), each["effective_rows"])
    return values


def _estimate(policy: Mapping[str, Any]) -> Estimate:
    return Estimate(policy["dr"], *policy["interval_95"])


def _estimate_logged(logged: Mapping[str, float]) -> Estimate:
    value, margin = logged["value"], Z_95 * logged["standard_error"]
    return Estimate(value, value - margin, value + margin)


def _policy_table(values: Mapping[str, tuple[Estimate, float]], needed: float) -> Table:
    least = f"under {needed:,.0f} it is not enough evidence" if np.isfinite(needed) else "nothing converted"
    return Table(
        "The same in figures. Effective rows: the sample size under the policy itself with the same precision; "
        f"{least}.",
        ("policy", "conversion", "95% interval", "effective rows", "evidence"),
        tuple(
            (
                name,
                f"{each.value:.1%}",
                f"{each.low:.1%} to {each.high:.1%}",
                f"{effective:,.0f}",
                "enough" if effective >= needed else "not enough",
            )
            for name, (each, effective) in values.items()
        ),
    )


def offers(evidence: EvaluationData) -> Section:
    """Show how often each offer would be recommended, and calibration by offer."""
    count = evidence.scores.shape[1]
    names = [f"offer {number}" for number in range(1, count + 1)]
    recommended = np.bincount(evidence.scores.argmax(axis=1), minlength=count) / max(len(evidence.scores), 1)
    shown = (evidence.outcome >= 0).sum(axis=0) / max(int((evidence.outcome >= 0).sum()), 1)
    most, used = int(recommended.argmax()), int((recommended > WORTH_A_MENTION).sum())
    share = Plot(
        "recommended",
        "Share of each offer",
        plots.draw(
            "recommended",
            f"Share of customers each offer is recommended to; most often {names[most]}",
            plots.offer_shares(names, recommended, shown),
            height=90 + plots.ROW * count,
        ),
        "Bars: share of customers to whom the model would show it. Diamonds: share in the log.",
        f"It recommends {names[most]} to {recommended[most]:.0%} of customers; {used} of {count} offers go to more "
        f"than {WORTH_A_MENTION:.0%}.",
    )
    return Section("offers", "Which offers does it recommend?", (share, *_calibration(evidence, names)))


def _calibration(evidence: EvaluationData, names: list[str]) -> tuple[Plot, ...]:
    rows = {}
    for place, name in enumerate(names):
        seen = evidence.outcome[:, place] >= 0
        if seen.any():
            ((_, *figures),) = curves.bin_by_score(
                evidence.scores[seen, place], evidence.outcome[seen, place], 1
            ).rows()
            rows[name] = tuple(map(float, figures))
    if not rows:
        return ()
    missed = [name for name, (predicted, _, low, high) in rows.items() if not low <= predicted <= high]
    plot = Plot(
        "offer-calibration",
        "Calibration of each offer",
        plots.draw(
            "offercal",
            "Predicted and actual conversion rate of each offer",
            plots.dots(rows, "conversion where it was shown"),
            height=90 + plots.ROW * len(rows),
        ),
        "Diamond: mean prediction where the offer was shown. It should lie within the interval of the observed rate.",
        f"Outside the interval: {', '.join(missed)}." if missed else "All predictions lie within the intervals.",
    )
    return (plot,)
