"""The versions of a model on disk: add, promote, roll back, prune, verify.

    <models_dir>/<name>/versions/<version>/   model.tflite, manifest.json, and what else was put there
    <models_dir>/<name>/current               one line: the version that serves, and its changeover where it has one
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
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from models.changeovers import NONE, RESTORED, Serving, begin_changeover, find_restored
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
from models.regular_file import read_regular_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from models.changeovers import PromotionMode

MODEL_FILE = "model.tflite"
MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.html"
CARD_FILE = "card.md"
SNAPSHOT_FILE = "training_snapshot.json"
VIEW_FILE = "view.sql"
MAPPING_FILE = "feature_mapping.json"
CURRENT_FILE = "current"
HISTORY_FILE = "history.jsonl"

LINE_BYTES, HISTORY_BYTES, DOCUMENT_BYTES = 4_096, 64 * 2**20, 16 * 2**20
"""The most that `current`, the history, and a report or a card may have."""

_VERSIONS, _PRUNED = "versions", ".pruned-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CHANGEOVER = re.compile(r"[0-9T]{1,32}-(silent|new)")


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
        mode: what the first evaluations under the version may fire, `restored` where each customer continues from the
            last one under it; empty where it was not recorded, which is emit.
        changeover: under which the version serves from then on, see models/changeovers.py; empty without one.
    """

    action: str
    at: str
    by: str
    before: str | None
    after: str
    why: str = ""
    forced: bool = False
    mode: str = ""
    changeover: str = NONE


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
    return read_serving(home).version


def read_serving(home: Path) -> Serving:
    """Return the version that serves with its changeover; no version when none was promoted.

    Raises:
        VersionError: the file `current` names no version.
    """
    try:
        text = read_regular_file(home / CURRENT_FILE, LINE_BYTES, follow=True).decode().strip()
    except (FileNotFoundError, NotADirectoryError):
        return Serving(None)
    except (OSError, ValueError) as error:
        raise VersionError(f"{home / CURRENT_FILE}: cannot be read ({error}); promote a version again") from error
    version, _, changeover = text.partition(" ")
    if changeover and not _CHANGEOVER.fullmatch(changeover):
        raise VersionError(f"{home / CURRENT_FILE}: {changeover[:80]!r} is no changeover; promote a version again")
    return Serving(_checked_name(version, home / CURRENT_FILE), changeover)


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
    if folder.is_symlink():
        raise VersionError(f"{folder}: is a symbolic link; copy the folder, since what is behind a link may change")
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
        return read_regular_file(path, HISTORY_BYTES, follow=True).decode()
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
    mode: PromotionMode = "emit",
    check: Callable[[str], PromotionMode | None] | None = None,
) -> Promotion | None:
    """Let a version serve; return the line of the history, or None when it serves already.

    Args:
        home: the model's folder.
        version: the version that is to serve.
        at: now.
        by: the user's name.
        why: the reason, for the record.
        forced: overrule gates that did not let it pass; only with a reason.
        mode: what a customer's first evaluation under the version may fire.
        check: loads the version by its name, or raises a ModelLoadError; nothing overrules that. It may return another
            mode. None where the version was just loaded.

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
        mode = _refuse_unloadable(version, check) or mode
        history, serving = read_history(home), read_serving(home)
        changeover = serving.changeover if mode == "emit" else begin_changeover(history, mode, at)
        line = Promotion(
            "promoted",
            format_moment(at),
            by,
            serving.version,
            version,
            why,
            bool(closed),
            mode=mode,
            changeover=changeover,
        )
        return _serve(home, history, line, at)


def roll_back(
    home: Path,
    *,
    to: str | None = None,
    at: datetime,
    by: str,
    why: str = "",
    mode: PromotionMode = "emit",
    check: Callable[[str], PromotionMode | None] | None = None,
) -> Promotion | None:
    """Let the version serve again that was promoted before the present one, or version `to`.

    Rolling back twice goes back two promotions. `mode` and `check` are as in `promote`. Where customers were last
    evaluated by the version under another changeover, it continues from these results, whatever the mode.

    Raises:
        PromotionRefusedError: there is none before it, `to` was never promoted, a file is missing or changed, or it
            cannot be loaded.
        NoVersionError, VersionError, HistoryError: see above.
    """
    with locked(home):
        history, serving = read_history(home), read_serving(home)
        served = trace_promotions(history, serving.version)
        if to is None:
            if len(served) < 2:  # noqa: PLR2004 - the present one and one before it
                raise PromotionRefusedError(f"{home}: no version was promoted before the present one; name one: --to")
            to = served[-2]
        elif to not in {each.after for each in history}:
            raise PromotionRefusedError(f"{home}: {to!r} never served; promote it instead")
        _refuse_changed(read_version(home, to))
        mode = _refuse_unloadable(to, check) or mode
        line = Promotion("rolled back", format_moment(at), by, serving.version, to, why)
        if (restored := find_restored(history, serving, to)) is not None:
            return _serve(home, history, replace(line, mode=RESTORED, changeover=restored), at)
        changeover = serving.changeover if mode == "emit" else begin_changeover(history, mode, at)
        return _serve(home, history, replace(line, mode=mode, changeover=changeover), at)


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
    """Return a sentence for each of a version's files that differs from its manifest; a symbolic link is no file."""
    declared: Mapping[str, str] = version.manifest["files"]
    found = _hash_files(version.folder)
    return [
        f"{version.folder / name}: "
        + (f"its SHA-256 is {found[name]}, the manifest says {digest}" if name in found else "is missing")
        for name, digest in declared.items()
        if found.get(name) != digest
    ]


def read_document(version: ModelVersion, name: str) -> str | None:
    """Return what people read about a version: the text of its REPORT_FILE or CARD_FILE; None where it has none.

    Raises:
        VersionError: the file cannot be read, or is not the one that was added.
    """
    path, declared = version.folder / name, version.manifest["files"].get(name)
    if declared is None:
        return None
    try:
        content = read_regular_file(path, DOCUMENT_BYTES)
        text = content.decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise VersionError(f"{path}: cannot be read ({error}); restore the folder") from error
    if hashlib.sha256(content).hexdigest() != declared:
        raise VersionError(f"{path}: is not the file that was added with the version; restore the folder")
    return text


def _refuse_changed(version: ModelVersion) -> None:
    wrong = verify(version)
    if wrong:
        raise PromotionRefusedError("; ".join(wrong) + "; restore the version's folder or train again")


def _refuse_unloadable(version: str, check: Callable[[str], PromotionMode | None] | None) -> PromotionMode | None:
    if check is None:
        return None
    try:
        return check(version)
    except ModelLoadError as error:
        raise PromotionRefusedError(f"{version}: cannot serve: {error}") from error


def _serve(home: Path, history: Sequence[Promotion], line: Promotion, at: datetime) -> Promotion | None:
    if line.before == line.after:
        return None
    lines = [json.dumps(asdict(each)) + "\n" for each in (*history, line)]
    # Before `current`: an experiment that has lost its champion must not go on after a rollback to it.
    reason = f"{line.after} was {line.action.replace('rolled back', 'rolled back to')}"
    close_experiment(home, at=at, by=line.by, reason=reason)
    replace_file(home / HISTORY_FILE, "".join(lines))
    # One rename: who learns the version learns its changeover.
    replace_file(home / CURRENT_FILE, f"{line.after} {line.changeover}".strip() + "\n")
    return line


def _version_folders(home: Path) -> list[Path]:
    folder = home / _VERSIONS
    return sorted(each for each in folder.iterdir() if _NAME.fullmatch(each.name)) if folder.is_dir() else []


def _hash_files(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): _hash_file(path) for path in files if path != folder / MANIFEST_FILE}


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_name(text: str, where: Path) -> str:
    if not _NAME.fullmatch(text):
        raise VersionError(
            f"{where}: {text[:80]!r} is not a version name; use letters, digits, dot, dash and underscore"
        )
    return text
