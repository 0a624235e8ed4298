"""What the ledger keeps of experiments on models, from the batches and outcomes that a worker stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import psycopg
import pytest

from campaigns.ports import BatchChanges, ExperimentCustomer
from campaigns.postgres_experiments import Agreement, open_experiments
from models.experiments import Experiment
from streams.runtime.experiment_watch import stop_if_worse
from tests.builders import AS_OF, decision
from tests.contract.test_performance import LATER, PAID, report, said, store
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from campaigns.postgres_ledger import PostgresLedger

TODAY = AS_OF.date()


def reached(customer: str = "ann", arm: str = "challenger", experiment: str = "try") -> ExperimentCustomer:
    return ExperimentCustomer(experiment, customer, arm, AS_OF)


async def reach(ledger: PostgresLedger, *customers: ExperimentCustomer) -> None:
    await ledger.commit(BatchChanges(experiment_customers=customers), owners={3: 1})


async def test_a_customer_is_reached_once_and_stays_in_the_first_arm(ledger: PostgresLedger, ledger_url: str) -> None:
    """In PostgreSQL as in memory."""
    memory = InMemoryLedger()
    await memory.claim(3)
    batches = [[reached(), reached("bob", "champion")], [reached(arm="champion")], [reached(experiment="next")]]
    for each in batches:
        await reach(ledger, *each)
        await memory.commit(BatchChanges(experiment_customers=each), owners={3: 1})
    with psycopg.connect(ledger_url) as connection:
        rows = connection.execute("SELECT experiment, customer_id, arm FROM experiment_customer").fetchall()
    assert sorted(rows) == sorted((key, customer, each.arm) for (key, customer), each in memory.reached.items())
    assert sorted(rows) == [("next", "ann", "challenger"), ("try", "ann", "challenger"), ("try", "bob", "champion")]


async def test_what_counts_are_contacts_from_the_first_reach_on(ledger: PostgresLedger, ledger_url: str) -> None:
    """Ann was contacted before; bob and cy are by the batch that reaches them, and cy converts."""
    earlier, of_bob, of_cy = (decision(campaign=PAID, customer_id=each) for each in ("ann", "bob", "cy"))
    await store(ledger, earlier)
    customers = [reached("ann", "champion"), reached("bob", "champion"), reached("cy"), reached("dee")]
    await ledger.commit(BatchChanges(decisions=[of_bob, of_cy], experiment_customers=customers), owners={3: 1})
    await report(ledger, said("converted", of_cy, value=30))
    with open_experiments(ledger_url) as experiments:
        days = experiments.find_days("try")
        none = experiments.find_days("try", AS_OF - timedelta(days=9))
    assert [(each.arm, each.customers, each.converted, each.revenue, each.cost) for each in days] == [
        ("control", 2, 0, 0, Decimal("0.1")),
        ("treatment", 2, 0, 0, Decimal("0.1")),
        ("treatment", 0, 1, 30, 0),
    ]
    assert [each.day for each in days] == [TODAY, TODAY, LATER.date()]
    assert sum(each.net.revenue_squared for each in days[1:]) == Decimal("29.9") ** 2
    assert [each.cost for each in none] == [0, 0]


async def test_of_workers_that_stop_it_the_first_one_does(ledger: PostgresLedger, ledger_url: str) -> None:
    with open_experiments(ledger_url) as experiments:
        assert [experiments.stop("try", why) for why in ("worse", "much worse")] == [True, False]
        (stop,) = experiments.find_stops(["try", "other"]).values()
    assert (stop.reason, stop.stopped_at < datetime.now(UTC) + timedelta(hours=1)) == ("worse", True)
    assert await ledger.experiment_stops(["try", "other"]) == {"try": "worse"}


async def test_a_look_stops_what_is_clearly_worse_and_only_once(ledger: PostgresLedger, ledger_url: str) -> None:
    """Of 400 customers in each arm, one in two of the champion's converts and none of the challenger's."""
    names = [f"c{number}" for number in range(800)]
    made = {each: decision(campaign=PAID, customer_id=each) for each in names[:400]}
    customers = [reached(each, "champion" if each in made else "challenger") for each in names]
    await ledger.commit(BatchChanges(decisions=list(made.values()), experiment_customers=customers), owners={3: 1})
    running = Experiment("try", "churn", "churn-1", "churn-2", 0.5, AS_OF.isoformat(), "ann")
    assert stop_if_worse(ledger_url, running) is None
    await report(ledger, *(said("converted", each, value=20) for each in list(made.values())[::2]))
    why = stop_if_worse(ledger_url, running)
    assert why is not None
    assert why.startswith("the challenger is clearly worse: net revenue per customer 0.00, of the champion 9.90")
    assert stop_if_worse(ledger_url, running) is None
    assert await ledger.experiment_stops(["try"]) == {"try": why}


async def test_scores_of_a_shadow_are_compared(ledger: PostgresLedger, ledger_url: str) -> None:
    pairs = [
        (0.1, 0.2, "low", "low"),
        (0.5, 0.6, "medium", "medium"),
        (0.9, 0.6, "high", "medium"),
        (0.8, None, "high", None),
    ]
    await reach(
        ledger,
        *(
            ExperimentCustomer("try", f"c{n}", "champion", AS_OF, (one, other), (answer, shadow))
            for n, (one, other, answer, shadow) in enumerate(pairs)
        ),
    )
    with open_experiments(ledger_url) as experiments:
        agreement, answers = experiments.find_agreement("try"), experiments.count_answers("try")
        nothing = experiments.find_agreement("other")
    assert (agreement.customers, agreement.differing) == (3, 1)
    assert agreement.correlation == pytest.approx(0.8660, abs=1e-4)
    assert agreement.distance == pytest.approx(0.5 / 3)
    assert answers == {("high", "medium"): 1, ("low", "low"): 1, ("medium", "medium"): 1}
    assert nothing == Agreement(0, None, None, 0)
