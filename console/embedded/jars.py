"""Kafka's jars: fetched once by coordinates, verified against jars.lock, and kept in the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from console.embedded.errors import JarFetchError, JarHashError, MissingExtraError, StartCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

LOCK_FILE = Path(__file__).with_name("jars.lock")
_SIZES = "sizes.json"
_ATTEMPTS = 3
_CONNECTIONS = 4
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of jars.lock: `coordinate` is `group:artifact:version`, `sha256` is 64 hexadecimal digits."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's file name, `artifact-version.jar`."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(text: str) -> tuple[Jar, ...]:
    """Return the jars of a lock file's text, one `coordinate sha256` a line."""
    return tuple(Jar(*line.split()) for line in text.splitlines() if line.strip())


def choose_cache() -> Path:
    """Return Holdfast's folder in the user's cache, as the XDG base directory specification places it."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    return (Path(root) if root.startswith("/") else Path.home() / ".cache") / "holdfast"


class JarSet(NamedTuple):
    """Jars that are used together: their name, their lock file, and what they are together in MB."""

    name: str
    lock: Path
    megabytes: int


KAFKA = JarSet("Kafka", LOCK_FILE, 44)


def ensure_jars(cache: Path, report: Callable[[str], None], cancelled: Event, wanted: JarSet = KAFKA) -> Path:
    """Return the folder that holds every jar of a lock file, fetching them when it is not there.

    The folder's name follows the lock file's content, so another lock is another folder. It appears by one
    rename after every hash was checked; later starts only compare file sizes and never touch the network.

    Raises:
        JarFetchError: a jar could not be downloaded.
        JarHashError: a downloaded jar is not the one in the lock.
        MissingExtraError: jgo is not installed.
        StartCancelledError: `cancelled` was set meanwhile.
    """
    text = wanted.lock.read_text()
    jars = read_lock(text)
    folder = cache / f"{wanted.name.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if is_complete(folder, jars):
        return folder
    with _only_one(cache, cancelled):
        # Another process may have fetched them while this one waited for the lock.
        if not is_complete(folder, jars):
            report(f"fetching {wanted.name}'s {len(jars)} jars ({wanted.megabytes} MB, once)")
            _fill(folder, jars, report, cancelled)
    return folder


def find_class_path(wanted: JarSet, report: Callable[[str], None]) -> str:
    """Return the class path of Kafka's jars and those of another set; what is missing is fetched as by ensure_jars."""
    folders = [ensure_jars(choose_cache(), report, Event(), each) for each in (KAFKA, wanted)]
    return ":".join(f"{each}/*" for each in folders)


def is_complete(folder: Path, jars: Sequence[Jar]) -> bool:
    """Return whether the folder holds all the jars, each with the size it had when its hash was checked."""
    try:
        sizes = json.loads((folder / _SIZES).read_text())
        return all((folder / jar.file_name).stat().st_size == sizes[jar.file_name] for jar in jars)
    except (FileNotFoundError, KeyError, ValueError):
        return False


def check_hash(jar: Jar, path: Path) -> None:
    """Compare a file with the lock.

    Raises:
        JarHashError: they differ.
    """
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != jar.sha256:
        raise JarHashError(jar.coordinate, jar.sha256, actual)


@contextmanager
def _only_one(cache: Path, cancelled: Event) -> Iterator[None]:
    """Hold the cache's lock, so that two first starts fetch once and never write the same file."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "kafka.lock").open("w") as file:
        while not _try_lock(file):
            if cancelled.wait(_POLL):
                raise StartCancelledError
        yield


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fill(folder: Path, jars: Sequence[Jar], report: Callable[[str], None], cancelled: Event) -> None:
    """Fetch and check all jars next to the folder, then rename them into place at once.

    What an interrupted run has checked is used again: a jar enters the partial folder only after its check.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    repository = partial / "repository"
    for leftover in (repository, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(exist_ok=True)
    repository.mkdir()
    _fetch_all(partial, repository, jars, report, cancelled)
    shutil.rmtree(repository)
    sizes = {jar.file_name: (partial / jar.file_name).stat().st_size for jar in jars}
    (partial / _SIZES).write_text(json.dumps(sizes))
    partial.rename(folder)


def _fetch_all(
    target: Path, repository: Path, jars: Sequence[Jar], report: Callable[[str], None], cancelled: Event
) -> None:
    """Fetch the jars over a few connections, checking each as it arrives."""
    context = _open_repository(repository)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        fetches = [pool.submit(fetch_jar, context, jar, target, cancelled) for jar in jars]
        try:
            for done, fetch in enumerate(as_completed(fetches), start=1):
                fetch.result()
                if done % 10 == 0 or done == len(jars):
                    report(f"fetched {done} of {len(jars)} jars")
        finally:
            pool.shutdown(cancel_futures=True)


def _open_repository(repository: Path) -> Any:
    """Return jgo's context for a separate download folder, with the repositories jgo is configured for."""
    try:
        # An extra, and needed only when something is missing from the cache.
        from jgo.config import GlobalSettings  # noqa: PLC0415
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError("jgo") from error
    context = MavenContext(repo_cache=repository)
    context.remote_repos.update(GlobalSettings.load().repositories)
    return context


def fetch_jar(context: Any, jar: Jar, target: Path, cancelled: Event) -> None:
    """Download one jar, unless the target folder has it, check it and move it there.

    Raises:
        JarFetchError: it could not be downloaded.
        JarHashError: it is not the one in the lock.
        StartCancelledError: `cancelled` was set before.
    """
    if cancelled.is_set():
        raise StartCancelledError
    if not (target / jar.file_name).exists():
        path = _download(context, jar)
        check_hash(jar, path)
        path.rename(target / jar.file_name)


def _download(context: Any, jar: Jar) -> Path:
    """Return where jgo has put the jar, retrying when the network fails.

    Only the artifact is requested, never its dependencies: jgo's version mediation differs from Maven's, and
    the lock already lists what Maven resolves.
    """
    group, artifact, version = jar.coordinate.split(":")
    wanted = context.project(group, artifact).at_version(version).artifact()
    reason: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            return Path(wanted.resolve())
        except (OSError, RuntimeError) as error:
            # jgo would take a partial file for a complete one.
            wanted.cached_path.unlink(missing_ok=True)
            reason = error
    raise JarFetchError(jar.coordinate, reason) from reason
