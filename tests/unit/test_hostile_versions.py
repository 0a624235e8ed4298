"""Files of a version that are none, too large, or lead elsewhere: refused with the reason, and what serves stays."""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from models.errors import ModelLoadError, PromotionRefusedError, RfmDefinitionError, VersionError
from models.inputs import FEATURE_MAPPING
from models.manifest import MANIFEST_BYTES
from models.registry import load_scorers, load_version
from models.regular_file import read_regular_file
from models.rfm import load_cuts
from models.tflite import MODEL_BYTES, TFLiteScorer
from models.versions import DOCUMENT_BYTES, REPORT_FILE, current_version, promote, read_document, read_version, verify
from streams.runtime.model_reload import ModelReloader
from tests.builders import AS_OF
from tests.model_versions import SHIPPED, add_copy

if TYPE_CHECKING:
    from collections.abc import Callable

CARD = "card.md"
FIRST = current_version(SHIPPED / "churn") or ""


def replace_by_link(path: Path) -> None:
    """Let a file be a link to a copy of itself."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def replace_by_device(path: Path) -> None:
    """Let a file have no end."""
    path.unlink()
    path.symlink_to("/dev/zero")


def replace_by_pipe(path: Path) -> None:
    """Let a file be a pipe that nobody writes into."""
    path.unlink()
    os.mkfifo(path)


def grow(path: Path, size: int) -> None:
    """Let a file have more bytes, which take no place on disk."""
    os.truncate(path, size)


def edit(**changes: Any) -> Callable[[Path], None]:
    """Return what changes fields of a manifest."""

    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))

    return change


def nest(path: Path) -> None:
    """Let a field of a manifest be deeper than a parser goes."""
    path.write_text(path.read_text().rstrip().removesuffix("}") + ', "limits": ' + "[" * 100_000 + "]" * 100_000 + "}")


MODEL, MANIFEST = "model.tflite", "manifest.json"
HOSTILE = {
    "model is a link": (MODEL, replace_by_link, "a symbolic link; copy the file"),
    "model is a device": (MODEL, replace_by_device, "a symbolic link"),
    "model is a pipe": (MODEL, replace_by_pipe, "no regular file"),
    "model is large": (MODEL, partial(grow, size=MODEL_BYTES + 1), "more than 268,435,456 bytes"),
    "manifest is a link": (MANIFEST, replace_by_link, "a symbolic link"),
    "manifest is a device": (MANIFEST, replace_by_device, "a symbolic link"),
    "manifest is a pipe": (MANIFEST, replace_by_pipe, "no regular file"),
    "manifest is large": (MANIFEST, partial(grow, size=MANIFEST_BYTES + 1), "more than 8,388,608 bytes"),
    "manifest is deep": (MANIFEST, nest, "not a model manifest"),
    "manifest has a huge number": (MANIFEST, edit(outputs=10**400), "not a model manifest"),
    "manifest has a huge period": (MANIFEST, edit(window_days=10**400), "not a model manifest"),
    "manifest claims other outputs": (MANIFEST, edit(outputs=8), "gives 2 scores for a customer, the manifest says 8"),
    "manifest claims other features": (MANIFEST, edit(features=["age"]), "only in the model: age"),
    "manifest has very many features": (MANIFEST, edit(features=list(map(str, range(5_000)))), "not a model manifest"),
    "manifest leads elsewhere": (
        MANIFEST,
        edit(routes={"column": "c", "files": {"a": "../model.tflite"}}),
        "not a model manifest",
    ),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the shipped model of churn, and a second version of it."""
    home = Path(shutil.copytree(SHIPPED, tmp_path / "models")) / "churn"
    add_copy(home, "churn-2")
    return home


async def expect_first(home: Path, reloader: ModelReloader, reason: str) -> None:
    """Expect that the first version serves in a running worker and in one that starts, which say why."""
    await reloader.poll()
    started = load_scorers(home.parent, FEATURE_MAPPING)
    for scorers, refused in ((reloader.scorers, reloader.refused), (started, tuple(started.refused.values()))):
        assert scorers.versions["churn"] == FIRST
        assert reason in refused[0]
        assert refused[0].endswith(f"; {FIRST} serves")


def start(home: Path) -> ModelReloader:
    load = partial(load_scorers, home.parent, FEATURE_MAPPING)
    return ModelReloader(home.parent, load, lambda _: None, load())


@pytest.mark.parametrize(("file", "change", "reason"), HOSTILE.values(), ids=HOSTILE)
async def test_a_version_with_such_a_file_is_refused_and_what_serves_stays(
    home: Path, file: str, change: Callable[[Path], None], reason: str
) -> None:
    reloader, folder = start(home), home / "versions" / "churn-2"
    shutil.copytree(folder, home / "sound")
    change(folder / file)
    with pytest.raises((PromotionRefusedError, VersionError), match=rf"{re.escape(reason)}|is missing|SHA-256"):
        promote(home, "churn-2", at=AS_OF, by="ann", check=partial(load, home))
    assert current_version(home) == FIRST
    (home / "current").write_text("churn-2")
    await expect_first(home, reloader, reason)
    shutil.rmtree(folder)
    (home / "sound").rename(folder)
    await reloader.poll()
    assert reloader.scorers.versions["churn"] == "churn-2"


def load(home: Path, version: str) -> None:
    load_version(home, version, FEATURE_MAPPING)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_text("../versions/churn-2"), "is not a version name"),
        (lambda path: path.write_text("/etc"), "is not a version name"),
        (replace_by_pipe, "no regular file"),
        (replace_by_device, "no regular file"),
        (partial(grow, size=5_000), "more than 4,096 bytes"),
    ],
)
async def test_a_version_that_is_named_otherwise_is_refused(
    home: Path, change: Callable[[Path], None], reason: str
) -> None:
    reloader = start(home)
    change(home / "current")
    await expect_first(home, reloader, reason)


async def test_a_folder_that_is_a_link_is_refused(home: Path) -> None:
    reloader, folder = start(home), home / "versions" / "churn-2"
    folder.rename(home / "elsewhere")
    folder.symlink_to(home / "elsewhere")
    (home / "current").write_text("churn-2")
    await expect_first(home, reloader, "is a symbolic link; copy the folder")


async def test_a_history_that_is_a_pipe_holds_nothing_up(home: Path) -> None:
    """Without it no earlier version is known: the model in memory goes on."""
    reloader = start(home)
    replace_by_pipe(home / "history.jsonl")
    (home / "current").write_text("churn-3")
    await reloader.poll()
    assert reloader.scorers.versions["churn"] == FIRST


def test_a_file_that_is_a_link_is_not_as_the_manifest_says(home: Path) -> None:
    replace_by_link(home / "versions" / "churn-2" / "card.md")
    assert [line.split(": ", 1)[1] for line in verify(read_version(home, "churn-2"))] == ["is missing"]


def test_the_models_of_a_version_are_loaded_by_one_reading_of_its_manifest(home: Path) -> None:
    version = read_version(home, "churn-2")
    (version.folder / MANIFEST).write_text("{}")
    assert TFLiteScorer.load(version.folder, FEATURE_MAPPING, manifest=version.manifest).version == "churn-2"


def test_a_manifest_of_another_version_is_not_loaded(home: Path) -> None:
    edit(version="churn-9")(home / "versions" / "churn-2" / MANIFEST)
    with pytest.raises((ModelLoadError, VersionError), match="is of version 'churn-9'"):
        load(home, "churn-2")


def test_cut_points_may_be_a_link_to_a_file_and_to_nothing_else(tmp_path: Path) -> None:
    """Kubernetes mounts them so."""
    link, file = tmp_path / "rfm.json", tmp_path / "cuts"
    file.write_bytes((SHIPPED / "rfm.json").read_bytes())
    link.symlink_to(file)
    assert load_cuts(link) == load_cuts(SHIPPED / "rfm.json")
    replace_by_device(link)
    with pytest.raises(RfmDefinitionError, match="no regular file"):
        load_cuts(link)


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert read_regular_file(tmp_path / "file", 7) == b"content"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (replace_by_link, "a symbolic link"),
        (replace_by_device, "a symbolic link"),
        (replace_by_pipe, "no regular file"),
        (lambda path: grow(path, DOCUMENT_BYTES + 1), "more than"),
        (lambda path: path.write_bytes(b"\xff"), "can't decode"),
        (lambda path: path.write_text("another"), "is not the file that was added"),
    ],
    ids=["link", "device", "pipe", "large", "no text", "another"],
)
def test_a_card_is_read_only_as_it_was_added(tmp_path: Path, change: Callable[[Path], None], problem: str) -> None:
    home = tmp_path / "churn"
    shutil.copytree(SHIPPED / "churn", home)
    version = read_version(home, FIRST)
    assert str(read_document(version, CARD)).startswith(f"# Model card: {FIRST}")
    assert read_document(version, REPORT_FILE) is None
    change(version.folder / CARD)
    with pytest.raises(VersionError, match=problem):
        read_document(version, CARD)
    (version.folder / CARD).unlink()
    assert read_document(version, CARD) is None
