"""Experiments on models in a batch: which arm each decision belongs to, and whom they reach. Pure.

Who is reached must not depend on the arm: an experiment on a score reaches every customer who is evaluated, one on
offers every customer whom a campaign may contact, at the first time. What happens to them afterwards does depend on it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from campaigns.decision_inputs import ArmRecord
from campaigns.ports import ExperimentCustomer
from features.table import plain
from models.experiments import Arm
from models.scores import shadow_offers
from models.tasks.nbo import NextBestOffer
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from campaigns.decide import Decision
    from features.table import Column, FeatureTable
    from models.registry import Scorers
    from models.trials import Trial

    Shadow = Mapping[str, Mapping[str, Column]]
    Said = Mapping[str, float | str | None]

OFFERS = NextBestOffer.name


def record_arms(
    decisions: Sequence[Decision], scorers: Scorers, facts: FeatureTable, shadow: Shadow
) -> Sequence[Decision]:
    """Return decisions with the versions that scored their customers, and the experiments in force.

    Args:
        decisions: of a batch.
        scorers: what it was scored with.
        facts: one row per customer.
        shadow: the facts that challengers would add, by model; their rows are those of `facts`.
    """
    if not scorers.trials or not decisions:
        return decisions
    place = {customer: row for row, customer in enumerate(facts.customer_ids)}
    rows = [place[each.candidate.customer_id] for each in decisions]
    offers = shadow_offers(facts.take(rows), scorers)
    recorded = []
    for number, (decision, row) in enumerate(zip(decisions, rows, strict=True)):
        said: dict[str, Said] = {
            name: {fact: plain(cells[row]) for fact, cells in columns.items()} for name, columns in shadow.items()
        }
        if offers is not None and decision.inputs is not None:
            said[OFFERS] = {str(id_): float(str(offers[number, id_ - 1])) for id_ in decision.inputs.scores}
        recorded.append(_record(decision, scorers.trials.values(), said))
    return recorded


def find_reached(
    decisions: Sequence[Decision], scorers: Scorers, facts: FeatureTable, shadow: Shadow, as_of: Mapping[str, datetime]
) -> list[ExperimentCustomer]:
    """Return whom experiments reach with a batch.

    Args:
        decisions: as `record_arms` returns them.
        scorers: what the batch was scored with.
        facts: one row per customer, with the champion's facts.
        shadow: as for `record_arms`.
        as_of: the event time of each customer.
    """
    reached: list[ExperimentCustomer] = []
    for name, trial in scorers.trials.items():
        if TASKS[name].for_contacts_only:
            reached += _reached_by_offers(decisions, trial)
        else:
            reached += _reached_by_scores(name, trial, facts, shadow.get(name), as_of)
    return reached


def _record(decision: Decision, trials: Iterable[Trial], said: Mapping[str, Said]) -> Decision:
    candidate, arms, versions = decision.candidate, [], {}
    for trial in trials:
        experiment = trial.experiment
        arm = experiment.arm_of(candidate.customer_id)
        if arm is Arm.CHALLENGER and trial.challenger is not None:
            versions[experiment.model] = trial.challenger.version
        arms.append(
            ArmRecord(experiment.key, experiment.model, arm, experiment.challenger, said.get(experiment.model, {}))
        )
    if versions:
        candidate = structs.replace(candidate, versions={**candidate.versions, **versions})
    inputs = decision.inputs and structs.replace(decision.inputs, experiments=tuple(arms))
    return structs.replace(decision, candidate=candidate, inputs=inputs)


def _reached_by_scores(
    name: str, trial: Trial, facts: FeatureTable, challenger: Mapping[str, Column] | None, as_of: Mapping[str, datetime]
) -> list[ExperimentCustomer]:
    task, experiment, customers = TASKS[name], trial.experiment, facts.customer_ids
    arms = [Arm.CHALLENGER if each else Arm.CHAMPION for each in experiment.assign(customers)]
    nothing = [(None, None)] * len(customers)
    scores = answers = nothing
    if challenger is not None:
        score, answer = task.facts[0], task.fact
        scores, answers = (_pair(facts.columns[fact], challenger[fact]) for fact in (score, answer))
    return [
        ExperimentCustomer(experiment.key, customer, arm, as_of[customer], *both)
        for customer, arm, *both in zip(customers, arms, scores, answers, strict=True)
    ]


def _pair(champion: Column, challenger: Column) -> list[tuple[Any, Any]]:
    return [(plain(one), plain(other)) for one, other in zip(champion.tolist(), challenger.tolist(), strict=True)]


def _reached_by_offers(decisions: Sequence[Decision], trial: Trial) -> list[ExperimentCustomer]:
    first: dict[str, ExperimentCustomer] = {}
    for decision in decisions:
        candidate, inputs = decision.candidate, decision.inputs
        if inputs is None or not inputs.scores or candidate.customer_id in first:
            continue
        (record,) = (each for each in inputs.experiments if each.experiment == trial.experiment.key)
        reached = ExperimentCustomer(record.experiment, candidate.customer_id, record.arm, candidate.as_of)
        if record.shadow:
            best, of_champion = _choose_offer(inputs.scores)
            other, of_challenger = _choose_offer(record.shadow)
            reached = replace(reached, scores=(of_champion, of_challenger), answers=(best, other))
        first[candidate.customer_id] = reached
    return list(first.values())


def _choose_offer(scores: Mapping[Any, Any]) -> tuple[str, float]:
    """Return the offer with the highest score and that score; the lowest id wins a tie."""
    best = min(scores, key=lambda each: (-scores[each], int(each)))
    return str(best), float(scores[best])
