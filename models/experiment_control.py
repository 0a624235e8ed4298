"""Start and stop an experiment on a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import ExperimentError, ModelLoadError
from models.experiments import Experiment, add_experiment, close_experiment, find_running
from models.folder import format_moment, locked
from models.versions import current_version, read_version, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from models.versions import ModelVersion


def start_experiment(
    home: Path,
    challenger: str,
    *,
    share: float,
    at: datetime,
    by: str,
    why: str = "",
    forced: bool = False,
    check: Callable[[str], object],
) -> Experiment:
    """Try a version next to the one that serves.

    Args:
        home: the model's folder.
        challenger: the version to try.
        share: of the customers whom it decides for, below 1; 0 for a shadow.
        at: now.
        by: the user's name.
        why: the reason, for the record.
        forced: overrule gates that did not let the version pass; only with a reason.
        check: loads the version by its name, or raises a ModelLoadError; nothing overrules that.

    Raises:
        ExperimentError: another one runs, no version serves, the challenger serves already, a gate did not let it pass,
            a file is missing or changed, or it cannot be loaded.
        NoVersionError, VersionError: see models/versions.py.
    """
    with locked(home):
        running, champion = find_running(home), current_version(home)
        if running is not None:
            raise ExperimentError(
                f"{home}: experiment {running.key} runs with {running.challenger}; end it first: "
                f"holdfast models experiment stop {home.name} --why TEXT"
            )
        if champion is None:
            raise ExperimentError(f"{home}: no version serves, so there is nothing to compare with; promote one first")
        if champion == challenger:
            raise ExperimentError(f"{challenger} serves already; name another version")
        _refuse(read_version(home, challenger), live=share > 0, forced=forced, why=why)
        try:
            check(challenger)
        except ModelLoadError as error:
            raise ExperimentError(f"{challenger}: cannot score: {error}") from error
        key = f"{home.name}-{at:%Y%m%d-%H%M%S}{at.microsecond // 1000:03}"
        started = Experiment(key, home.name, champion, challenger, share, format_moment(at), by, why.strip())
        add_experiment(home, started)
    return started


def stop_experiment(home: Path, *, at: datetime, by: str, reason: str) -> Experiment | None:
    """End the experiment that runs, and return it; None without one. The champion decides for everybody again.

    Raises:
        ExperimentError: the record of experiments cannot be read.
        NoVersionError, VersionError: see models/folder.py.
    """
    with locked(home):
        return close_experiment(home, at=at, by=by, reason=reason)


def _refuse(version: ModelVersion, *, live: bool, forced: bool, why: str) -> None:
    """Check what speaks against a version that decides; a shadow may be one that a gate did not let pass."""
    wrong = verify(version)
    if wrong:
        raise ExperimentError("; ".join(wrong) + "; restore the version's folder or train again")
    closed = version.closed_gates
    if live and closed and not forced:
        raise ExperimentError(
            f"{version.version}: gates that did not let it pass: {', '.join(closed)}; try it with --mode shadow, which "
            "decides nothing, or with --force and the reason in --why"
        )
    if live and closed and not why.strip():
        raise ExperimentError(f"{version.version}: a version that a gate refused needs a reason: --why TEXT")
