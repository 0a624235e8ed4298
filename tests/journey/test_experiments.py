"""A challenger under two workers: as a shadow, and for half of the customers until it stops because it is worse."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import numpy as np
import psycopg
import pytest

from features.table import FeatureTable
from models.experiments import Experiment, read_experiments
from models.inputs import FEATURE_MAPPING
from models.registry import load_version
from models.versions import current_version, read_current
from tests.journey.test_breaker import owns_partitions
from tests.journey.test_worker import read_health, workplace
from tests.journey.workplace import wait_until, write_json
from tests.model_versions import SHIPPED, add_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"customer-{number}" for number in range(400)]
CHALLENGER = "churn-2"
OTHER_COLUMNS = {"transactions_90d": 2, "items_total": 10, "cancellations": 0}
RECENT, LAPSED = 5, 90


@dataclass(frozen=True)
class AtWork:
    """Two workers, and the version that serves."""

    place: Workplace
    workers: list[WorkerProcess]
    champion: str

    @property
    def home(self) -> Path:
        """The model's folder."""
        return self.place.folder / "models" / "churn"

    def lapse(self, customers: list[str]) -> None:
        """Let customers be evaluated twice: as recent buyers, then as lapsed ones."""
        for days in (RECENT, LAPSED):
            self.place.set_customers(customers, days=days)
            self.place.update(*customers)

    def metrics(self, worker: WorkerProcess) -> str:
        """Return what a worker exposes."""
        with urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
            return str(answer.read().decode())

    def wait_for(self, line: str) -> None:
        """Wait until every worker shows a line of metrics."""
        wait_until(lambda: all(line in self.metrics(each) for each in self.workers))


def score(home: Path, version: str, days: int) -> float:
    """Return the score of a customer of this test."""
    row = {"total_revenue": 100, "transaction_count": 4, "avg_transaction_value": 25, "lifetime_value": 100}
    columns = {**row, **OTHER_COLUMNS, "days_since_last_transaction": days}
    table = FeatureTable(("x",), {name: np.array([float(value)]) for name, value in columns.items()})
    return float(load_version(home, version, FEATURE_MAPPING).score(table)[0, 0])


def add_challenger(home: Path) -> float:
    """Add a version that reads recency where it should not, and return a threshold that lapsed customers pass.

    Only by the scores of the champion.
    """
    current = read_current(home)
    assert current is not None
    swapped = {"days_since_last": "cancellations", "cancellations": "days_since_last"}
    add_copy(home, CHALLENGER, features=[swapped.get(each, each) for each in current.manifest["features"]])
    found = {
        (each, days): score(home, each, days) for each in (current.version, CHALLENGER) for days in (RECENT, LAPSED)
    }
    high = found.pop((current.version, LAPSED))
    assert high > max(found.values()) + 0.02
    return (high + max(found.values())) / 2


@pytest.fixture(scope="module")
def at_work(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtWork]:
    """Two workers, a model, and a campaign on whoever has a high score."""
    folder = tmp_path_factory.mktemp("experiments")
    models = shutil.copytree(SHIPPED, folder / "models")
    threshold = add_challenger(models / "churn")
    with workplace(endpoints, folder) as place, ExitStack() as stack:
        place.environment |= {
            "HOLDFAST_MODELS_DIR": str(models),
            "ML_MOCK_MODE": "false",
            "HOLDFAST_EXPERIMENT_CHECK_S": "1",
            "HOLDFAST_LIVE_DRIFT_PSI": "0",
        }
        del place.environment["HOLDFAST_INSTANCE_ID"]
        add_columns(place)
        rule = {">": [{"var": "churn_probability"}, threshold]}
        write_json(folder / "definitions" / "segments" / "lapsing.json", {"key": "lapsing", "name": "x", "rule": rule})
        workers = [place.start_worker() for _ in range(2)]
        for each in workers:
            stack.callback(each.stop)
        wait_until(lambda: all(map(owns_partitions, workers)))
        yield AtWork(place, workers, str(current_version(models / "churn")))


def add_columns(place: Workplace) -> None:
    """Let the view have every column that the models read."""
    added = ", ".join(f"ADD COLUMN {name} integer DEFAULT {value}" for name, value in OTHER_COLUMNS.items())
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(f"ALTER TABLE customer_features_view {added}".encode())


def decided(place: Workplace, customers: list[str]) -> dict[str, dict[str, Any]]:
    """Return the decision about each of the customers."""
    bodies = [each.body for each in place.see("decisions")]
    return {each["customer_id"]: each for each in bodies if each["customer_id"] in customers}


def test_a_shadow_is_recorded_and_decides_nothing(at_work: AtWork) -> None:
    place, customers = at_work.place, [f"shadow-{number}" for number in range(40)]
    started = place.do("models", "experiment", "start", "churn", CHALLENGER, "--mode", "shadow", "--why", "look")
    assert f"{CHALLENGER} scores, too, and decides nothing; {at_work.champion} decides" in started
    (shadow,) = read_experiments(at_work.home)
    at_work.wait_for(f'holdfast_experiments{{experiment="{shadow.key}",mode="shadow",model="churn"}} 1.0')
    at_work.lapse(customers)
    decisions = decided(place, customers)
    assert {each["outcome"] for each in decisions.values()} == {"fired"}
    assert {each["versions"]["churn"] for each in decisions.values()} == {at_work.champion}
    ((recorded,),) = {json.dumps(each["experiments"]): each["experiments"] for each in decisions.values()}.values()
    assert (recorded["experiment"], recorded["arm"], recorded["challenger"]) == (shadow.key, "champion", CHALLENGER)
    assert recorded["shadow"]["churn_probability"] == pytest.approx(score(at_work.home, CHALLENGER, LAPSED), abs=1e-5)
    said = place.do("models", "experiment", "status", "churn")
    assert "40 customers were scored by both: correlation" in said
    refused = place.holdfast("models", "experiment", "start", "churn", CHALLENGER, "--share", "0.5")
    assert (refused.returncode, f"experiment {shadow.key} runs" in refused.stderr) == (2, True)
    assert "is ended: seen enough" in place.do("models", "experiment", "stop", "churn", "--why", "seen enough")


def test_a_worse_challenger_decides_for_its_share_until_it_stops_by_itself(at_work: AtWork) -> None:
    place = at_work.place
    place.do("models", "experiment", "start", "churn", CHALLENGER, "--share", "0.5", "--why", "cheaper")
    running = read_experiments(at_work.home)[-1]
    at_work.wait_for(f'holdfast_experiments{{experiment="{running.key}",mode="live",model="churn"}} 1.0')
    at_work.lapse(CUSTOMERS)
    check_arms(at_work, running)
    triggers = [each.body for each in place.see("campaign-triggers") if each.body["customer_id"] in CUSTOMERS]
    sold = [
        place.event(each["customer_id"], "outcome.converted", trigger_id=each["trigger_id"], value=20.0)
        for each in triggers[::2]
    ]
    place.publish("outcomes", *sold, *sold)
    place.settle()
    at_work.wait_for(f'holdfast_experiment_stopped{{experiment="{running.key}",model="churn"}} 1.0')
    assert place.ask_ledger("SELECT experiment FROM experiment_stop") == [(running.key,)]
    for each in at_work.workers:
        assert any("has stopped, the champion decides for every" in said for said in read_health(each)["degraded"])
    assert sum(log.read_text().count("experiment_stopped") for log in place.folder.glob("worker-*.log")) == 1
    said = place.do("models", "experiment", "status", "churn")
    assert "stopped by itself" in said
    assert "the challenger is clearly worse: net revenue per customer 0.00, of the champion" in said


def check_arms(at_work: AtWork, running: Experiment) -> None:
    """Compare decisions and reach with the assignment: customers of the challenger are not found to lapse."""
    arms = dict(zip(CUSTOMERS, running.assign(CUSTOMERS).tolist(), strict=True))
    decisions = decided(at_work.place, CUSTOMERS)
    assert decisions.keys() == {each for each, challenged in arms.items() if not challenged}
    assert {each["versions"]["churn"] for each in decisions.values()} == {at_work.champion}
    assert {each["experiments"][0]["arm"] for each in decisions.values()} == {"champion"}
    query = f"SELECT customer_id, arm = 'challenger' FROM experiment_customer WHERE experiment = '{running.key}'"  # noqa: S608 - our own key
    assert dict(at_work.place.ask_ledger(query)) == arms


def test_then_the_champion_decides_for_everybody(at_work: AtWork) -> None:
    """Also for those who were the challenger's."""
    place, key = at_work.place, read_experiments(at_work.home)[-1].key
    wait_until(lambda: all(f'experiment="{key}",mode="live"' not in at_work.metrics(each) for each in at_work.workers))
    at_work.lapse(CUSTOMERS)
    decisions = decided(place, CUSTOMERS)
    assert decisions.keys() == set(CUSTOMERS)
    assert {each["versions"]["churn"] for each in decisions.values()} == {at_work.champion}
    closed = place.do("models", "experiment", "stop", "churn", "--why", "worse")
    assert f"experiment {key} is ended: the challenger is clearly worse" in closed
    wait_until(lambda: all(read_health(each)["status"] == "ok" for each in at_work.workers))
    ended = json.loads(place.do("models", "experiment", "status", "churn", "--json"))["latest"]
    assert (ended["experiment"]["stopped_by"], ended["runs"]) == ("holdfast", False)
    assert ended["result"]["challenger"]["customers"] + ended["result"]["champion"]["customers"] == len(CUSTOMERS)


def test_misuse_is_told_in_a_sentence(at_work: AtWork) -> None:
    place = at_work.place
    neither = place.holdfast("models", "experiment", "start", "churn", CHALLENGER)
    assert (neither.returncode, "say either --share and a number, or --mode shadow" in neither.stderr) == (2, True)
    serves = place.holdfast("models", "experiment", "start", "churn", at_work.champion, "--mode", "shadow")
    assert (serves.returncode, "serves already" in serves.stderr) == (2, True)
    unknown = place.holdfast("models", "experiment", "start", "churn", "churn-9", "--mode", "shadow")
    assert (unknown.returncode, "no version 'churn-9'" in unknown.stderr) == (2, True)
    assert place.do("models", "experiment", "stop", "churn", "--why", "x") == (
        "no experiment on churn runs; nothing was changed\n"
    )
    assert place.do("models", "experiment", "status", "ltv").startswith("there was no experiment on ltv")
