"""Runs contenders, each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks.errors import ContenderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv" / "peers" / "bin" / "python"
IN_THIS_ENVIRONMENT = ("holdfast", "own_code", "kafka_streams")
LONGEST_S = 600
LOG_END = 2000

Figures = dict[str, float]


def check_installed() -> None:
    """Raise ContenderError if the environment of the third-party contenders is missing."""
    if not PEERS.exists():
        raise ContenderError("the third-party contenders are not installed; run `make .venv/peers/installed`")


def run(name: str, broker: str, topic: str, events: int, environment: Mapping[str, str] | None = None) -> Figures:
    """Run a contender over this many events, in a new consumer group.

    Raises:
        ContenderError: it ended without figures, or took more than ten minutes.
    """
    python = sys.executable if name in IN_THIS_ENVIRONMENT else str(PEERS)
    command = [python, "-m", f"benchmarks.contenders.{name}", broker, topic, f"{name}-{uuid4().hex[:8]}", str(events)]
    try:
        ended = subprocess.run(  # noqa: S603 - modules of this repository
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ContenderError(f"{name} took more than {LONGEST_S} s; give it fewer events") from None
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise ContenderError(
            f"{name} ended with exit code {ended.returncode} and no figures:\n{ended.stderr[-LOG_END:]}"
        )
    return dict(json.loads(lines[-1]))


def spread(values: Sequence[float], digits: int) -> Figures:
    """Return minimum, median and maximum."""
    least, middle, most = min(values), median(values), max(values)
    return {"min": round(least, digits), "median": round(middle, digits), "max": round(most, digits)}
