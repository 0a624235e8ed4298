"""Jars are fetched once, held to the lock, and complete or absent."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from threading import Event

import pytest

from console.embedded.errors import JarFetchError, JarHashError, StartCancelledError
from console.embedded.jars import (
    LOCK_FILE,
    Jar,
    JarSet,
    check_hash,
    choose_cache,
    ensure_jars,
    fetch_jar,
    is_complete,
    read_lock,
)

JAR = Jar("org.example:thing:1.0", hashlib.sha256(b"content").hexdigest())


class _Repository:
    """Stands where jgo's context stands: one artifact, whose download does what the test says."""

    def __init__(self, path: Path, downloads: list[bytes | Exception]) -> None:
        self.cached_path = path
        self._downloads = downloads

    def project(self, _group: str, _artifact: str) -> _Repository:
        return self

    def at_version(self, _version: str) -> _Repository:
        return self

    def artifact(self) -> _Repository:
        return self

    def resolve(self) -> Path:
        """As jgo does, take a file that is there for a complete one."""
        if not self.cached_path.exists():
            outcome = self._downloads.pop(0)
            if isinstance(outcome, Exception):
                self.cached_path.write_bytes(b"part")
                raise outcome
            self.cached_path.write_bytes(outcome)
        return self.cached_path


def _store(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / JAR.file_name).write_bytes(b"content")
    (folder / "sizes.json").write_text(json.dumps({JAR.file_name: 7}))


def test_the_lock_pins_every_jar_once() -> None:
    """Each line has a full coordinate and a whole sha256, and no two jars have one file name."""
    jars = read_lock(LOCK_FILE.read_text())
    assert len(jars) == len({jar.file_name for jar in jars}) == 46
    assert {len(bytes.fromhex(jar.sha256)) for jar in jars} == {32}
    assert "kafka_2.13-4.1.0.jar" in {jar.file_name for jar in jars}


def test_a_jar_with_the_right_hash_is_kept(tmp_path: Path) -> None:
    """It ends in the target folder under its own name."""
    fetch_jar(_Repository(tmp_path / "download", [b"content"]), JAR, tmp_path, Event())
    assert (tmp_path / "thing-1.0.jar").read_bytes() == b"content"


def test_a_jar_with_a_wrong_hash_is_named_with_both_hashes_and_not_kept(tmp_path: Path) -> None:
    """The message says what to do."""
    with pytest.raises(JarHashError, match=r"org\.example:thing:1\.0.*Start again") as caught:
        fetch_jar(_Repository(tmp_path / "download", [b"tampered"]), JAR, tmp_path, Event())
    assert JAR.sha256 in str(caught.value)
    assert hashlib.sha256(b"tampered").hexdigest() in str(caught.value)
    assert not (tmp_path / "thing-1.0.jar").exists()


def test_a_jar_that_was_checked_before_is_not_fetched_again(tmp_path: Path) -> None:
    """A first start that was interrupted goes on where it was."""
    _store(tmp_path)
    fetch_jar(_Repository(tmp_path / "download", []), JAR, tmp_path, Event())
    assert not (tmp_path / "download").exists()


def test_a_broken_download_is_begun_again_from_nothing(tmp_path: Path) -> None:
    """What had come of it is not taken for the whole."""
    repository = _Repository(tmp_path / "download", [OSError("reset"), b"content"])
    fetch_jar(repository, JAR, tmp_path, Event())
    assert (tmp_path / "thing-1.0.jar").read_bytes() == b"content"


def test_a_download_that_keeps_breaking_names_the_jar(tmp_path: Path) -> None:
    """After three attempts the reason is passed on."""
    repository = _Repository(tmp_path / "download", [OSError("reset")] * 3)
    with pytest.raises(JarFetchError, match=r"org\.example:thing:1\.0: reset"):
        fetch_jar(repository, JAR, tmp_path, Event())


def test_no_download_begins_after_cancelling(tmp_path: Path) -> None:
    """Ctrl-C during a first start does not wait for 46 jars."""
    cancelled = Event()
    cancelled.set()
    with pytest.raises(StartCancelledError):
        fetch_jar(_Repository(tmp_path / "download", []), JAR, tmp_path, cancelled)


def test_a_complete_folder_is_used_without_fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the lock and the folder is looked at: jgo is not even there."""
    lock = tmp_path / "jars.lock"
    lock.write_text(f"{JAR.coordinate} {JAR.sha256}\n")
    folder = tmp_path / f"kafka-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    _store(folder)
    monkeypatch.setitem(sys.modules, "jgo", None)
    assert ensure_jars(tmp_path, lambda _: None, Event(), JarSet("Kafka", lock, 1)) == folder


@pytest.mark.parametrize("damage", ["missing", "shorter", "unlisted", "unreadable list"])
def test_a_damaged_folder_is_not_complete(tmp_path: Path, damage: str) -> None:
    """The cheap check of later starts sees a file that is gone or cut."""
    _store(tmp_path)
    assert is_complete(tmp_path, [JAR])
    if damage == "missing":
        (tmp_path / JAR.file_name).unlink()
    elif damage == "shorter":
        (tmp_path / JAR.file_name).write_bytes(b"cont")
    else:
        (tmp_path / "sizes.json").write_text("{}" if damage == "unlisted" else "{")
    assert not is_complete(tmp_path, [JAR])


def test_a_file_with_the_right_hash_passes(tmp_path: Path) -> None:
    """The check is silent."""
    (tmp_path / "jar").write_bytes(b"content")
    check_hash(JAR, tmp_path / "jar")


@pytest.mark.parametrize(("root", "parent"), [("/somewhere", "/somewhere"), ("relative", None), ("", None)])
def test_the_cache_is_where_the_user_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, root: str, parent: str | None
) -> None:
    """XDG_CACHE_HOME when it is absolute, ~/.cache otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", root)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert choose_cache() == Path(parent or "/home/somebody/.cache") / "holdfast"
