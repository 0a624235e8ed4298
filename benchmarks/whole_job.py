"""Measures the whole job on a backlog: one worker, Kafka, Redis and PostgreSQL on the same cores.

    python -m benchmarks.whole_job [--events N] [--customers N] [--rules N] [--campaigns N] [--flame FILE]
    python -m benchmarks.whole_job --rounds 3 --compare HOLDFAST_KEPT_CUSTOMERS=0  # with and without, by turns

The worker starts with full topics and a ledger that has evaluated every customer (place.py); a tenth of the events
warm it up before the clock starts.
"""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click
import psycopg

from benchmarks.errors import WorkloadError
from benchmarks.place import open_place
from benchmarks.processes import cpu_seconds
from benchmarks.workers import COMMAND, Committed, run_workers
from benchmarks.workload import Size
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.place import Place
    from benchmarks.workers import Workers

COUNTS = """
    SELECT (SELECT count(*) FROM outbox WHERE destination = 'campaign_triggers') AS triggers,
           (SELECT count(*) FROM decision) AS decisions, (SELECT count(*) FROM membership) AS memberships,
           (SELECT count(*) FROM outbox WHERE sent_at IS NULL) AS unsent
"""
NAMES = ("triggers", "decisions", "memberships", "unsent")
NORMAL = Size()
WARM_UP = 0.1
TRIGGER_PERCENT = (1.6, 2.6)
TITLE = re.compile(r'(<text id="title"[^>]*>)[^<]*(</text>)')
LEAST_EVENTS = 100_000
"""With fewer events the trigger rate differs from that of the full size, so it is not checked."""


def measure(
    place: Place,
    *,
    cores: Sequence[int | None] = (None,),
    command: Sequence[str] = COMMAND,
    flame: Path | None = None,
    inspect: Callable[[str], None] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Let workers process all events on the topics, and return the figures.

    Args:
        place: a place whose topics are full.
        cores: the core of each worker; None does not bind it.
        command: the interpreter arguments that start a worker.
        flame: where to write a flame graph of the first worker, in SVG.
        inspect: called with the ledger's URL when all events are decided and the workers still run.
        settings: of the workers, in place of those of the benchmark.

    Raises:
        WorkerEndedError: a worker ended.
        WorkloadError: the events did not produce the expected triggers.
    """
    group = f"{place.prefix}{secrets.token_hex(3)}"
    committed = Committed(place.endpoints.broker, group, place.input_topics)
    with place.lend_ledger() as ledger_url:
        before = count_rows(ledger_url)
        environment = {**place.environment(ledger_url, group), **settings}
        with run_workers(environment, place.folder / f"{group}.log", cores=cores, command=command) as workers:
            figures = _watch(place, workers, committed, flame)
            if inspect:
                inspect(ledger_url)
        committed.close()
        counted = count_rows(ledger_url)
    made = {name: counted[name] - before[name] for name in ("triggers", "decisions")}
    kept = {name: counted[name] for name in ("memberships", "unsent")}
    percent = round(100 * made["triggers"] / place.events, 2)
    check_work(place, percent, kept["unsent"])
    return {**figures, **made, "trigger_percent": percent, **kept}


def count_rows(ledger_url: str) -> dict[str, int]:
    """Return the numbers of triggers, decisions, memberships and unsent messages in the ledger."""
    with psycopg.connect(ledger_url) as ledger:
        found = ledger.execute(COUNTS).fetchone()
    return dict(zip(NAMES, found or (), strict=True))


def check_work(place: Place, trigger_percent: float, unsent: int) -> None:
    """Check that the run did the intended work.

    Raises:
        WorkloadError: messages are unsent, or the trigger rate is outside its bounds.
    """
    if unsent:
        raise WorkloadError(f"{unsent} outbox messages are unpublished although all events are acknowledged")
    least, most = TRIGGER_PERCENT
    if place.events >= LEAST_EVENTS and place.size.entering == NORMAL.entering and not least <= trigger_percent <= most:
        raise WorkloadError(
            f"{trigger_percent} % of the events made a trigger instead of {least} to {most} %; the batch size has "
            "probably changed, so adjust Size.entering in benchmarks/workload.py"
        )


def _watch(place: Place, workers: Workers, committed: Committed, flame: Path | None) -> dict[str, Any]:
    pids = {**workers.pids, **place.services.find_pids()}
    # Exclude the start-up cost of every worker.
    committed.wait_for_members(workers, len(workers.processes))
    first = committed.wait_for(int(place.events * WARM_UP), workers)
    with record_flames(workers.processes[0].pid, flame) if flame else nullcontext():
        began, cpu, seen = time.perf_counter(), cpu_seconds(pids), len(workers.memory_mb)
        last = committed.wait_for(place.events, workers)
        seconds = time.perf_counter() - began
        spent = {name: each - cpu[name] for name, each in cpu_seconds(pids).items()}
    workers.check_alive()
    events = last - first
    if not events:
        raise WorkloadError("the workers finished before all of them had joined; measure more events")
    mine = sum(spent.pop(name) for name in workers.pids)
    return {
        "events": events,
        "seconds": round(seconds, 2),
        "events_per_s": round(events / seconds),
        "cpu_us_per_event": {name: round(each / events * 1e6, 2) for name, each in {"worker": mine, **spent}.items()},
        "rss_mb": round(max(workers.memory_mb)),
        "rss_mb_early": round(workers.memory_mb[max(seen - 1, 0)]),
        "rss_mb_samples": [round(each, 1) for each in workers.memory_mb],
    }


@contextmanager
def record_flames(pid: int, target: Path) -> Iterator[None]:
    """Let py-spy sample a process 200 times a second during the block, and write a flame graph."""
    program = Path(sys.executable).with_name("py-spy")
    if not program.exists():
        raise click.ClickException("py-spy is not installed in this interpreter's environment; omit --flame")
    command = [str(program), "record", "--rate", "200", "--pid", str(pid), "--output", str(target), "--nonblocking"]
    recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - from this environment
    try:
        yield
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.wait(60)
        # py-spy uses its command as title, with paths of this machine.
        target.write_text(TITLE.sub(r"\1A worker on the whole job\2", target.read_text(), count=1))


@click.command()
@click.option("--events", default=NORMAL.events, show_default=True)
@click.option("--customers", default=NORMAL.customers, show_default=True)
@click.option("--rules", default=NORMAL.rules, show_default=True)
@click.option("--campaigns", default=NORMAL.campaigns, show_default=True)
@click.option("--rounds", default=1, show_default=True)
@click.option("--compare", help="A setting, NAME=VALUE: measure each round with it, too, and print the medians.")
@click.option("--flame", type=click.Path(dir_okay=False, path_type=Path), help="Write a flame graph here (SVG).")
def main(
    events: int, customers: int, rules: int, campaigns: int, rounds: int, compare: str | None, flame: Path | None
) -> None:
    """Measure and print one JSON object per round, and with --compare the medians of both."""
    size = Size(events, customers, rules, campaigns)
    settings = [{}, _parse_setting(compare)] if compare else [{}]
    runs: list[list[dict[str, Any]]] = [[] for _ in settings]
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-") as data,
        EmbeddedServices(Path(data)) as services,
        open_place(services, size) as place,
    ):
        place.fill()
        if compare:
            measure(place)  # while Kafka's JVM compiles, the first one pays
        for _ in range(rounds):
            for each, made in zip(settings, runs, strict=True):
                figures = measure(place, flame=flame, settings=each)
                made.append({name: value for name, value in figures.items() if name != "rss_mb_samples"})
                click.echo(json.dumps({**made[-1], **each}))
    for each, made in zip(settings, runs, strict=True) if compare else ():
        click.echo(json.dumps({"medians": _medians(made), **each}))


def _parse_setting(text: str) -> dict[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--compare")
    return {name: value}


def _medians(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the medians of the rate, of the memory and of each process's CPU for an event."""
    spent = {name: [run["cpu_us_per_event"][name] for run in runs] for name in runs[0]["cpu_us_per_event"]}
    whole = {name: [run[name] for run in runs] for name in ("events_per_s", "rss_mb")}
    return {name: round(median(values), 2) for name, values in {**whole, **spent}.items()}


if __name__ == "__main__":
    main()
