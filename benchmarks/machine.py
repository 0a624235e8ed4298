"""Describes the machine of a benchmark run and the versions installed on it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.peers import PEERS, ROOT

GIGABYTE = 2**30
PACKAGES = (
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
    "psycopg",
    "redis",
    "msgspec",
    "numpy",
    "tflite-runtime",
    "uvloop",
)
PEER_PACKAGES = ("faust-streaming", "quixstreams", "bytewax", "confluent-kafka", "json-logic-qubit", "psycopg", "redis")


def describe() -> dict[str, object]:
    """Return cores, model, memory, load and versions."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": find_model(),
        "memory_gb": round(psutil.virtual_memory().total / GIGABYTE, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
        "versions": {name: _version(name) for name in PACKAGES},
        "peers": _versions_of_peers(),
        "commit": _commit(),
    }


def find_model() -> str:
    """Return the name of the CPU as Linux reports it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "not installed"


def _versions_of_peers() -> dict[str, str]:
    script = f"from importlib.metadata import version\nfor each in {PEER_PACKAGES!r}: print(each, version(each))"
    if not PEERS.exists():
        return {}
    result = subprocess.run([str(PEERS), "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - a constant script
    return dict(line.split() for line in result.stdout.splitlines())


def _commit() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - git is found on the PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip()
