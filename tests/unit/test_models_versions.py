"""Versions on disk: whole or absent, promoted with a record, taken back."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from models.errors import HistoryError, NoVersionError, PromotionRefusedError, VersionConflictError, VersionError
from models.versions import (
    ModelVersion,
    Promotion,
    add_version,
    current_version,
    list_models,
    list_versions,
    promote,
    prune,
    read_current,
    read_history,
    read_version,
    roll_back,
    staging_folder,
    trace_promotions,
    verify,
)

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "models" / "churn"


def add(home: Path, version: str, content: bytes = b"model", minutes: int = 0, **manifest: Any) -> ModelVersion:
    with staging_folder(home) as staging:
        staging.mkdir()
        (staging / "model.tflite").write_bytes(content)
        (staging / "card.md").write_text("A card.")
        files = {"model.tflite": hashlib.sha256(content).hexdigest()}
        whole = {"version": version, "features": ["spend"], "outputs": 1, "files": files} | manifest
        (staging / "manifest.json").write_text(json.dumps(whole))
        return add_version(home, staging, at=NOON + timedelta(minutes=minutes), by="ann")


def serve(home: Path, version: str, **more: Any) -> Promotion | None:
    return promote(home, version, at=NOON, by="ann", **more)


def go_back(home: Path, to: str | None = None) -> str | None:
    """Roll back and return what serves then."""
    roll_back(home, to=to, at=NOON, by="ann")
    return current_version(home)


def served(home: Path, *versions: str) -> None:
    """Add versions and promote each in turn."""
    for minutes, version in enumerate(versions):
        add(home, version, version.encode(), minutes)
        serve(home, version)


def test_an_added_version_serves_only_when_it_is_promoted(home: Path) -> None:
    add(home, "churn-1")
    assert current_version(home) is None
    serve(home, "churn-1")
    current = read_current(home)
    assert current is not None
    assert (current.version, current.manifest["added"]["by"]) == ("churn-1", "ann")


def test_the_manifest_gets_the_hash_of_every_file_and_the_parent(home: Path) -> None:
    served(home, "churn-1")
    manifest = add(home, "churn-2", b"other").manifest
    assert manifest["parent"] == "churn-1"
    assert manifest["files"]["card.md"] == hashlib.sha256(b"A card.").hexdigest()
    assert manifest == read_version(home, "churn-2").manifest


def test_nothing_is_left_beside_the_versions(home: Path) -> None:
    served(home, "churn-1", "churn-2")
    assert {path.name for path in home.iterdir()} == {".lock", "current", "history.jsonl", "versions"}


def test_the_same_model_again_is_the_version_that_is_there(home: Path) -> None:
    add(home, "churn-1", gates=[])
    again = add(home, "churn-1", minutes=5, gates=[{"name": "auc", "passed": False}])
    assert again.manifest["gates"] == []
    assert len(list_versions(home)) == 1


def test_another_model_under_the_same_version_is_refused_with_both_hashes(home: Path) -> None:
    add(home, "churn-1", b"one")
    with pytest.raises(VersionConflictError) as caught:
        add(home, "churn-1", b"two")
    assert all(hashlib.sha256(content).hexdigest() in str(caught.value) for content in (b"one", b"two"))
    assert (read_version(home, "churn-1").folder / "model.tflite").read_bytes() == b"one"


@pytest.mark.parametrize("version", ["", "../churn", "a/b", ".hidden", "x" * 200, "new\nline"])
def test_a_version_whose_name_leads_elsewhere_is_refused(home: Path, version: str) -> None:
    with pytest.raises(VersionError, match="is not a version name"):
        add(home, version)


def test_a_model_that_is_not_the_one_of_its_manifest_is_not_added(home: Path) -> None:
    with pytest.raises(VersionError, match="SHA-256"):
        add(home, "churn-1", files={"model.tflite": "0" * 64})
    assert list_versions(home) == []


def test_a_closed_gate_keeps_a_version_from_serving(home: Path) -> None:
    add(home, "churn-1", gates=[{"name": "beats_rfm", "passed": False}, {"name": "data", "passed": None}])
    with pytest.raises(PromotionRefusedError, match="beats_rfm; see its report"):
        serve(home, "churn-1")
    assert current_version(home) is None


def test_forcing_needs_a_reason_and_is_recorded(home: Path) -> None:
    add(home, "churn-1", gates=[{"name": "beats_rfm", "passed": False}])
    with pytest.raises(PromotionRefusedError, match="--why"):
        serve(home, "churn-1", forced=True, why=" ")
    serve(home, "churn-1", forced=True, why="season")
    (line,) = read_history(home)
    assert (line.forced, line.why, line.before, line.after) == (True, "season", None, "churn-1")


def test_a_changed_file_keeps_a_version_from_serving(home: Path) -> None:
    folder = add(home, "churn-1").folder
    (folder / "model.tflite").write_bytes(b"changed")
    (folder / "card.md").unlink()
    assert len(verify(read_version(home, "churn-1"))) == 2
    with pytest.raises(PromotionRefusedError, match="SHA-256"):
        serve(home, "churn-1")


def test_promoting_what_serves_already_changes_nothing(home: Path) -> None:
    served(home, "churn-1")
    assert serve(home, "churn-1") is None
    assert len(read_history(home)) == 1


def test_rolling_back_goes_one_promotion_back_each_time(home: Path) -> None:
    served(home, "a", "b", "c")
    assert [go_back(home), go_back(home)] == ["b", "a"]
    with pytest.raises(PromotionRefusedError, match="no version was promoted before"):
        go_back(home)
    assert current_version(home) == "a"
    assert [line.action for line in read_history(home)][-2:] == ["rolled back"] * 2


def test_rolling_back_to_a_version_takes_one_that_served(home: Path) -> None:
    served(home, "a", "b", "c")
    add(home, "d", b"d")
    assert go_back(home, to="a") == "a"
    with pytest.raises(PromotionRefusedError, match="never served"):
        go_back(home, to="d")


def line(action: str, before: str | None, after: str) -> Promotion:
    return Promotion(action, "2026-03-01T12:00:00+00:00", "ann", before, after)


@pytest.mark.parametrize(
    ("history", "current", "expected"),
    [
        ([], None, ()),
        ([], "a", ("a",)),
        ([line("promoted", None, "a"), line("promoted", "a", "b")], "b", ("a", "b")),
        ([line("promoted", None, "a"), line("promoted", "a", "b"), line("rolled back", "b", "a")], "a", ("a",)),
        # Written, then a crash before `current` was replaced.
        ([line("promoted", None, "a"), line("promoted", "a", "b")], "a", ("a",)),
        ([line("promoted", None, "a"), line("promoted", "a", "b"), line("promoted", "b", "a")], "a", ("a", "b", "a")),
        ([line("promoted", "z", "a")], "a", ("z", "a")),
    ],
)
def test_what_led_to_the_current_version(
    history: list[Promotion], current: str | None, expected: tuple[str, ...]
) -> None:
    assert trace_promotions(history, current) == expected


def test_pruning_keeps_the_last_ones_the_current_one_and_the_way_back(home: Path) -> None:
    served(home, "a", "b", "c")
    for minutes, version in enumerate("defg", start=10):
        add(home, version, version.encode(), minutes)
    assert prune(home, keep_last=1, keep=["e"]) == ["a", "d", "f"]
    assert {each.version for each in list_versions(home)} == {"b", "c", "e", "g"}
    assert go_back(home) == "b"


def test_pruning_removes_what_a_crash_left_of_it(home: Path) -> None:
    served(home, "a")
    (home / "versions" / ".pruned-z").mkdir()
    assert prune(home, keep_last=1) == []
    assert [path.name for path in (home / "versions").iterdir()] == ["a"]


def test_versions_are_listed_in_the_order_they_were_added(home: Path) -> None:
    for minutes, version in enumerate("cab"):
        add(home, version, version.encode(), minutes)
    assert [each.version for each in list_versions(home)] == ["c", "a", "b"]
    assert list_models(home.parent) == ["churn"]


def test_several_at_once_lose_and_mix_nothing(home: Path) -> None:
    def train(number: int) -> None:
        add(home, f"churn-{number % 6}", b"%d" % (number % 6), number)
        serve(home, f"churn-{number % 6}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(train, range(24)))
    history = read_history(home)
    assert [line.before for line in history] == [None, *(line.after for line in history[:-1])]
    assert current_version(home) == history[-1].after
    assert len(list_versions(home)) == 6
    assert not any(verify(each) for each in list_versions(home))


def test_readers_see_whole_versions_while_others_promote(home: Path) -> None:
    served(home, "a", "b")

    def swap(number: int) -> None:
        serve(home, "ab"[number % 2])

    with ThreadPoolExecutor(2) as threads:
        swapping = threads.map(swap, range(40))
        seen = [current.version for _ in range(200) if (current := read_current(home))]
        list(swapping)
    assert len(seen) == 200


class KilledError(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("step", range(10))
def test_a_kill_at_any_step_leaves_a_whole_version_that_can_be_gone_on_from(
    home: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(home, "a")
    left = iter(range(step))

    def sync(_: int) -> None:
        if next(left, None) is None:
            raise KilledError

    with monkeypatch.context() as patched, suppress(KilledError):
        patched.setattr("os.fsync", sync)
        served(home, "b")
    assert current_version(home) in {"a", "b"}
    assert not any(verify(each) for each in list_versions(home))
    served(home, "b")
    assert (current_version(home), go_back(home)) == ("b", "a")


def test_what_is_missing_is_named_with_what_is_there(home: Path) -> None:
    with pytest.raises(NoVersionError, match="no such folder"):
        serve(home, "churn-1")
    add(home, "churn-1")
    with pytest.raises(NoVersionError, match="no version 'churn-2'; there are: churn-1"):
        serve(home, "churn-2")


@pytest.mark.parametrize("content", ["{", "[]", '{"what": 1}'])
def test_a_history_that_cannot_be_read_stops_a_promotion(home: Path, content: str) -> None:
    add(home, "churn-1")
    (home / "history.jsonl").write_text(content)
    with pytest.raises(HistoryError, match=r"history\.jsonl, line 1"):
        serve(home, "churn-1")


def test_a_manifest_of_another_version_is_refused(home: Path) -> None:
    folder = add(home, "churn-1").folder
    folder.rename(folder.with_name("churn-2"))
    with pytest.raises(VersionError, match="is of version 'churn-1'"):
        read_version(home, "churn-2")
