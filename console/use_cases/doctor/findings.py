"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Workers do not start, do not decide, or decide wrongly."""
    WARNING = "warning"
    """It works, and something is at risk."""
    NOTE = "note"
    """Worth knowing; it may be meant."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        id: stable, for scripts and runbooks; several findings may have the same.
        severity: how bad.
        what: what is found, where, with which value.
        why: why it matters.
        fix: the command or the setting that corrects it.
    """

    id: str
    severity: Severity
    what: str
    why: str
    fix: str


def error(name: str, what: str, why: str, fix: str) -> Finding:
    """Return an error."""
    return Finding(name, Severity.ERROR, what, why, fix)


def warning(name: str, what: str, why: str, fix: str) -> Finding:
    """Return a warning."""
    return Finding(name, Severity.WARNING, what, why, fix)


def note(name: str, what: str, why: str, fix: str) -> Finding:
    """Return a note."""
    return Finding(name, Severity.NOTE, what, why, fix)
