"""Promotions that must not fire: what the models folder records of them, and what a worker loads."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.changeovers import Serving
from models.errors import VersionError
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.versions import current_version, promote, read_history, read_serving, roll_back, version_folder
from segments.evaluated_versions import combine, find_mode, rules_of
from streams.decision_config import find_versions
from streams.runtime.model_reload import ModelReloader
from tests.builders import AS_OF, segment
from tests.model_versions import SHIPPED, add_copy

if TYPE_CHECKING:
    from models.changeovers import PromotionMode
    from models.registry import Scorers

FIRST = current_version(SHIPPED / "churn") or ""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the shipped model of churn, with three more versions of it."""
    home = Path(shutil.copytree(SHIPPED, tmp_path / "models")) / "churn"
    for version in ("churn-2", "churn-3", "churn-4"):
        add_copy(home, version)
    return home


def serve(home: Path, *swaps: tuple[str, PromotionMode]) -> list[str]:
    """Promote versions, or roll back to those that begin with <; return the changeover after each."""
    changeovers = []
    for version, mode in swaps:
        at = AS_OF + timedelta(hours=len(read_history(home)))
        if version.startswith("<"):
            roll_back(home, to=version[1:], at=at, by="ann", mode=mode)
        else:
            promote(home, version, at=at, by="ann", mode=mode)
        changeovers.append(read_serving(home).changeover)
    return changeovers


def load(home: Path) -> Scorers:
    return load_scorers(home.parent, FEATURE_MAPPING)


def test_a_promotion_that_may_fire_leaves_the_folder_as_it_was(home: Path) -> None:
    """So workers of an earlier Holdfast read it."""
    assert serve(home, ("churn-2", "emit")) == [""]
    assert (home / "current").read_text() == "churn-2\n"
    assert (load(home).changeovers, load(home).formers) == ({}, {})


def test_version_and_changeover_are_one_line_of_one_file(home: Path) -> None:
    (changeover,) = serve(home, ("churn-2", "silent"))
    assert changeover == "20110601T133000000000-silent"
    assert (home / "current").read_text() == f"churn-2 {changeover}\n"
    (home / "history.jsonl").unlink()
    assert load(home).changeovers == {"churn": changeover}


@pytest.mark.parametrize("line", ["churn-2 later", "churn-2 20110601T133000000000-emit", "churn-2 ../x-new"])
def test_a_changeover_that_is_none_refuses_the_version(home: Path, line: str) -> None:
    (home / "current").write_text(line)
    with pytest.raises(VersionError, match="is no changeover"):
        read_serving(home)
    assert load(home).versions["churn"] == FIRST


def test_a_promotion_that_may_fire_goes_on_under_the_changeover_before_it(home: Path) -> None:
    first, second = serve(home, ("churn-2", "new"), ("churn-3", "emit"))
    assert first == second


def test_two_promotions_at_one_moment_are_two_changeovers(home: Path) -> None:
    for version in ("churn-2", "churn-3"):
        promote(home, version, at=AS_OF, by="ann", mode="silent")
    one, two = (each.changeover for each in read_history(home)[-2:])
    assert one != two


def test_a_rollback_goes_back_to_the_changeover_in_which_the_version_decided_last(home: Path) -> None:
    changeovers = serve(home, ("churn-2", "silent"), ("churn-3", "new"), ("<churn-2", "emit"), (f"<{FIRST}", "emit"))
    assert changeovers == [changeovers[0], changeovers[1], changeovers[0], ""]
    assert [each.mode for each in read_history(home)[-2:]] == ["restored", "restored"]


def test_a_rollback_begins_another_changeover_where_another_version_decided_meanwhile(home: Path) -> None:
    """The last results under the former one are those of the other version."""
    changeovers = serve(home, ("churn-2", "emit"), ("churn-3", "silent"), (f"<{FIRST}", "silent"))
    assert len({*changeovers, ""}) == 3


@pytest.mark.parametrize(
    ("swaps", "former"),
    [
        ([("churn-2", "new")], (FIRST, "")),
        ([("churn-2", "new"), ("churn-3", "emit")], (FIRST, "")),
        ([("churn-2", "emit"), ("churn-3", "new")], ("churn-2", "")),
        ([("churn-2", "silent"), ("churn-3", "new")], ("churn-2", "first")),
        ([("churn-2", "silent")], None),
        ([("churn-2", "new"), (f"<{FIRST}", "new")], None),
    ],
)
def test_mode_new_is_compared_with_what_served_before(
    home: Path, swaps: list[tuple[str, PromotionMode]], former: tuple[str, str] | None
) -> None:
    changeovers = serve(home, *swaps)
    found = load(home).formers.get("churn")
    then = None if found is None else (found.scorer.version, "first" if found.changeover else "")
    assert then == former
    assert found is None or found.changeover in {"", changeovers[0]}


def test_a_first_model_is_compared_with_the_rule(home: Path) -> None:
    for name in ("current", "history.jsonl"):
        (home / name).unlink()
    serve(home, ("churn-2", "new"))
    assert load(home).formers["churn"].scorer.basis == "rules"


def test_what_cannot_be_loaded_is_compared_with_nothing(home: Path) -> None:
    serve(home, ("churn-2", "new"))
    shutil.rmtree(version_folder(home, FIRST))
    scorers = load(home)
    assert (scorers.versions["churn"], scorers.formers) == ("churn-2", {})


def test_a_version_that_stands_in_serves_under_its_own_changeover(home: Path) -> None:
    first, _ = serve(home, ("churn-2", "silent"), ("churn-3", "silent"))
    (version_folder(home, "churn-3") / "model.tflite").write_bytes(b"broken")
    scorers = load(home)
    assert (scorers.versions["churn"], scorers.changeovers["churn"]) == ("churn-2", first)


async def test_a_running_worker_takes_up_a_changeover_of_the_version_that_it_has(home: Path) -> None:
    """It has missed the version in between."""
    used: list[Scorers] = []
    reloader = ModelReloader(home.parent, partial(load, home), used.append, load(home))
    _, changeover = serve(home, ("churn-2", "emit"), (f"<{FIRST}", "silent"))
    await reloader.poll()
    assert (used[-1].versions["churn"], used[-1].changeovers) == (FIRST, {"churn": changeover})
    shutil.rmtree(home / "versions")
    (home / "current").write_text("churn-2 20110601T133000000000-new")
    await reloader.poll()
    assert (used[-1].versions["churn"], used[-1].changeovers) == (FIRST, {"churn": changeover})


def test_a_history_of_an_earlier_holdfast_has_no_changeovers(home: Path) -> None:
    lines = [json.loads(line) for line in (home / "history.jsonl").read_text().splitlines()]
    assert "changeover" not in lines[0]
    assert read_serving(home) == Serving(FIRST, "")
    assert read_history(home)[0].changeover == ""


def test_only_segments_that_read_the_scores_are_evaluated_under_the_changeover() -> None:
    risky = segment("risky", {">": [{"var": "churn_probability"}, 0.5]})
    rich = segment("rich", {">": [{"var": "total_revenue"}, 5]})
    versions = find_versions([risky, rich], {"churn": "20110601T1-new", "ltv": "20110601T2-silent"})
    assert versions == {"risky": f"{risky.version} churn@20110601T1-new", "rich": rich.version}


OLD, NEW, SILENT = "churn@1-silent", "churn@2-new", "churn@3-silent"


@pytest.mark.parametrize(
    ("then", "now", "mode", "found"),
    [
        (combine("a", ()), combine("b", ()), "emit", "emit"),
        (combine("a", ()), combine("a", [NEW]), "emit", "new"),
        (combine("a", [OLD]), combine("a", [NEW]), "silent", "new"),
        (combine("a", [OLD]), combine("b", [NEW]), "emit", "new"),
        (combine("a", [OLD]), combine("b", [NEW]), "silent", "silent"),
        (combine("a", ()), combine("a", [SILENT]), "emit", "silent"),
        (combine("a", [NEW]), combine("a", ()), "emit", "silent"),
        (combine("a", ()), combine("a", [NEW, "ltv@9-silent"]), "emit", "silent"),
    ],
)
def test_an_evaluation_may_fire_the_least_that_one_of_the_changes_allows(
    then: str, now: str, mode: PromotionMode, found: str
) -> None:
    assert find_mode(then, now, mode) == found
    assert rules_of(now) in {"a", "b"}
