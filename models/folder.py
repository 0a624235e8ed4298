"""The folder of a model: the lock of its writers, and files that readers see whole without one."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from models.errors import NoVersionError, VersionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_LOCK = ".lock"


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the lock of a model's folder; the system releases it when the process ends.

    Raises:
        NoVersionError: there is no such folder.
        VersionError: it cannot be written.
    """
    if not home.is_dir():
        raise NoVersionError(f"{home}: no such folder; train the model first, or correct HOLDFAST_MODELS_DIR")
    try:
        lock = (home / _LOCK).open("w")
    except OSError as error:
        raise VersionError(f"{home}: cannot be written ({error.strerror}); check who owns the folder") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, text: str) -> None:
    """Replace a file so that a reader sees the old or the new content, also after a power cut."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Let a file or a folder survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def format_moment(at: datetime) -> str:
    """Return a time as the files of a model have it, RFC 3339."""
    return at.isoformat(timespec="milliseconds")
