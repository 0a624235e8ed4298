"""Measures swaps of models in a running worker: `python -m benchmarks.model_swaps`.

Batches of 500 customers are scored one after the other, as a worker scores them, while the file `current` is replaced
and taken up by the worker's own ModelReloader. First 10,000 times between two versions, each followed by a batch, for
what the process keeps. Then next to batches that go on meanwhile, each time to a version that was never tried before,
for how long a batch may take. SWAPS changes the number. The last line is a JSON object.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from benchmarks.machine import describe
from benchmarks.peers import ROOT
from features.table import FeatureTable
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.scores import score_customers
from models.versions import MANIFEST_FILE, MODEL_FILE, add_version, read_current, staging_folder
from streams.runtime.memory import freeze_memory
from streams.runtime.model_reload import ModelReloader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.registry import Scorers

SWAPS = int(os.environ.get("SWAPS", "10000"))
WARM_UP, ROUNDS, BATCHES, CUSTOMERS = 500, 5, 1000, 500
NEW_VERSIONS = 20
TARGET_MB, TARGET_MS = 5.0, 50.0
EXAMPLE_MODELS = ROOT / "examples" / "online_retail" / "models"


class Scoring:
    """What scores batches, and takes up what is promoted."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "churn"
        load = partial(load_scorers, folder, FEATURE_MAPPING)
        self.scorers = load()
        self.versions = self.scorers.versions["churn"], add_copy(self.home, "churn-copy")
        self.untried = [add_copy(self.home, f"churn-{n}", bytes(1 + n)) for n in range(NEW_VERSIONS)]
        self.reloader = ModelReloader(folder, load, self.use, self.scorers)
        self.swaps = 0
        generator = np.random.default_rng(1)
        columns = {name: generator.gamma(1.0, 50.0, CUSTOMERS) for name in FEATURE_MAPPING.values()}
        self.table = FeatureTable(tuple(map(str, range(CUSTOMERS))), columns)

    def use(self, scorers: Scorers) -> None:
        """Score later batches with these."""
        self.scorers = scorers

    def score(self) -> float:
        """Score a batch, and return how long it took, in milliseconds."""
        began = time.perf_counter()
        score_customers(self.table, self.scorers)
        return (time.perf_counter() - began) * 1000

    async def swap(self, version: str | None = None) -> None:
        """Let a version serve, or the other one of two.

        Raises:
            RuntimeError: it does not.
        """
        self.swaps += 1
        wanted = version or self.versions[self.swaps % 2]
        fresh = self.home / ".current.new"
        fresh.write_text(wanted + "\n")
        fresh.replace(self.home / "current")
        await self.reloader.poll()
        if self.scorers.versions["churn"] != wanted:
            raise RuntimeError(f"a swap was refused: {self.reloader.refused}")


def add_copy(home: Path, version: str, more: bytes = b"") -> str:
    """Add a copy of the version that serves under another name, with more bytes at its end, and return the name."""
    current = read_current(home)
    if current is None:
        raise RuntimeError(f"{home}: no version serves")
    with staging_folder(home) as staging:
        shutil.copytree(current.folder, staging)
        content = (staging / MODEL_FILE).read_bytes() + more
        (staging / MODEL_FILE).write_bytes(content)
        files = {MODEL_FILE: hashlib.sha256(content).hexdigest()}
        manifest = {**current.manifest, "version": version, "files": files}
        (staging / MANIFEST_FILE).write_text(json.dumps(manifest))
        return add_version(home, staging, at=datetime.now(UTC), by="benchmark").version


def read_memory_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure_leak(scoring: Scoring) -> tuple[float, float]:
    """Return the memory before and after many swaps, each followed by a batch."""
    for _ in range(WARM_UP):
        await scoring.swap()
        scoring.score()
    before = read_memory_mb()
    for _ in range(SWAPS):
        await scoring.swap()
        scoring.score()
    return before, read_memory_mb()


async def measure_batches(scoring: Scoring, *, versions: Sequence[str] = ()) -> list[float]:
    """Return how long each of some batches takes, its wait for the event loop included, while versions are taken up."""

    async def swap_all() -> None:
        for version in versions:
            await scoring.swap(version)

    swaps = asyncio.create_task(swap_all())
    taken: list[float] = []
    while not swaps.done() or len(taken) < BATCHES:
        began = time.perf_counter()
        # As after a read: what is ready of a swap comes first.
        await asyncio.sleep(0)
        scoring.score()
        taken.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.002)
    await swaps
    return taken


async def measure(folder: Path) -> dict[str, object]:
    """Return the whole measurement."""
    scoring = Scoring(folder)
    freeze_memory()
    began = time.perf_counter()
    before, after = await measure_leak(scoring)
    seconds, done = time.perf_counter() - began, scoring.swaps
    alone: list[list[float]] = []
    swapped: list[list[float]] = []
    for place in range(ROUNDS):
        alone.append(await measure_batches(scoring))
        swapped.append(await measure_batches(scoring, versions=scoring.untried[place::ROUNDS]))
    # The longest batch of each round: one round in which the machine did something else counts for one.
    longest = {name: float(np.median([*map(max, rounds)])) for name, rounds in (("without", alone), ("with", swapped))}
    return {
        "machine": describe(),
        "swaps": done - WARM_UP,
        "swaps_s": round(done / seconds, 1),
        "rss_before_mb": round(before, 1),
        "rss_after_mb": round(after, 1),
        "grown_mb": round(after - before, 2),
        "batches": sum(map(len, swapped)),
        "swaps_next_to_batches": scoring.swaps - done,
        "median_ms": {
            name: round(float(np.median(np.concatenate(rounds))), 2)
            for name, rounds in (("without", alone), ("with", swapped))
        },
        "longest_ms": {name: round(value, 2) for name, value in longest.items()},
        "added_ms": round(longest["with"] - longest["without"], 2),
        "target_met": after - before < TARGET_MB and longest["with"] - longest["without"] < TARGET_MS,
    }


def main() -> None:
    """Run the measurement and print the report."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="holdfast-") as place:
        folder = Path(shutil.copytree(EXAMPLE_MODELS, Path(place) / "models"))
        report = asyncio.run(measure(folder))
    for name in ("swaps", "rss_before_mb", "rss_after_mb", "grown_mb", "median_ms", "longest_ms", "added_ms"):
        sys.stdout.write(f"{name:16} {report[name]}\n")
    sys.stdout.write(f"{json.dumps(report)}\n")


if __name__ == "__main__":
    main()
