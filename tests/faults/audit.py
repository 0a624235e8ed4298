"""The audit log of a soak: an append-only file of JSON lines that all its processes write, and functions that read it.

Times are seconds of the monotonic clock, which all processes on Linux share.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from streams.formats.events import Record

Entry = dict[str, Any]
RECENT_S = 5.0
"""A worker is taken to own the partitions that it decided within this time, s."""


class Audit:
    """Writes the audit log; without a path nothing is written."""

    def __init__(self, path: str | Path | None) -> None:
        # One append per line: lines of several processes do not interleave.
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644) if path else None

    def note(self, what: str, **more: Any) -> None:
        """Append an entry with the current time."""
        if self._file is not None:
            entry = {"at": time.monotonic(), "pid": os.getpid(), "what": what, **more}
            os.write(self._file, json.dumps(entry).encode() + b"\n")

    def note_decided(self, records: Iterable[Record]) -> None:
        """Append an entry that the decisions on these records are in the ledger."""
        self.note("decided", records=[(record.topic, record.partition, record.offset) for record in records])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@dataclass(slots=True)
class AuditReader:
    """Reads the audit log incrementally."""

    path: Path
    entries: list[Entry] = field(default_factory=list)
    decided_at: dict[int, float] = field(default_factory=dict)
    """Time of the last decision, by process id."""
    _read: int = 0

    def update(self) -> Sequence[Entry]:
        """Read the new entries, and return all entries so far."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read)
                whole = file.read().rpartition(b"\n")[0]
            self._read += len(whole) + 1 if whole else 0
            fresh = [json.loads(line) for line in whole.splitlines()]
            self.entries.extend(fresh)
            self.decided_at.update((entry["pid"], entry["at"]) for entry in fresh if entry["what"] == "decided")
        return self.entries


def count_faults(entries: Iterable[Entry]) -> Counter[str]:
    """Return the number of faults by kind."""
    return Counter(entry["kind"] for entry in entries if entry["what"] == "fault")


def count_decided(entries: Iterable[Entry]) -> Counter[tuple[str, int, int]]:
    """Return how often each record was decided, by topic, partition and offset."""
    return Counter(
        (topic, partition, offset)
        for entry in entries
        if entry["what"] == "decided"
        for topic, partition, offset in entry["records"]
    )


def find_partitions(entry: Entry) -> set[int]:
    """Return the partitions of the decided records."""
    return {partition for _, partition, _ in entry["records"]}


def measure_recovery(entries: Sequence[Entry], kill: Entry) -> float | None:
    """Return the seconds from a kill until a record of each of the killed worker's partitions has been decided.

    None if that has not happened, or if another fault happened in between.
    """
    decided = [entry for entry in entries if entry["what"] == "decided"]
    since = kill["at"] - RECENT_S
    before = [entry for entry in decided if entry["pid"] == kill["victim"] and entry["at"] >= since]
    missing = set().union(*map(find_partitions, before))
    if not missing:
        return None
    for entry in entries:
        if entry["at"] > kill["at"] and entry["what"] == "fault":
            return None
        if entry["at"] > kill["at"] and entry["what"] == "decided":
            missing -= find_partitions(entry)
            if not missing:
                return float(entry["at"] - kill["at"])
    return None


def measure_recoveries(entries: Sequence[Entry]) -> list[float]:
    """Return the duration of each recovery from a kill without another fault, in seconds."""
    kills = [entry for entry in entries if entry["what"] == "fault" and entry.get("is_calm")]
    measured = [measure_recovery(entries, kill) for kill in kills]
    return [seconds for seconds in measured if seconds is not None]
