"""`holdfast predict` on an extract, which needs no service."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner

from campaigns.definition import SHIPPED as SHIPPED_CAMPAIGNS
from console.cli.predict import describe, draw_bar
from console.cli.predict import predict as command
from console.errors import PredictionError
from console.use_cases.prediction_file import write_predictions
from console.use_cases.predictions import predict_customers, predict_segment
from features.errors import WarehouseLayoutError
from features.table import FeatureTable
from models.inputs import FEATURE_MAPPING
from models.predictions import list_kinds
from models.registry import load_scorers
from models.scores import score_customers
from segments.definition import SHIPPED as SHIPPED_SEGMENTS
from segments.errors import SegmentsError
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.settings import Settings

SHIPPED = Path(__file__).parents[2] / "examples" / "online_retail" / "models"
COLUMNS = (*FEATURE_MAPPING.values(), "tenure_days")
COUNT = 120


def make_rows() -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(4).gamma(1.0, 60.0, (COUNT, len(COLUMNS))).round(2)


def write_view(folder: Path, *more: str) -> Settings:
    lines = [f"{place},{','.join(map(str, row))}" for place, row in enumerate(make_rows().tolist())]
    path = folder / "customers.csv"
    path.write_text("\n".join((f"customer_id,{','.join(COLUMNS)}", *lines, *more)) + "\n", encoding="utf-8")
    return load_settings(warehouse_url=f"csv:{path}", models_dir=SHIPPED)


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("HOLDFAST_WAREHOUSE_URL", settings.warehouse_url)
    monkeypatch.setenv("HOLDFAST_MODELS_DIR", str(SHIPPED))
    return CliRunner().invoke(command, arguments)


def rounded(value: Any) -> Any:
    """A batch of one and a large one differ by rounding."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return pytest.approx(value, abs=2e-6) if isinstance(value, float) else value


def in_segment(settings: Settings, kind: str, segment: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    predict_segment(
        settings, kind, segment, lambda service, page: found.extend(service.describe(kind, page.predicted, page.facts)),
        describes=True,
    )  # fmt: skip
    return found


@pytest.mark.parametrize("kind", list_kinds())
def test_a_customer_is_predicted_as_in_a_scan(tmp_path: Path, kind: str) -> None:
    """And the answers come in the order of the questions, each once."""
    settings = write_view(tmp_path)
    answers = predict_customers(settings, kind, ["7", "3", "7"])
    assert [each["customer_id"] for each in answers.predictions] == ["7", "3"]
    every = {each["customer_id"]: each for each in in_segment(settings, kind, None)}
    assert len(every) == COUNT
    for each in answers.predictions:
        assert each == rounded(every[each["customer_id"]])


def test_a_prediction_is_what_a_worker_scores(tmp_path: Path) -> None:
    settings = write_view(tmp_path)
    table = FeatureTable(tuple(map(str, range(COUNT))), dict(zip(COLUMNS, make_rows().T, strict=True)))
    facts = score_customers(table, load_scorers(SHIPPED, FEATURE_MAPPING))
    for place, each in enumerate(in_segment(settings, "churn", None)):
        row = facts.row(place)
        assert each["churn_probability"] == pytest.approx(row["churn_probability"], abs=1e-6)
        assert each["decision_basis"] == row["decision_basis"]


def test_a_segment_is_who_its_rule_holds_for_now(tmp_path: Path) -> None:
    settings = write_view(tmp_path)
    rule = tmp_path / "draft.json"
    rule.write_text(json.dumps({"key": "draft", "name": "Draft", "rule": {">=": [{"var": "churn_probability"}, 0.15]}}))
    inside = {each["customer_id"] for each in in_segment(settings, "churn", str(rule))}
    assert inside == {
        each["customer_id"] for each in in_segment(settings, "churn", None) if each["churn_probability"] >= 0.15
    }
    assert 0 < len(inside) < COUNT
    assert {each["customer_id"] for each in in_segment(settings, "rfm", str(rule))} == inside


@pytest.mark.parametrize("kind", list_kinds())
def test_a_file_holds_what_is_said_of_each_customer(tmp_path: Path, kind: str) -> None:
    """Null is null, also of numbers."""
    settings, out = write_view(tmp_path, f"nobody{',' * len(COLUMNS)}"), tmp_path / "out.parquet"
    shown: list[int] = []
    count, _ = write_predictions(settings, kind, out, None, shown.append)
    relation = duckdb.read_parquet(str(out))
    rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    assert (count, len(rows), shown[-1]) == (COUNT + 1,) * 3
    spoken = {each["customer_id"]: each for each in in_segment(settings, kind, None)}
    for row in rows:
        said = spoken[row["customer_id"]]
        shared = row.keys() & said.keys()
        assert len(shared) >= 4
        assert {name: row[name] for name in shared} == {name: said[name] for name in shared}
    assert list(tmp_path.glob(".*")) == []


def test_the_file_of_an_empty_view_has_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(f"customer_id,{','.join(COLUMNS)}\n", encoding="utf-8")
    settings, out = load_settings(warehouse_url=f"csv:{path}"), tmp_path / "out.parquet"
    assert write_predictions(settings, "churn", out, None)[0] == 0
    assert duckdb.read_parquet(str(out)).columns[:2] == ["customer_id", "churn_probability"]


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [(["x"], "the warehouse has no customer 'x'; check the id"), (["1"], "the warehouse has 2 rows of customer '1'")],
)
def test_a_customer_without_one_row_is_a_problem_and_not_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: Sequence[str], sentence: str
) -> None:
    """The others are predicted; the exit code is 2."""
    settings = write_view(tmp_path, f"1{',5' * len(COLUMNS)}")
    done = run(settings, monkeypatch, "churn", *ids, "2", "--json")
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert [json.loads(line)["customer_id"] for line in done.stdout.splitlines()] == ["2"]


def test_without_models_the_rules_predict_and_say_so(tmp_path: Path) -> None:
    settings = write_view(tmp_path).model_copy(update={"models_dir": tmp_path})
    answers = predict_customers(settings, "churn", ["1"])
    assert answers.predictions[0]["model_version"] == "rules_v1"
    assert answers.notes == [f"churn: the rules score, no model promoted at {tmp_path / 'churn'}"]


def test_a_column_that_a_model_lacks_is_named(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,transaction_count\n1,5\n", encoding="utf-8")
    settings = load_settings(warehouse_url=f"csv:{path}", models_dir=SHIPPED)
    answers = predict_customers(settings, "churn", ["1"])
    assert answers.predictions[0]["decision_basis"] == "rules"
    assert "needs column 'total_revenue'" in answers.notes[0]
    with pytest.raises(PredictionError, match="no days_since_last_transaction, total_revenue; add it to the view"):
        predict_customers(settings, "rfm", ["1"])


def test_a_warehouse_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WarehouseLayoutError, match="there is no file"):
        predict_customers(load_settings(warehouse_url=f"csv:{tmp_path}/none.csv"), "churn", ["1"])


def test_a_segment_that_is_unknown_is_named(tmp_path: Path) -> None:
    with pytest.raises(SegmentsError, match="no segment 'vip-customer'; did you mean 'vip-customers'"):
        in_segment(write_view(tmp_path), "churn", "vip-customer")


def test_a_folder_that_is_not_there_is_named_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "no" / "out.parquet"
    with pytest.raises(PredictionError, match="cannot be written: No such file or directory; choose another --out"):
        write_predictions(load_settings(warehouse_url="csv:none"), "churn", out, None)


def test_a_file_stays_as_it_was_when_the_warehouse_fails(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    out.write_text("before")
    with pytest.raises(WarehouseLayoutError):
        write_predictions(load_settings(warehouse_url=f"csv:{tmp_path}/none.csv"), "churn", out, None)
    assert out.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["out.parquet"]


def test_without_duckdb_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(PredictionError, match="install Holdfast with the extra `local`"):
        write_predictions(load_settings(), "churn", tmp_path / "out.parquet", None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["churn"], "name customers, a segment with --segment, or all of them with --all"),
        (["churn", "1", "--all"], "name customers, a segment"),
        (["churn", "1", "--out", "x.parquet"], "leave it out for single customers"),
        (["churn", "--all"], "--all needs a file"),
        (["churn", "--all", "--json", "--out", "x.parquet"], "leave one out"),
        (["loyalty", "1"], "'churn', 'nbo', 'ltv', 'rfm'"),
    ],
)
def test_what_contradicts_itself_is_refused(arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_a_person_reads_the_reasons_with_a_bar_each() -> None:
    golden = json.loads((Path(__file__).parents[1] / "golden" / "churn_prediction.json").read_text(encoding="utf-8"))
    assert describe("churn", golden, {}) == [
        "customer high: churn probability 0.7000, risk high, at risk, confidence low, by ml_given",
        "reasons:",
        "  days_since_last  +0.2000  ################  no purchase for 69 days",
        "  cancellations    -0.1000  ########          no cancelled order",
        "what to do:",
        "  - Make an offer",
    ]
    assert [draw_bar(*each) for each in ((0.0, 1.0), (0.001, 1.0), (0.0, 0.0))] == ["", "#", ""]


@pytest.mark.parametrize("kind", list_kinds())
def test_every_kind_is_read_by_people_and_by_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings = write_view(tmp_path)
    done = run(settings, monkeypatch, kind, "5")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("customer 5: ")
    members = run(settings, monkeypatch, kind, "--segment", "vip-customers")
    assert members.exit_code == 0, members.output


def test_the_rule_of_an_offer_counts_for_offers_and_advice(tmp_path: Path) -> None:
    """It may read a score, or a column that no model reads."""
    definitions = tmp_path / "definitions"
    shutil.copytree(SHIPPED_SEGMENTS, definitions / "segments")
    shutil.copytree(SHIPPED_CAMPAIGNS, definitions / "campaigns")
    path = definitions / "campaigns" / "offers.json"
    rules = {1: {"<": [{"var": "churn_probability"}, 0.15]}, 2: {"<": [{"var": "tenure_days"}, 50]}}
    catalogue = [each | {"rule": rules.get(each["id"], False)} for each in json.loads(path.read_text(encoding="utf-8"))]
    path.write_text(json.dumps(catalogue), encoding="utf-8")
    settings = write_view(tmp_path).model_copy(update={"definitions_dir": definitions})
    offers = {each["customer_id"]: each["recommended_offer"] for each in in_segment(settings, "nbo", None)}
    assert set(offers.values()) == {1, 2, None}
    rows = dict(zip(map(str, range(COUNT)), make_rows(), strict=True))
    for each in in_segment(settings, "churn", None):
        allowed = {1} if each["churn_probability"] < 0.15 else set()
        allowed |= {2} if rows[each["customer_id"]][COLUMNS.index("tenure_days")] < 50 else set()
        assert offers[each["customer_id"]] in (allowed or {None})
        named = [advice for advice in each["recommendations"] if "Free shipping" in advice]
        assert not named or offers[each["customer_id"]] == 1
