"""The versions of a model on disk: add, promote, roll back, prune, verify.

    <models_dir>/<name>/versions/<version>/   model.tflite, manifest.json, and what else was put there
    <models_dir>/<name>/current               one line: the version that serves
    <models_dir>/<name>/history.jsonl         every promotion and rollback, the oldest first
    <models_dir>/<name>/experiments.jsonl     every experiment, the oldest first; see models/experiments.py

A version's folder appears by one rename and is not changed afterwards; `current` is replaced by one rename. So
readers need no lock: they see a whole version, either the old one or the new one. Writers hold the lock of the
model's folder. `current` is the truth, and the history is written before it: after a crash in between, the history
has a promotion that did not happen, and the next promotion continues from `current`.

Nothing here loads a model, so training may import it together with TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from models.errors import (
    HistoryError,
    ModelLoadError,
    NoVersionError,
    PromotionRefusedError,
    VersionConflictError,
    VersionError,
)
from models.experiments import close_experiment, find_tested
from models.folder import format_moment, locked, replace_file, sync
from models.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

MODEL_FILE = "model.tflite"
MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.html"
CARD_FILE = "card.md"
SNAPSHOT_FILE = "training_snapshot.json"
VIEW_FILE = "view.sql"
MAPPING_FILE = "feature_mapping.json"
CURRENT_FILE = "current"
HISTORY_FILE = "history.jsonl"

_VERSIONS, _PRUNED = "versions", ".pruned-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        folder: holds its files.
        manifest: what its manifest says.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def version(self) -> str:
        """The version's name."""
        return self.folder.name

    @property
    def closed_gates(self) -> tuple[str, ...]:
        """The names of the gates that did not let it pass."""
        return tuple(gate["name"] for gate in self.manifest.get("gates", ()) if gate.get("passed") is False)


@dataclass(frozen=True, slots=True)
class Promotion:
    """A line of the history.

    Attributes:
        action: promoted or rolled back.
        at: RFC 3339, UTC.
        by: who did it.
        before: the version that served until then; None for the first.
        after: the version that serves from then on.
        why: the reason given; empty when none was.
        forced: whether a gate was overruled.
    """

    action: str
    at: str
    by: str
    before: str | None
    after: str
    why: str = ""
    forced: bool = False


@contextmanager
def staging_folder(home: Path) -> Iterator[Path]:
    """Lend an empty folder next to the versions, from which `add_version` can take one by a rename.

    Args:
        home: the model's folder, <models_dir>/<name>; made when missing.
    """
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".staging-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "version"


def add_version(home: Path, staging: Path, *, at: datetime, by: str) -> ModelVersion:
    """Take a finished version from a staging folder of `staging_folder`; promote nothing.

    The manifest's `files` gets the SHA-256 of every other file, `added` the user and the time, and `parent` the
    version that serves now, where it is not given. The same model under the same version is there already: then
    that one is returned and the new one is dropped.

    Raises:
        VersionConflictError: another model has this version.
        VersionError: the folder holds no model with a manifest that can be used, or the version's name is not one.
    """
    manifest = read_manifest(staging / MANIFEST_FILE, MODEL_FILE)
    version = _checked_name(manifest["version"], staging / MANIFEST_FILE)
    wrong = verify(ModelVersion(staging, manifest))
    if wrong:
        raise VersionError("; ".join(wrong) + "; train the model again")
    with locked(home):
        target = home / _VERSIONS / version
        if target.exists():
            return _same_model(read_version(home, version), manifest)
        added = {"at": format_moment(at), "by": by}
        sealed = {"parent": None, **manifest, "files": _hash_files(staging), "added": added}
        sealed["parent"] = sealed["parent"] or current_version(home)
        (staging / MANIFEST_FILE).write_text(json.dumps(sealed, indent=2) + "\n", encoding="utf-8")
        for path in (*staging.rglob("*"), staging):
            sync(path)
        target.parent.mkdir(exist_ok=True)
        staging.rename(target)
        sync(target.parent)
    return ModelVersion(target, sealed)


def _same_model(there: ModelVersion, offered: Mapping[str, Any]) -> ModelVersion:
    ours, theirs = (each["files"].get(MODEL_FILE) for each in (there.manifest, offered))
    if ours != theirs or there.manifest["features"] != offered["features"]:
        raise VersionConflictError(
            f"{there.folder}: this version is another model, SHA-256 {ours}, offered {theirs}; "
            "versions are not replaced: give the new model a version of its own"
        )
    return there


def current_version(home: Path) -> str | None:
    """Return the version that serves; None when none was promoted.

    Raises:
        VersionError: the file `current` names no version.
    """
    try:
        text = (home / CURRENT_FILE).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise VersionError(f"{home / CURRENT_FILE}: cannot be read ({error}); promote a version again") from error
    return _checked_name(text, home / CURRENT_FILE)


def version_folder(home: Path, version: str) -> Path:
    """Return the folder of a version, there or not.

    Raises:
        VersionError: the version's name is not one.
    """
    return home / _VERSIONS / _checked_name(version, home)


def read_version(home: Path, version: str) -> ModelVersion:
    """Return a version with its manifest.

    Raises:
        NoVersionError: there is no such version.
        VersionError: its manifest cannot be used (ManifestError), or is that of another version.
    """
    folder = version_folder(home, version)
    if not folder.is_dir():
        there = ", ".join(list_names(home)) or "none"
        raise NoVersionError(f"{home}: no version {version!r}; there are: {there}")
    manifest = read_manifest(folder / MANIFEST_FILE, MODEL_FILE)
    if manifest["version"] != version:
        raise VersionError(f"{folder}: its manifest is of version {manifest['version'][:80]!r}; restore the folder")
    return ModelVersion(folder, manifest)


def read_current(home: Path) -> ModelVersion | None:
    """Return the version that serves with its manifest; None when none was promoted.

    Raises:
        VersionError: `current` or the manifest cannot be used.
    """
    version = current_version(home)
    return None if version is None else read_version(home, version)


def list_versions(home: Path) -> list[ModelVersion]:
    """Return every version, in the order in which they were added.

    Raises:
        VersionError: a manifest cannot be used.
    """
    found = [read_version(home, name) for name in list_names(home)]
    return sorted(found, key=lambda each: (each.manifest.get("added", {}).get("at", ""), each.version))


def list_names(home: Path) -> list[str]:
    """Return the name of every version, even of one whose files cannot be used."""
    return [folder.name for folder in _version_folders(home)]


def list_models(models_dir: Path) -> list[str]:
    """Return the names of the models of a folder that have versions."""
    homes = models_dir.iterdir() if models_dir.is_dir() else ()
    return sorted(home.name for home in homes if _version_folders(home))


def read_history(home: Path) -> list[Promotion]:
    """Return every promotion and rollback, the oldest first.

    Raises:
        HistoryError: the file cannot be read, or a line is not a promotion.
    """
    path = home / HISTORY_FILE
    if not path.exists():
        return []
    history = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        try:
            history.append(msgspec.convert(json.loads(line), Promotion))
        except (ValueError, RecursionError, msgspec.ValidationError) as error:
            raise HistoryError(f"{path}, line {number}: no promotion ({error}); restore the file") from error
    return history


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise HistoryError(f"{path}: cannot be read ({error}); restore the file") from error


def promote(
    home: Path,
    version: str,
    *,
    at: datetime,
    by: str,
    why: str = "",
    forced: bool = False,
    check: Callable[[str], object] | None = None,
) -> Promotion | None:
    """Let a version serve; return the line of the history, or None when it serves already.

    Args:
        home: the model's folder.
        version: the version that is to serve.
        at: now.
        by: the user's name.
        why: the reason, for the record.
        forced: overrule gates that did not let it pass; only with a reason.
        check: loads the version by its name, or raises a ModelLoadError; nothing overrules that. None where the
            version was just loaded.

    Raises:
        PromotionRefusedError: a gate did not let it pass and it was not forced; it was forced without a reason;
            a file is missing or changed; or it cannot be loaded.
        NoVersionError, VersionError, HistoryError: see above.
    """
    with locked(home):
        wanted = read_version(home, version)
        _refuse_changed(wanted)
        closed = wanted.closed_gates
        if closed and not forced:
            raise PromotionRefusedError(
                f"{version}: gates that did not let it pass: {', '.join(closed)}; see its report, "
                "or promote it with --force and the reason in --why"
            )
        if closed and not why.strip():
            raise PromotionRefusedError(f"{version}: a forced promotion needs its reason: --why TEXT")
        _refuse_unloadable(version, check)
        return _serve(home, version, "promoted", at=at, by=by, why=why, forced=bool(closed))


def roll_back(
    home: Path,
    *,
    to: str | None = None,
    at: datetime,
    by: str,
    why: str = "",
    check: Callable[[str], object] | None = None,
) -> Promotion | None:
    """Let the version serve again that was promoted before the present one, or version `to`.

    Rolling back twice goes back two promotions. `check` is as in `promote`.

    Raises:
        PromotionRefusedError: there is none before it, `to` was never promoted, a file is missing or changed, or it
            cannot be loaded.
        NoVersionError, VersionError, HistoryError: see above.
    """
    with locked(home):
        history = read_history(home)
        served = trace_promotions(history, current_version(home))
        if to is None:
            if len(served) < 2:  # noqa: PLR2004 - the present one and one before it
                raise PromotionRefusedError(f"{home}: no version was promoted before the present one; name one: --to")
            to = served[-2]
        elif to not in {each.after for each in history}:
            raise PromotionRefusedError(f"{home}: {to!r} never served; promote it instead")
        _refuse_changed(read_version(home, to))
        _refuse_unloadable(to, check)
        return _serve(home, to, "rolled back", at=at, by=by, why=why, forced=False)


def trace_promotions(history: Sequence[Promotion], current: str | None) -> tuple[str, ...]:
    """Return the versions that led to the current one, which is last; what was rolled back is not among them."""
    served: tuple[str, ...] = ()
    for each in history:
        served = _reach(_reach(served, each.before), each.after, back=each.action != "promoted")
    return _reach(served, current, back=True)


def _reach(served: tuple[str, ...], version: str | None, *, back: bool = True) -> tuple[str, ...]:
    if version is None or served[-1:] == (version,):
        return served
    if back and version in served:
        return (*takewhile(lambda each: each != version, served), version)
    return (*served, version)


def prune(home: Path, *, keep_last: int, keep: Collection[str] = ()) -> list[str]:
    """Delete all but the versions added last; return what was deleted.

    Args:
        home: the model's folder.
        keep_last: how many to keep of those added last.
        keep: versions to keep besides. The current one, its parent, the one a rollback would lead to, and those of an
            experiment that runs always stay.

    Raises:
        VersionError, HistoryError: see above.
    """
    with locked(home):
        for left in (home / _VERSIONS).glob(f"{_PRUNED}*"):
            shutil.rmtree(left)
        versions, current = list_versions(home), current_version(home)
        parents = {each.manifest.get("parent") for each in versions if each.version == current}
        stay = {*keep, current, *parents, *trace_promotions(read_history(home), current)[-2:], *find_tested(home)}
        stay |= {each.version for each in versions[max(0, len(versions) - keep_last) :]}
        gone = [each for each in versions if each.version not in stay]
        for each in gone:
            # Renamed first: readers never see half a version.
            hidden = each.folder.with_name(_PRUNED + each.version)
            each.folder.rename(hidden)
            shutil.rmtree(hidden)
    return [each.version for each in gone]


def verify(version: ModelVersion) -> list[str]:
    """Return a sentence for each of a version's files that differs from its manifest."""
    declared: Mapping[str, str] = version.manifest["files"]
    found = _hash_files(version.folder)
    return [
        f"{version.folder / name}: "
        + (f"its SHA-256 is {found[name]}, the manifest says {digest}" if name in found else "is missing")
        for name, digest in declared.items()
        if found.get(name) != digest
    ]


def _refuse_changed(version: ModelVersion) -> None:
    wrong = verify(version)
    if wrong:
        raise PromotionRefusedError("; ".join(wrong) + "; restore the version's folder or train again")


def _refuse_unloadable(version: str, check: Callable[[str], object] | None) -> None:
    if check is None:
        return
    try:
        check(version)
    except ModelLoadError as error:
        raise PromotionRefusedError(f"{version}: cannot serve: {error}") from error


def _serve(home: Path, version: str, action: str, *, at: datetime, by: str, why: str, forced: bool) -> Promotion | None:
    before = current_version(home)
    if before == version:
        return None
    line = Promotion(action, format_moment(at), by, before, version, why, forced)
    lines = [json.dumps(asdict(each)) + "\n" for each in (*read_history(home), line)]
    # Before `current`: an experiment that has lost its champion must not go on after a rollback to it.
    close_experiment(home, at=at, by=by, reason=f"{version} was {action.replace('rolled back', 'rolled back to')}")
    replace_file(home / HISTORY_FILE, "".join(lines))
    replace_file(home / CURRENT_FILE, version + "\n")
    return line


def _version_folders(home: Path) -> list[Path]:
    folder = home / _VERSIONS
    return sorted(each for each in folder.iterdir() if _NAME.fullmatch(each.name)) if folder.is_dir() else []


def _hash_files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST_FILE)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _checked_name(text: str, where: Path) -> str:
    if not _NAME.fullmatch(text):
        raise VersionError(
            f"{where}: {text[:80]!r} is not a version name; use letters, digits, dot, dash and underscore"
        )
    return text
