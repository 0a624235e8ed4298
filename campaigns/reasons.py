"""Reasons on triggers: the strongest factors behind the scores of customers whom a campaign triggers, if it asks. Pure.

A campaign with `"reasons": 3` gets up to three for each of: `churn`; `ltv` where its segment or texts read the
predicted value; and `nbo` where the offer was chosen among several by its expected value: why this one rather than the
second. They decide nothing. They are computed for these customers alone, and each for itself: a decision that is made
again has the same.
"""

from __future__ import annotations

from dataclasses import replace as replace_factor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from campaigns.definition import OfferPolicy
from models.reasons import OfferExplainer, OfferPair, ScoreExplainer, explain_absence
from models.tasks.churn import Churn
from models.tasks.ltv import LifetimeValue
from models.tasks.nbo import NextBestOffer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from campaigns.candidates import Definitions
    from campaigns.decide import Decision
    from campaigns.definition import Campaign, Offer
    from features.table import FeatureTable
    from models.reasons import Explainer, Factor
    from models.registry import Scorers

DIGITS: Mapping[str, int] = {LifetimeValue.name: 2}
"""Of contributions on triggers: money in hundredths, probabilities with six digits."""


def add_reasons(
    decisions: Sequence[Decision], facts: FeatureTable, definitions: Definitions, scorers: Scorers
) -> Sequence[Decision]:
    """Return decisions with the reasons that their campaigns ask for.

    Args:
        decisions: of a batch.
        facts: every fact of the batch's customers.
        definitions: the campaigns and offers.
        scorers: the models that scored the customers, and the offers.
    """
    if not any(each.reasons for each in definitions.campaigns):
        return decisions
    asking = [place for place, each in enumerate(decisions) if each.candidate.campaign.reasons and each.exposure]
    if not asking:
        return decisions
    position = {customer_id: place for place, customer_id in enumerate(facts.customer_ids)}
    reasons: dict[int, dict[str, tuple[Factor, ...]]] = {place: {} for place in asking}
    most = max(decisions[place].candidate.campaign.reasons for place in asking)
    for task, places, explainer in _find_questions(decisions, asking, definitions, scorers):
        table = facts.take([position[decisions[place].candidate.customer_id] for place in places])
        for place, factors in zip(places, explainer.explain(table, most), strict=True):
            if strongest := factors[: decisions[place].candidate.campaign.reasons]:
                reasons[place][task] = tuple(_round(each, task) for each in strongest)
    return [_with_reasons(each, reasons.get(place)) for place, each in enumerate(decisions)]


def _find_questions(
    decisions: Sequence[Decision], asking: Sequence[int], definitions: Definitions, scorers: Scorers
) -> Iterator[tuple[str, Sequence[int], Explainer]]:
    """Yield each task, the places of the decisions that it explains, and what explains them."""
    tasks = {place: explained_tasks(decisions[place].candidate.campaign, definitions) for place in asking}
    for task in (Churn.name, LifetimeValue.name):
        if places := [place for place in asking if task in tasks[place]]:
            yield task, places, ScoreExplainer(task, scorers)
    pairs = {place: pair for place in asking if (pair := find_pair(decisions[place], definitions.offers))}
    if pairs:
        yield NextBestOffer.name, list(pairs), OfferExplainer(list(pairs.values()), scorers)


def explained_tasks(campaign: Campaign, definitions: Definitions) -> tuple[str, ...]:
    """Return the tasks whose scores a campaign's triggers are explained by, without that of offers."""
    read = campaign.message_facts.union(definitions.segment_facts.get(campaign.segment, ()))
    return (Churn.name, LifetimeValue.name) if read.intersection(LifetimeValue.facts) else (Churn.name,)


def find_pair(decision: Decision, offers: Mapping[int, Offer]) -> OfferPair | None:
    """Return the offer made and the second best; None where it was not the best of several by expected value."""
    campaign, inputs = decision.candidate.campaign, decision.inputs
    if decision.offer is None or inputs is None or campaign.offer_policy is not OfferPolicy.NEXT_BEST:
        return None
    chosen = campaign.by_variant[decision.variant] if decision.variant else campaign
    allowed = [offers[each] for each in chosen.offers if each not in inputs.obstacles]
    ranked = sorted(allowed, key=lambda each: (-inputs.scores[each.id] * each.margin, each.id))
    if len(ranked) < 2 or ranked[0].id != decision.offer.offer.id:  # noqa: PLR2004 - the one made, and the second
        return None
    first, second = ranked[:2]
    return OfferPair(first.id, second.id, first.name, second.name, first.margin, second.margin)


def describe_missing_reasons(definitions: Definitions, scorers: Scorers) -> list[str]:
    """Return a sentence for each campaign and task whose triggers will lack the reasons asked for."""
    return [
        f"campaign {each.key} asks for reasons; {why}"
        for each in definitions.campaigns
        if each.reasons
        for task in (*explained_tasks(each, definitions), NextBestOffer.name)
        if (why := explain_absence(task, scorers))
    ]


def _with_reasons(decision: Decision, reasons: Mapping[str, tuple[Factor, ...]] | None) -> Decision:
    if not reasons or decision.inputs is None:
        return decision
    return replace(decision, inputs=replace(decision.inputs, reasons=reasons))


def _round(factor: Factor, task: str) -> Factor:
    return replace_factor(factor, contribution=round(factor.contribution, DIGITS.get(task, 6)))
