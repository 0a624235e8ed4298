"""The thresholds of the gates, and the costs by which the operating threshold is chosen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Costs:
    """What a wrong decision costs, in one currency; only their ratio matters.

    Attributes:
        contact: of contacting one customer, the incentive included.
        save: lost by not contacting one who would have left: the share of such customers a contact keeps,
            times the margin they then bring. With the defaults contacting pays from a probability of .25.
    """

    contact: float = 1.0
    save: float = 4.0


@dataclass(frozen=True, slots=True)
class GateThresholds:
    """Where each gate passes.

    Attributes:
        training_rows: trained on, at least; under 1,000 the additive terms are noise.
        events: of either outcome in the later rows, at least: 100 is the usual floor for validating a
            prediction model (Vergouwe et al. 2005); for ltv, rows with spend and rows in all.
        lead: over the recency rule and past spend: the lower end of the paired 95 % interval must be above
            it. They need no upkeep and serve where there is no model, so one must be better beyond the noise.
        fitted_lead: over logistic regression, the RFM scorecard or the Tweedie GLM, the difference itself must
            be above it, or level within the noise and better by the second measure.
        margin: how much worse than boosting or the champion is not worse: AUC, R2 winsorised for ltv, Brier skill for
            curves.
        ece: expected calibration error (15 bins), at most, once the base rate's move is taken out.
        slope: of calibration, least and most: 1 is right, under 1 the scores are too extreme.
        shift: how far the later rate may be from the mean score before the model needs newer calibration.
        total_ratio: predicted over actual total spend, least and most, for ltv.
        coverage: of the predicted interval, whose nominal coverage is 80 %, least and most.
        spread: of the folds' metric between the best and the worst cut-off, at most.
        single_auc: of one feature alone, at most; above it the feature probably knows the outcome.
        single_correlation: of one feature's ranks with the spend to come, at most.
        effective_rows: of a policy, at least, before its value is reported.
        effective_conversions: effective rows times the logged conversion rate, at least. At ten a Poisson
            95 % interval reaches from half to nearly twice the estimate (4.8 to 18.4); under it not even
            the order of magnitude is known.
        unusable_share: of rows with a logged propensity of 0, at most: they cannot have happened, so a log
            with more of them does not hold what it says.
    """

    training_rows: int = 1000
    events: int = 100
    lead: float = 0.0
    fitted_lead: float = 0.0
    margin: float = 0.002
    ece: float = 0.05
    slope: tuple[float, float] = (0.75, 1.33)
    shift: float = 0.15
    total_ratio: tuple[float, float] = (0.75, 1.33)
    coverage: tuple[float, float] = (0.7, 0.9)
    spread: float = 0.1
    single_auc: float = 0.9
    single_correlation: float = 0.9
    effective_rows: float = 100.0
    effective_conversions: float = 10.0
    unusable_share: float = 0.01
