"""The rows that uplift is learned from, read from the decisions and outcomes that a worker stores."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from campaigns.candidates import decide_all
from features.table import FeatureTable
from tests.builders import AS_OF, campaign, candidate, decision, facts, offers, scores
from tests.contract.test_performance import LATER, report, said, store
from training.data.dataset import Source, read_dataset
from training.data.exposures import read_exposures
from training.errors import NoExposuresError, TrainingSourceError
from training.tasks.registry import TASKS

if TYPE_CHECKING:
    from campaigns.decide import Decision
    from campaigns.postgres_ledger import PostgresLedger

NAMES = ("ann", "bob", "cid", "dot", "eve", "fay")
HOLDING = campaign(holdout_percent=50)
UNTIL = AS_OF + timedelta(days=60)


def rows_of(
    ledger_url: str | None, until: datetime = UNTIL, columns: tuple[str, ...] = ("predicted_ltv",)
) -> dict[str, tuple[Any, ...]]:
    """Return campaign, whether contacted and converted, propensity and facts, by customer; the window is of 30 days."""
    source = Source("", None, date.min, window_days=30, ledger_url=ledger_url)
    table = read_exposures(source, columns, until)
    names = ("campaign", "contacted", "converted", "propensity", *columns)
    cells = zip(*(table.columns[name].tolist() for name in names), strict=True)
    return dict(zip(table.customer_ids, cells, strict=True))


def held(**changes: Any) -> list[Decision]:
    """Six customers of a campaign that holds out half of them; ann, bob and dot are contacted or not by their hash."""
    return [decision(campaign=HOLDING, customer_id=name, **changes) for name in NAMES]


async def test_each_row_has_its_arm_and_what_was_known_before(ledger: PostgresLedger, ledger_url: str) -> None:
    made = held()
    await store(ledger, *made)
    await report(ledger, said("converted", made[0], value=5))
    found = rows_of(ledger_url)
    arms = {each.candidate.customer_id: each.outcome == "fired" for each in made}
    assert {name: row[1] for name, row in found.items()} == arms
    assert {name: row[2] for name, row in found.items()} == {name: name == "ann" for name in NAMES}
    share = {arm: sum(each is arm for each in arms.values()) / len(NAMES) for arm in (True, False)}
    assert all(row[3] == pytest.approx(share[row[1]]) for row in found.values())
    assert {row[4] for row in found.values()} == {1250.5}


async def test_a_conversion_after_the_window_does_not_count_and_one_by_a_later_contact_does(
    ledger: PostgresLedger,
    ledger_url: str,
) -> None:
    first, again = held(), held(occasion="2", as_of=LATER)
    await store(ledger, *first, *again)
    late = (AS_OF + timedelta(days=31)).isoformat()
    await report(ledger, said("converted", first[0], occurred_at=late), said("converted", again[1]))
    found = rows_of(ledger_url)
    assert [found[name][2] for name in ("ann", "bob", "cid")] == [False, True, False]
    assert len(found) == len(NAMES)


async def test_a_window_that_is_not_over_has_no_row(ledger: PostgresLedger, ledger_url: str) -> None:
    await store(ledger, *held())
    assert not rows_of(ledger_url, AS_OF + timedelta(days=29))
    assert rows_of(ledger_url, AS_OF + timedelta(days=30))
    early = Source("", None, date.min, window_days=30, ledger_url=ledger_url, until=AS_OF)
    with pytest.raises(NoExposuresError, match="whose window of 30 days is over"):
        read_dataset(early, TASKS["uplift"])


async def test_a_version_with_one_arm_has_no_rows(ledger: PostgresLedger, ledger_url: str) -> None:
    """Whoever it contacted cannot be compared, and stays out although another version of the campaign holds out."""
    everybody = decision(customer_id="gil", versions={"campaign": "no-holdout"})
    await store(ledger, *held(), everybody, decision(campaign=campaign(key="open"), customer_id="hal"))
    assert rows_of(ledger_url).keys() == set(NAMES)


async def test_whom_a_campaign_contacts_to_explore_has_the_lower_probability(
    ledger: PostgresLedger,
    ledger_url: str,
) -> None:
    quarter = campaign(holdout_percent=50, uplift_exploration_percent=25)
    names = tuple(f"customer-{number}" for number in range(60))
    rows = [facts()] * len(names)
    table = FeatureTable.from_rows(names, list(rows[0]), [list(row.values()) for row in rows])
    made = decide_all(
        [candidate(customer_id=name, campaign=quarter) for name in names],
        table,
        {},
        offers(),
        lambda chosen: (np.tile(scores(3), (len(chosen), 1)), np.full(len(chosen), "model", dtype=object)),
        score_contacts=lambda chosen: {"win-back": np.tile([0.1, 0.4], (len(chosen), 1))},
    )
    await store(ledger, *made)
    found = rows_of(ledger_url)
    assert 0 < len(found) < len(names)
    arms = [row[1] for row in found.values()]
    assert all(row[3] == pytest.approx(0.25 * arms.count(row[1]) / len(arms)) for row in found.values())


async def test_a_fact_that_was_not_recorded_is_null(ledger: PostgresLedger, ledger_url: str) -> None:
    await store(ledger, *held())
    unknown = Source("", {"size": "shoe_size"}, date.min, window_days=30, ledger_url=ledger_url, until=UNTIL)
    with pytest.raises(NoExposuresError, match="no decision has recorded shoe_size"):
        read_dataset(unknown, TASKS["uplift"])
    assert all(np.isnan(row[4]) for row in rows_of(ledger_url, columns=("shoe_size",)).values())


def test_a_ledger_without_tables_or_out_of_reach_is_an_error_in_words(empty_ledger_url: str) -> None:
    for url in (empty_ledger_url, "postgresql://127.0.0.1:1/none"):
        with pytest.raises(TrainingSourceError, match="check HOLDFAST_LEDGER_URL, and run holdfast ledger migrate"):
            rows_of(url)
    with pytest.raises(NoExposuresError, match="set HOLDFAST_LEDGER_URL"):
        rows_of(None)
