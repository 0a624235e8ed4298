"""`holdfast models`: what it shows, what it refuses, and what it leaves on disk."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from console.cli import holdfast
from console.model_metrics import write_metrics
from console.model_preview import preview_swap
from console.model_views import compare_rows, format_gates, format_metric, format_preview
from features.table import FeatureTable
from models.errors import NoVersionError, PromotionRefusedError
from models.inputs import FEATURE_MAPPING
from models.mock import MockScorer
from models.registry import load_scorers
from models.versions import current_version, read_current, read_history, read_serving, read_version
from segments.definition import build_segment
from streams.settings import Settings
from tests.builders import AS_OF
from tests.model_versions import SHIPPED, add_copy, promote_copy
from training.monitoring.cohorts import Cohort
from training.monitoring.drift import CheckResult
from training.monitoring.monitor import MonitorResult, last_day_seen

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., str]

CHURN = current_version(SHIPPED / "churn") or ""
WATCH = MonitorResult(
    *(
        "churn",
        "churn-1",
        "retrain",
        [CheckResult("drift", "retrain", "PSI over 0.2: spend 0.31")],
        900,
        {"spend": 0.31},
    ),
    since=AS_OF.date(),
    threshold=0.4,
    periods=[Cohort("2011-06", 500, 0.4, 0.5, 0.1, 0.02, 0.71, 0.2)],
    groups=[],
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "models"))


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on a copy of the shipped models and return what it prints."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.setenv("HOLDFAST_MODELS_DIR", str(folder))
    view = folder.parent / "view.csv"
    view.write_text(",".join(("customer_id", *FEATURE_MAPPING.values())) + "\n1" + ",0" * len(FEATURE_MAPPING) + "\n")
    monkeypatch.setenv("HOLDFAST_WAREHOUSE_URL", f"csv:{view}")

    def invoke(*arguments: str, code: int = 0) -> str:
        promoted = CliRunner().invoke(holdfast, ["models", *arguments])
        if promoted.exception is not None and not isinstance(promoted.exception, SystemExit):
            raise promoted.exception
        assert promoted.exit_code == code, promoted.output
        return promoted.output

    return invoke


def test_the_shipped_models_are_as_their_manifests_say(run: Run) -> None:
    assert "every file as its manifest says" in run("verify")


def test_the_list_tells_which_version_serves(run: Run, folder: Path) -> None:
    add_copy(folder / "churn", "churn-2", gates=[{"name": "beats_rfm", "passed": False}])
    lines = run("list", "churn").splitlines()
    assert any(CHURN in line and " yes " in line for line in lines)
    assert any("churn-2" in line and "refused: not_worse_than_rfm" in line and " yes " not in line for line in lines)
    promoted = json.loads(run("list", "--json"))
    assert [each["serves"] for each in promoted["churn"]] == [False, True]


def test_a_version_is_promoted_and_taken_back(run: Run, folder: Path) -> None:
    add_copy(folder / "churn", "churn-2")
    assert f"promoted {CHURN} -> churn-2 by bob" in run("promote", "churn", "churn-2", "--by", "bob")
    assert run("promote", "churn", "churn-2") == "churn-2 serves already\n"
    assert json.loads(run("rollback", "churn", "--why", "odd", "--json"))[0]["after"] == CHURN
    assert "rolled back churn-2 -> " in run("show", "churn")


def test_a_refused_version_is_promoted_only_by_force_with_a_reason(run: Run, folder: Path) -> None:
    add_copy(folder / "churn", "churn-2", gates=[{"name": "beats_rfm", "passed": False}])
    for arguments in ([], ["--force"]):
        with pytest.raises(PromotionRefusedError):
            run("promote", "churn", "churn-2", *arguments)
    assert "forced against its gates: new season" in run(
        "promote", "churn", "churn-2", "--force", "--why", "new season"
    )


@pytest.mark.parametrize("force", [(), ("--force", "--why", "new season")])
def test_a_version_that_cannot_be_loaded_is_not_promoted(run: Run, folder: Path, force: tuple[str, ...]) -> None:
    gates = [{"name": "beats_rfm", "passed": not force}]
    add_copy(folder / "churn", "churn-2", b"no model", gates=gates)
    with pytest.raises(PromotionRefusedError, match=r"churn-2: cannot serve: .*not a TensorFlow Lite model"):
        run("promote", "churn", "churn-2", *force)
    assert current_version(folder / "churn") == CHURN
    assert '"churn-2"' not in (folder / "churn" / "history.jsonl").read_text()


@pytest.mark.parametrize(
    ("column", "problem"),
    [("spend", "view.csv has no column total_revenue"), ("total_revenue", "is text, time or JSON")],
)
def test_a_version_that_the_view_cannot_serve_is_not_promoted(
    run: Run, folder: Path, column: str, problem: str
) -> None:
    view = folder.parent / "view.csv"
    view.write_text(view.read_text().replace("total_revenue", column).replace("1,0,", "1,many,"))
    add_copy(folder / "churn", "churn-2")
    with pytest.raises(PromotionRefusedError, match=problem):
        run("promote", "churn", "churn-2")


def test_a_version_with_the_outputs_of_another_model_is_not_promoted(run: Run, folder: Path) -> None:
    nbo = read_current(folder / "nbo")
    assert nbo is not None
    add_copy(folder / "churn", "churn-2", (nbo.folder / "model.tflite").read_bytes(), outputs=8, spreads=8)
    with pytest.raises(PromotionRefusedError, match="8 outputs, 1 are needed"):
        run("promote", "churn", "churn-2")


@pytest.fixture
def by_rule(folder: Path) -> Path:
    """The model of churn, of which no version serves: the rule gives the one customer of the view another risk."""
    add_copy(folder / "churn", "churn-2")
    (folder / "churn" / "current").unlink()
    return folder / "churn"


def test_a_promotion_that_moves_more_than_the_share_is_refused(run: Run, by_rule: Path) -> None:
    for options in ((), ("--mode", "emit"), ("--mode", "silent")):
        with pytest.raises(
            PromotionRefusedError, match=r"1 of 1 customers \(100\.0%\) would move .* allows 5\.0%.*--yes"
        ):
            run("promote", "churn", "churn-2", *options)
    assert current_version(by_rule) is None
    assert "more than 5.0%: promote it with --yes" in run("promote", "churn", "churn-2", "--preview")


@pytest.mark.parametrize(
    ("options", "mode", "said"),
    [
        ((), "new", "only what the rule would have fired, too"),
        (("--mode", "silent"), "silent", "nothing fires"),
        (("--mode", "emit"), "emit", "everything fires that changes"),
    ],
)
def test_an_accepted_promotion_fires_what_its_mode_says(
    run: Run, by_rule: Path, options: tuple[str, ...], mode: str, said: str
) -> None:
    printed = run("promote", "churn", "churn-2", "--yes", *options)
    assert said in printed
    assert read_history(by_rule)[-1].mode == mode
    assert (read_serving(by_rule).changeover != "") is (mode != "emit")
    assert ("holdfast segments reevaluate" in printed) is (mode != "emit")


def test_a_promotion_within_the_share_needs_no_yes(run: Run, by_rule: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PROMOTION_SHARE", "1")
    (promoted,) = json.loads(run("promote", "churn", "churn-2", "--json"))
    assert (promoted["mode"], promoted["moved"], promoted["customers"]) == ("emit", 1, 1)
    assert read_serving(by_rule) == ("churn-2", "")


def test_a_model_of_offers_moves_nobody(run: Run, folder: Path) -> None:
    """It scores those who are contacted in any case."""
    add_copy(folder / "nbo", "nbo-2", features=list(FEATURE_MAPPING)[::-1])
    printed = run("promote", "nbo", "nbo-2", "--mode", "silent")
    assert printed.count("\n") == 1
    assert read_serving(folder / "nbo") == ("nbo-2", "")


def test_a_rollback_fires_nothing_by_itself_and_needs_no_warehouse(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_copy(folder / "churn", "churn-2")
    run("promote", "churn", "churn-2", "--mode", "silent")
    monkeypatch.setenv("HOLDFAST_WAREHOUSE_URL", "csv:/nowhere.csv")
    assert "continues from the last evaluation under" in run("rollback", "churn")
    assert read_serving(folder / "churn") == (CHURN, "")
    promote_copy(folder / "churn", "churn-3")
    assert "only what churn-3 would have fired, too" in run("rollback", "churn")
    assert read_serving(folder / "churn").changeover.endswith("-new")


def test_a_rollback_that_may_fire_everything_is_guarded(run: Run, folder: Path) -> None:
    """The version reads its features in another order, so it scores customers otherwise."""
    view, generator = folder.parent / "view.csv", np.random.default_rng(7)
    rows = [",".join(map(str, (n, *generator.choice((0, 400), len(FEATURE_MAPPING))))) for n in range(50)]
    view.write_text("\n".join([view.read_text().splitlines()[0], *rows]))
    promote_copy(folder / "churn", "churn-2", features=list(FEATURE_MAPPING)[::-1])
    with pytest.raises(PromotionRefusedError, match=r" of 50 customers .* would move"):
        run("rollback", "churn", "--mode", "emit")
    assert "everything fires" in run("rollback", "churn", "--mode", "emit", "--yes")
    assert read_serving(folder / "churn") == (CHURN, "")


def test_nothing_is_rolled_back_to_a_version_that_cannot_be_loaded(run: Run, folder: Path) -> None:
    promote_copy(folder / "churn", "churn-2", b"no model")
    promote_copy(folder / "churn", "churn-3")
    with pytest.raises(PromotionRefusedError, match="churn-2: cannot serve"):
        run("rollback", "churn")
    assert current_version(folder / "churn") == "churn-3"


def test_a_changed_file_ends_the_check_with_code_two(run: Run, folder: Path) -> None:
    (folder / "nbo" / "versions" / (current_version(folder / "nbo") or "") / "model.tflite").write_bytes(b"x")
    assert "model.tflite: its SHA-256 is" in run("verify", code=2)
    assert len(json.loads(run("verify", "--json", code=2))[current_version(folder / "nbo")]) == 1


def test_a_manifest_that_is_none_ends_the_check_with_code_two(run: Run, folder: Path) -> None:
    (add_copy(folder / "churn", "churn-2").folder / "manifest.json").write_text("{")
    promoted = run("verify", code=2)
    assert "not a model manifest" in promoted
    assert promoted.count("\n") == 1


def test_pruning_leaves_what_serves(run: Run, folder: Path) -> None:
    add_copy(folder / "churn", "churn-2")
    assert run("prune", "churn", "--keep-last", "0") == "deleted churn-2\n"
    assert run("prune", "churn", "--keep-last", "0") == "deleted nothing\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "../churn"), "no model '../churn'; there are: churn, ltv, nbo"),
        (("show", "churn", "churn-9"), f"no version 'churn-9'; there are: {CHURN}"),
        (("promote", "churn", "churn-9"), "no version 'churn-9'"),
    ],
)
def test_an_unknown_name_is_refused_with_those_there_are(run: Run, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(NoVersionError) as caught:
        run(*arguments)
    assert says in str(caught.value)


def test_without_a_folder_of_models_the_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_MODELS_DIR")
    with pytest.raises(NoVersionError, match="HOLDFAST_MODELS_DIR is not set"):
        run("list")


def test_two_versions_stand_side_by_side(run: Run, folder: Path) -> None:
    mine = read_version(SHIPPED / "churn", CHURN).manifest["metrics"]["model"]["auc"]
    add_copy(folder / "churn", "churn-2", features=["revenue"], metrics={"model": {"auc": 0.75}})
    promoted = run("compare", "churn", "churn-2")
    assert next(line.split() for line in promoted.splitlines() if line.startswith(" auc")) == [
        *("auc", "0.7500", f"{mine:.4f}", f"{mine - 0.75:+.4f}")
    ]
    assert "feature items" in promoted
    assert "feature revenue" not in promoted


def test_gates_of_two_manifests_stand_side_by_side_whichever_version_named_them() -> None:
    one, other = (
        {"gates": [{"name": name, "verdict": verdict}]}
        for name, verdict in (("beats_rfm", "passed"), ("not_worse_than_rfm", "refused"))
    )
    assert ("gate not_worse_than_rfm", "passed", "refused", "") in compare_rows(one, other)


@pytest.mark.parametrize(
    ("answers", "promoted"), [((), "not judged"), ((True, None, True), "2 passed"), ((True, False), "refused: gate 1")]
)
def test_gates_are_told_in_a_word(answers: tuple[bool | None, ...], promoted: str) -> None:
    gates = [{"name": f"gate {number}", "passed": passed} for number, passed in enumerate(answers)]
    assert format_gates({"gates": gates}) == promoted


def test_the_figure_of_a_version_comes_with_its_interval() -> None:
    assert format_metric({"metrics": {"model": {"r2_winsorised": 0.5, "r2_winsorised_95": [0.4, 0.6]}}}) == (
        "r2 0.500 [0.400, 0.600]"
    )


def test_a_preview_counts_who_would_move() -> None:
    scorers = load_scorers(SHIPPED, FEATURE_MAPPING)
    generator = np.random.default_rng(5)
    columns = {name: generator.gamma(1.0, 40.0, 500) for name in FEATURE_MAPPING.values()}
    today = FeatureTable(tuple(map(str, range(500))), columns)
    rule = {">=": [{"var": "churn_probability"}, 0.7]}
    risky = build_segment({"key": "risky", "name": "Risky", "rule": rule}, where="risky.json")
    found = preview_swap("churn", MockScorer("churn", 1), scorers, today, [risky], AS_OF)
    moved = sum(found.moves["churn_risk"].values())
    into_high = sum(count for (_, new), count in found.moves["churn_risk"].items() if new == "high")
    assert 0 < moved < 500
    assert found.segments["risky"][0] == into_high
    assert f"churn_risk: {moved:,} change" in "\n".join(format_preview(found, 0.05))
    assert moved <= found.moved < 500


@pytest.mark.parametrize(("name", "fact"), [("ltv", "value_segment"), ("nbo", "recommended_offer")])
def test_a_preview_of_the_same_model_moves_nobody(name: str, fact: str) -> None:
    scorers = load_scorers(SHIPPED, FEATURE_MAPPING)
    scorer = {"ltv": scorers["ltv"], "nbo": scorers["nbo"]}[name]
    today = FeatureTable(("ann",), {column: np.array([3.0]) for column in FEATURE_MAPPING.values()})
    found = preview_swap(name, scorer, scorers, today, [], AS_OF)
    assert found.moves == {fact: {}}


def test_figures_for_prometheus_are_written_at_once(tmp_path: Path) -> None:
    write_metrics(WATCH, tmp_path / "churn.prom", AS_OF)
    text = (tmp_path / "churn.prom").read_text()
    assert 'holdfast_model_psi{column="spend",model="churn",version="churn-1"} 0.31' in text
    assert 'holdfast_model_retrain{model="churn",version="churn-1"} 1.0' in text
    assert 'measure="auc",model="churn",month="2011-06"' in text
    assert [path.name for path in tmp_path.iterdir()] == ["churn.prom"]


def test_a_model_that_is_fine_asks_for_nothing(tmp_path: Path) -> None:
    write_metrics(replace(WATCH, verdict="cannot be judged"), tmp_path / "churn.prom", AS_OF)
    text = (tmp_path / "churn.prom").read_text()
    assert 'holdfast_model_retrain{model="churn",version="churn-1"} 0.0' in text
    assert 'holdfast_model_judged{model="churn",version="churn-1"} 0.0' in text


def test_outcomes_that_training_has_seen_are_not_judged_again() -> None:
    training = {"dates": ["2011-01-06", "2011-02-17"], "evaluation": {"dates": ["2011-03-03"]}}
    assert last_day_seen({"training": training}).isoformat() == "2011-03-03"
    assert last_day_seen({}).year == 1
