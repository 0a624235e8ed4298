"""The latest result of monitoring a served model, kept next to its versions: <models_dir>/<name>/monitored.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import msgspec

from models.errors import VersionError

if TYPE_CHECKING:
    from pathlib import Path

MONITORED_FILE = "monitored.json"


@dataclass(frozen=True, slots=True)
class MonitoringRecord:
    """What monitoring found.

    Attributes:
        version: the version that was monitored.
        at: RFC 3339, UTC.
        verdict: fine, retrain or cannot be judged.
        reasons: what the checks say that are not fine.
        largest_drift: the largest PSI of a column; None without a training snapshot.
    """

    version: str
    at: str
    verdict: str
    reasons: tuple[str, ...] = ()
    largest_drift: float | None = None


def write_monitoring(home: Path, record: MonitoringRecord) -> None:
    """Replace the record of a model.

    Raises:
        VersionError: the model's folder cannot be written.
    """
    fresh = home / f".{MONITORED_FILE}.new"
    try:
        fresh.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
        fresh.replace(home / MONITORED_FILE)
    except OSError as error:
        raise VersionError(f"{home / MONITORED_FILE}: cannot be written ({error.strerror})") from error


def read_monitoring(home: Path) -> MonitoringRecord | None:
    """Return the record of a model; None where it was not monitored.

    Raises:
        VersionError: the file cannot be read.
    """
    path = home / MONITORED_FILE
    try:
        return msgspec.convert(json.loads(path.read_bytes()), MonitoringRecord)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise VersionError(f"{path}: cannot be read ({error}); monitor the model again") from error
