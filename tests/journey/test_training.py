"""Training from the example warehouse, run as its documented command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner

from console.cli import holdfast
from models.versions import list_versions, read_history

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.journey.conftest import LendExample

EXAMPLE = Path(__file__).parents[2] / "examples" / "online_retail"
# find_spec, not import: TensorFlow and the interpreter crash in one process.
needs_tensorflow = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the extra `training`")


@pytest.fixture
def example_url(lend_example: LendExample) -> Iterator[str]:
    with lend_example(date(2011, 6, 1)) as url:
        yield url


def run(*arguments: str, url: str, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training", *arguments, "--warehouse-url", url, "--out", str(out)]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, cwd=EXAMPLE.parents[1]
    )


def output(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON object on the last line of the output."""
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def manifest(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of the version that a run created."""
    return dict(json.loads((Path(outcome["folder"]) / "manifest.json").read_text()))


@needs_tensorflow
def test_all_is_promoted_or_refused_with_reasons_and_the_same_when_repeated(example_url: str, tmp_path: Path) -> None:
    """With the documented command, which gives the shipped models; one of them is trained a second time."""
    how = ("--net", "additive", "--json")
    runs = [run(what, *how, url=example_url, out=tmp_path) for what in ("all", "churn")]
    first, second = (output(done)["models"] for done in runs)
    assert {done.returncode for done in runs} <= {0, 3}
    for name in ("churn", "ltv", "nbo"):
        assert first[name]["verdict"] in {"promoted", "refused"}
        assert bool(first[name]["refusals"]) is (first[name]["verdict"] == "refused")
        gates = {gate["name"] for gate in first[name]["gates"]}
        assert gates > {"enough_data", "no_leakage", "not_worse_than_champion"}
        shipped = list_versions(EXAMPLE / "models" / name)[-1].manifest
        assert manifest(first[name])["training"]["data_sha256"] == shipped["training"]["data_sha256"]
        made = manifest(first[name])
        assert {"card.md", "report.html", "training_snapshot.json", "reasons.json"} <= made["files"].keys()
        assert {each for group in made["reasons"]["groups"] for each in group} == set(made["features"])
    assert [manifest(first[name]).get("spreads") for name in ("churn", "nbo", "ltv")] == [1, 8, None]
    measured = [manifest(first[name]) for name in ("churn", "ltv", "nbo") if "confidence" in manifest(first[name])]
    assert all(each["metrics"]["confidence"].keys() == {"high", "medium", "low"} for each in measured)
    assert second["churn"]["verdict"] == {"promoted": "unchanged"}.get(first["churn"]["verdict"], "refused")
    assert first["churn"]["metrics"]["model"] == second["churn"]["metrics"]["model"]
    assert first["churn"]["version"] == second["churn"]["version"]


QUERY = """SELECT customer_id, country, total_revenue * 2.0 AS spend, days_since_last_transaction AS days, churned
           FROM customer_churn_history WHERE snapshot_date >= :start_date"""
VIEW = """CREATE VIEW of_today AS
          SELECT customer_id, country, total_revenue * 2.0 AS spend, days_since_last_transaction AS days
          FROM customer_features_view"""


@needs_tensorflow
def test_ones_own_query_mapping_groups_and_search_are_used_and_force_is_recorded(
    example_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(example_url) as connection:
        connection.execute(VIEW)
    done = run(
        *("churn", "--start-date", "2011-02-01", "--segment-by", "country", "--tune", "2", "--net", "additive"),
        *("--force", "--why", "to see it serve", "--json"),
        url=example_url,
        out=tmp_path,
        DWH_CHURN_TRAINING_QUERY=QUERY,
        ML_FEATURE_MAPPING=json.dumps({"spend": "spend", "recency": "days", "land": "country"}),
        DWH_CUSTOMER_FEATURES_TABLE="of_today",
    )
    assert done.returncode == 0, done.stderr
    made = manifest(output(done)["models"]["churn"])
    assert made["features"] == ["spend", "recency", "land"]
    assert {"france", "germany", "united kingdom"} < set(made["categories"]["land"])
    assert made["choice"]["tuning"]["trials"] == 2
    assert made["routes"]["groups"]["United Kingdom"]["served"]["auc"] > 0.5
    (line,) = read_history(tmp_path / "churn")
    assert (line.why, line.mode) == ("to see it serve", "new")
    assert "promoted with mode new" in output(done)["models"]["churn"]["notes"][-1]


@needs_tensorflow
def test_orders_are_enough_to_train_on(example_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that the present view cannot serve waits for the view that was written with it."""
    windows = ("--observation-window", "60", "--prediction-window", "50", "--cut-offs", "3")
    orders = "SELECT customer_id, ordered_at, amount FROM orders WHERE ordered_at < '2011-05-31'"
    done = run("ltv", "--orders", orders, *windows, "--net", "additive", "--json", url=example_url, out=tmp_path)
    assert done.returncode in {0, 3}, done.stderr
    made = manifest(output(done)["models"]["ltv"])
    assert made["window_days"] == 50
    assert "days_since_last_transaction" in made["features"]
    assert made["outputs"] == 3
    assert "trained on rows dated 2011-02-19 or earlier" in made["training"]["split"]
    result = output(done)["models"]["ltv"]
    assert done.returncode == 3
    assert "only in the model: active_days_60d" in result["notes"][0]

    folder = Path(result["folder"])
    with psycopg.connect(example_url) as connection:
        connection.execute((folder / "view.sql").read_bytes())
    settings = {"HOLDFAST_WAREHOUSE_URL": example_url, "HOLDFAST_MODELS_DIR": str(tmp_path)}
    for name, value in (settings | {"ML_FEATURE_MAPPING": (folder / "feature_mapping.json").read_text()}).items():
        monkeypatch.setenv(name, value)
    promote = ["models", "promote", "ltv", result["version"], "--force", "--why", "a short history"]
    refused = CliRunner().invoke(holdfast, promote)
    assert "customer_features_view has no column transactions_60d" in str(refused.exception)
    monkeypatch.setenv("DWH_CUSTOMER_FEATURES_TABLE", "customer_features_view_with_orders")
    guarded = CliRunner().invoke(holdfast, promote)
    assert "would move across a band or a segment" in str(guarded.exception)
    promoted = CliRunner().invoke(holdfast, [*promote, "--yes"])
    assert promoted.exit_code == 0, promoted.output


@needs_tensorflow
def test_the_time_to_the_next_purchase_is_learned_from_orders(example_url: str, tmp_path: Path) -> None:
    windows = ("--observation-window", "60", "--prediction-window", "60", "--cut-offs", "3")
    orders = "SELECT customer_id, ordered_at, amount FROM orders WHERE ordered_at < '2011-06-01'"
    done = run(
        "next_purchase", "--orders", orders, *windows, "--net", "additive", "--json", url=example_url, out=tmp_path
    )
    assert done.returncode in {0, 3}, done.stderr
    found = output(done)["models"]["next_purchase"]
    made, measured = manifest(found), found["metrics"]
    assert (made["outputs"], made["window_days"]) == (12, 60)
    assert measured["model"]["brier_skill"] > 0
    assert [each["day"] for each in measured["curve"]][::6] == [5, 35]
    assert {"beats_kaplan_meier", "not_worse_than_logistic_regression"} <= {gate["name"] for gate in found["gates"]}
    assert "Do customers wait as long as it says?" in (Path(found["folder"]) / "report.html").read_text()


def test_without_orders_or_sql_there_are_no_waiting_times(warehouse_url: str, tmp_path: Path) -> None:
    done = run("next_purchase", url=warehouse_url, out=tmp_path)
    assert done.returncode == 2
    assert "make its rows of orders, with --orders TABLE, or give your own SQL" in done.stderr


def test_orders_over_too_few_days_are_refused_before_they_are_read(example_url: str, tmp_path: Path) -> None:
    done = run("ltv", "--orders", "orders", url=example_url, out=tmp_path)
    assert done.returncode == 2
    assert "one observation window and two prediction windows are 910" in done.stderr


def test_rfm_cut_points_of_the_example_are_those_shipped(example_url: str, tmp_path: Path) -> None:
    done = run("rfm", url=example_url, out=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rfm.json").read_text() == (EXAMPLE / "models" / "rfm.json").read_text()


@pytest.mark.parametrize(
    ("url", "reason"),
    [("postgresql://someone:secret@127.0.0.1:1/none", "connection"), (None, "no_such_table")],
)
def test_what_cannot_be_read_is_one_sentence_and_exit_code_two(
    url: str | None, reason: str, warehouse_url: str, tmp_path: Path
) -> None:
    query = "SELECT * FROM no_such_table"
    done = run("rfm", "--query", query, url=url or warehouse_url, out=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
