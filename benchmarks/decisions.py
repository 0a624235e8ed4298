"""Measures decisions, limits and arbitration without I/O: `python -m benchmarks.decisions`.

Every customer enters the segment of every campaign at one event, which is the most that a batch can ask for: all
campaigns compete, one contact at most is made, and every candidate becomes a decision with its reason. A third of the
customers have been contacted as often as the limit allows. Offers are scored before the clock starts.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

import click
import numpy as np

from campaigns.candidates import Definitions, TriggerContext, decide_all, transition_candidates
from campaigns.contact_limits import ContactLimit, PastContact
from campaigns.decide import ContactHistory
from campaigns.definition import Campaign, Offer
from features.table import FeatureTable
from segments.engine import Transition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.decide import Decision
    from features.table import Column

AS_OF = datetime(2026, 3, 2, 12, tzinfo=UTC)
TARGET_MS = 5.0
LIMIT = ContactLimit(key="weekly", contacts=2, days=7)
OFFERS = {
    number: Offer(id=number, key=f"offer-{number}", name=f"Offer {number}", value=20 + number, cost=number)
    for number in range(1, 9)
}


def make_campaigns(count: int) -> list[Campaign]:
    """Return campaigns that compete for the same customers, with limits and a control group."""
    return [
        Campaign.model_validate(
            {
                "key": f"campaign-{number}",
                "name": f"Campaign {number}",
                "segment": f"segment-{number}",
                "offers": [1 + number % 8, 1 + (number + 3) % 8],
                "channels": ["email", "sms"],
                "message": "For you: {{ offer.name }}.",
                "holdout_percent": 5,
                "cooldown_days": number % 30,
            },
            context={"offers": OFFERS, "limits": (LIMIT,)},
        )
        for number in range(count)
    ]


def make_facts(customers: Sequence[str]) -> FeatureTable:
    """Return the facts of the customers that decisions read."""
    count = len(customers)
    return FeatureTable(
        tuple(customers),
        {
            "email_consent": np.arange(count) % 10 > 0,
            "sms_consent": np.arange(count) % 2 > 0,
            "churn_probability": np.linspace(0, 1, count),
            "predicted_ltv": np.linspace(0, 5_000, count),
        },
    )


def make_histories(customers: Sequence[str]) -> Mapping[str, ContactHistory]:
    """Return the contacts of the last days: a third of the customers has none, one, or two of them."""
    days = [AS_OF - timedelta(days=2), AS_OF - timedelta(days=5)]
    return {
        customer: ContactHistory(contacts=tuple(PastContact("earlier", "email", at) for at in days[: place % 3]))
        for place, customer in enumerate(customers)
    }


@click.command()
@click.option("--customers", default=500, show_default=True, help="Customers.")
@click.option("--campaigns", default=20, show_default=True, help="Campaigns that want to contact each of them.")
@click.option("--rounds", default=7, show_default=True, help="Number of runs.")
def main(customers: int, campaigns: int, rounds: int) -> None:
    """Decide for all customers at once, several times, and print the median."""
    names = [f"c{number}" for number in range(customers)]
    made = make_campaigns(campaigns)
    definitions = Definitions(made, OFFERS, {"nbo": "rules"}, {each.segment: "f00d" for each in made})
    entered = [Transition(name, each.segment, "entered", 1, suppressed=False) for name in names for each in made]
    contexts = {name: TriggerContext(f"event of {name}", AS_OF, int(AS_OF.timestamp() * 1_000), 0) for name in names}
    facts, histories = make_facts(names), make_histories(names)
    chance = np.random.default_rng(5).random((len(entered), len(OFFERS)), dtype=np.float32)

    def score(table: FeatureTable) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], Column]:
        return chance[: len(table)], np.full(len(table), "rules", dtype=object)

    def decide() -> list[Decision]:
        candidates = transition_candidates(entered, contexts, definitions)
        return decide_all(candidates, facts, histories, definitions.offers, score, definitions.guardrails)

    seconds, decisions = [], decide()
    for _ in range(rounds):
        began = time.perf_counter()
        decisions = decide()
        seconds.append(time.perf_counter() - began)
    spent = median(seconds)
    result = {
        "customers": customers,
        "campaigns": campaigns,
        "contacts": sum(each.exposure is not None for each in decisions),
        "milliseconds": round(1_000 * spent, 2),
        "microseconds_a_decision": round(1e6 * spent / len(decisions), 2),
        "target_ms": TARGET_MS,
    }
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
