"""Workers of an earlier version and of this one work together, while the ledger is migrated under them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from campaigns.migrations import migrate
from tests.faults.audit import AuditReader, count_decided
from tests.faults.oracle import compare, forget_signals
from tests.faults.run import Run, WorkerProcess
from tests.forked_process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.faults.audit import Entry
    from tests.faults.oracle import Outcome
    from tests.faults.run import World
    from tests.faults.scenario import InputRecord

EARLIER = "42d1ccc"
"""The commit of the earlier version: the latest one that is in operation somewhere. Set it at every release."""
UNKNOWN_BEFORE = ("unsupported_messages", "urgent_messages", "urgent_days", "last_language")
"""Signals that the earlier version drops when it folds a message last."""
RUN_EARLIER = "from tests.faults.worker_with_faults import run_with_faults; run_with_faults()"
WHERE = "import streams; print(streams.__file__)"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the earlier version."""
    folder = tmp_path_factory.mktemp("earlier")
    archive = folder / "source.tar"
    done = subprocess.run(
        ["git", "archive", "--output", str(archive), EARLIER], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (
        f"commit {EARLIER} is not in this clone, and without it no worker of an earlier version can be run: "
        f"{done.stderr.strip()}; fetch the whole history with `git fetch --unshallow`"
    )
    with tarfile.open(archive) as source:
        source.extractall(folder / "source", filter="data")
    return folder / "source"


def start_earlier(run: Run, source: Path, **settings: str) -> WorkerProcess:
    """Start a worker of the earlier version; its own folder comes first on its path."""
    log = run.world.logs / f"earlier-{run.prefix}{len(run.workers)}.log"
    environment = {**os.environ, **run.settings(), "HOLDFAST_FAULT": "", **settings}
    assert locate(source, environment).is_relative_to(source)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_EARLIER], cwd=source, env=environment, stdout=output, stderr=output
        )
    worker = WorkerProcess(process, log)  # type: ignore[arg-type]  # Popen has all that it uses
    run.workers.append(worker)
    return worker


def locate(source: Path, environment: Mapping[str, str]) -> Path:
    """Return the package that a process in this folder imports."""
    done = subprocess.run(
        [sys.executable, "-c", WHERE], cwd=source, env=environment, capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


@pytest.fixture
def run(world: World, records: Sequence[InputRecord]) -> Iterator[Run]:
    """A run whose ledger gets the tables of the earlier version."""
    with Run(world, records, is_migrated=False) as entered:
        yield entered


@pytest.fixture
def audited(run: Run, tmp_path: Path) -> AuditReader:
    """The audit log that the workers of both versions write."""
    log = tmp_path / "audit.jsonl"
    run.environment["HOLDFAST_AUDIT"] = str(log)
    return AuditReader(log)


def test_workers_of_two_versions_share_a_group_and_nothing_is_lost_or_doubled(
    run: Run, undisturbed: Outcome, earlier: Path, audited: AuditReader
) -> None:
    """Two earlier workers; the migration; a new worker joins; an earlier one ends, the last one is killed."""
    lots = run.send_lots(5)
    old = [start_earlier(run, earlier), start_earlier(run, earlier)]
    run.wait_for_members(2)
    run.wait_for(next(lots))

    next(lots)
    migrate(run.ledger_url)
    new = run.start(instance=None)
    run.wait_for_members(3)
    run.wait_for(next(lots))

    next(lots)
    old[0].signal(signal.SIGTERM)
    assert old[0].wait() in (0, -signal.SIGTERM), old[0].tail()
    run.start(instance=None)
    run.wait_for_members(3)
    next(lots)
    old[1].signal(signal.SIGKILL)
    outcome = run.finish()

    entries = audited.update()
    assert len(count_decided(entries)) == len(run.records)
    decided = decided_by(entries)
    assert min(decided[each.process.pid] for each in (*old, new)) > 0
    expected, found = (forget_signals(each, UNKNOWN_BEFORE) for each in (undisturbed, outcome))
    assert compare(expected, found).complaints == []


def decided_by(entries: list[Entry]) -> Counter[int]:
    """Return the number of records that each process decided."""
    return Counter({entry["pid"]: 0 for entry in entries}) + Counter(
        entry["pid"] for entry in entries if entry["what"] == "decided" for _ in entry["records"]
    )
