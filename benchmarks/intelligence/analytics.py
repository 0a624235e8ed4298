"""How long `holdfast analytics all` takes, and whether it finds what was planted in synthetic data.

The size is the document's: 2,000 clients with 22,706 mentions of concepts. The command runs in a fresh process, imports
and reading of files included.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from intelligence.analytics.synthetic import CHURN, PURCHASE, SYNONYMS, TASTES, VALUE, make_example

SIZES = ((2_000, 22_706), (300, 3_400))
"""Clients and mentions."""
RUNS = 3
PLANTED = {"purchase": PURCHASE, "churn": CHURN, "value": VALUE}


def measure(_: Path) -> dict[str, Any]:
    """Return the figures by size; the public data are not used, because none have notes with labels."""
    return {f"{clients}_clients": _measure(clients, mentions) for clients, mentions in SIZES}


def _measure(clients: int, mentions: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_example(clients, mentions).write(folder)
        seconds, used = [], []
        for _ in range(RUNS):
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            summary = _run(folder)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(time.perf_counter() - began)
            used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        clustering = json.loads((folder / "out" / "clustering_results.json").read_text(encoding="utf-8"))
    return {
        "mentions": mentions,
        "seconds": round(min(seconds), 2),
        "cpu_seconds": round(min(used), 2),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "clusters": summary["clustering"]["number_of_clusters"],
        "planted_tastes": len(TASTES),
        "synonyms": _describe_synonyms(clustering["similar_concepts"]),
        "models": {name: _describe_model(name, each) for name, each in summary["predictions"]["models"].items()},
        "recommendations": summary["recommendations"]["known_purchases"],
    }


def _run(folder: Path) -> dict[str, Any]:
    files = {"concepts": "concepts", "labels": "labels", "catalog": "catalogue", "purchases": "purchases"}
    options = [part for option, name in files.items() for part in (f"--{option}", str(folder / f"{name}.csv"))]
    command = [sys.executable, "-m", "console", "analytics", "all", *options, "--out", str(folder / "out"), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own command
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def _describe_synonyms(similar: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return how near two concepts are that are used in place of each other and never together."""
    first, second = SYNONYMS
    names = [each["concept"] for each in similar[first]]
    rank = names.index(second) if second in names else None
    return {
        "rank": None if rank is None else rank + 1,
        "similarity": None if rank is None else similar[first][rank]["similarity"],
    }


def _describe_model(name: str, model: dict[str, Any]) -> dict[str, Any]:
    """Return a model's figures, and how many planted concepts are among as many first drivers, in their direction."""
    planted = PLANTED[name]
    first = model["drivers"][: len(planted)]
    found = sum(
        (planted[each["concept"]] > 0) == (each["direction"] == "raises")
        for each in first
        if each["concept"] in planted
    )
    kept = ("is_useful", "brier_score", "brier_score_of_base_rate", "improvement", "accuracy", "auc")
    return {**{key: model[key] for key in kept if key in model}, "planted_drivers": len(planted), "found": found}
