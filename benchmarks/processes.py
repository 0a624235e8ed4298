"""CPU seconds and resident memory of processes, including their children."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

MEGABYTE = 1e6


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the user and system seconds of each process, including its living and reaped children."""
    return {name: _cpu_of(pid) for name, pid in pids.items()}


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / MEGABYTE


def _cpu_of(pid: int) -> float:
    process = psutil.Process(pid)
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    reaped = process.cpu_times()
    return total + reaped.children_user + reaped.children_system
