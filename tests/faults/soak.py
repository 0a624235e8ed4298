"""Random faults on two workers, then a comparison by the oracle: `make soak SECONDS=600 SEED=7`.

Input, faults, their times and durations are drawn from the seed. The interleaving depends on the machine, so it can
take several runs to reproduce the failure of a seed.

Operators prune and replay meanwhile. There are customers whom only time moves: each must be found once.

The undisturbed run reads the same records in the same order as the disturbed one: an idempotent producer may send a
record twice across a broker restart, and such a duplicate must not count as a fault of Holdfast.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from confluent_kafka import KafkaException

from tests.faults import scenario
from tests.faults.audit import Audit, AuditReader, count_decided, count_faults, measure_recoveries, measure_recovery
from tests.faults.crew import Crew
from tests.faults.disturbances import plan
from tests.faults.feed import Feeder, read_input
from tests.faults.operators import Operators
from tests.faults.oracle import Outcome, Verdict, collect, compare
from tests.faults.proxied import ProxiedServices
from tests.faults.run import TIMEOUT_S, Run, World, send
from tests.faults.stage import Stage
from tests.journey.workplace import lend_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.faults.disturbances import Disturbance
    from tests.faults.scenario import InputRecord

EVENTS_PER_S = 60
EVENTS_PER_CUSTOMER = 33
TICK_S = 0.05
TELL_EVERY_S = 5.0
CALM_TIMEOUT_S = 30.0
RECOVERY_TIMEOUT_S = 60.0
AT_WORK_S = 2.0
LONGEST_IDLE_S = 20.0
LONGEST_STEP_S = 0.5
"""Largest step of the plan's clock, so that faults do not pile up after a calm period or on a slow machine."""


@dataclass(slots=True)
class Report:
    """The results of a soak, printed as the last line of its output. Times are in seconds."""

    seconds: int
    seed: int
    faults: dict[str, int] = field(default_factory=dict)
    fault_count: int = 0
    events: int = 0
    triggers: int = 0
    lost: int = 0
    doubled: int = 0
    differing: int = 0
    silent: int = 0
    redelivered: int = 0
    operators: dict[str, int] = field(default_factory=dict)
    recovery_s: dict[str, float] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether nothing is lost, duplicated or different, and all workers finished."""
        return not self.complaints

    def judge(self, verdict: Verdict) -> None:
        """Add the result of the oracle."""
        self.lost, self.doubled, self.differing = map(len, (verdict.lost, verdict.doubled, verdict.differing))
        self.complaints += verdict.complaints


class Soak:
    """The disturbed run.

    Args:
        services: the services and their proxies.
        run: the topics, the ledger and the input.
        seed: seed of the faults.
        seconds: duration of the faults.
        say: called with one line per progress report.
    """

    def __init__(
        self, services: ProxiedServices, run: Run, *, seed: int, seconds: int, say: Callable[[str], None]
    ) -> None:
        self._run, self._seconds, self._say = run, seconds, say
        self._events = seconds * EVENTS_PER_S
        self._services = services
        path = run.world.logs / "audit.jsonl"
        self._audit, self.reader = Audit(path), AuditReader(path)
        gates, proxy = services.gates, services.proxies["postgres"]
        run.environment = {
            "HOLDFAST_STUCK_AFTER_S": "30",
            # A request that is lost with its worker is not waited for longer than a fault lasts.
            "HOLDFAST_DUE_CLAIM_S": "20",
            "HOLDFAST_BROKER": gates.broker,
            "HOLDFAST_REDIS_URL": gates.redis_url,
            "HOLDFAST_LEDGER_URL": proxy.lead(run.ledger_url),
            "HOLDFAST_WAREHOUSE_URL": proxy.lead(run.world.warehouse_url),
            "HOLDFAST_AUDIT": str(path),
        }
        self.crew = Crew(run, seed)
        self.operators = Operators(run)
        self._stage = Stage(services, self.crew, run.ledger_url, self._audit)
        self._planned = plan(seed, seconds)
        self._told = 0.0

    def disturb(self) -> list[InputRecord]:
        """Send the input with disturbances, heal everything, let the workers finish; return the input as recorded."""
        while not self.crew.is_at_work():
            self._tick()
        feeder = Feeder(self._services.direct.broker, self._run.prefix, self._run.records, self._seconds)
        feeder.start()
        with self.operators, self._stage:
            self._follow_plan()
            self._say("healing")
            self._stage.heal()
        self._audit.close()
        while feeder.is_alive():
            self._tick()
        send(self._services.direct.broker, self._run.prefix, scenario.end_time(self._events))
        return read_input(self._services.direct.broker, self._run.prefix)

    def finish(self, records: int) -> list[str]:
        """Wait until this many records are committed, stop the workers, and return complaints."""
        is_done = wait_for_all(self._run, records, self._tick)
        complaints = [*self.operators.complaints]
        if not is_done:
            done = f"{self._run.committed()} of {records} records committed"
            complaints.append(f"stuck: {done}, {self._run.silent_found()} of {scenario.SILENT} silent customers found")
            complaints += [f"{worker.log.name} ends with: {worker.tail()}" for worker in self._run.workers[-2:]]
        return complaints + self.crew.stop()

    def _follow_plan(self) -> None:
        begin, clock, waiting = time.monotonic(), 0.0, self._planned
        self.crew.disturbs = True
        while (now := time.monotonic()) < begin + self._seconds:
            due = [each for each in waiting if each.at_s <= clock]
            waiting = waiting[len(due) :]
            for disturbance in due:
                if disturbance.is_calm:
                    self._kill_in_calm(disturbance)
                else:
                    self._stage.disturb(disturbance)
            self._tick()
            if self._is_anybody_at_work():
                clock += min(time.monotonic() - now, LONGEST_STEP_S)

    def _is_anybody_at_work(self) -> bool:
        """Return whether a worker has decided recently, or none has for so long that waiting is pointless."""
        idle = time.monotonic() - max(self.reader.decided_at.values(), default=0.0)
        return idle < AT_WORK_S or idle > LONGEST_IDLE_S

    def _kill_in_calm(self, kill: Disturbance) -> None:
        """Wait for both workers to work without other faults, kill, and wait for the recovery; kill in any case."""
        self.crew.disturbs = False
        until = time.monotonic() + CALM_TIMEOUT_S
        while not (is_calm := self._is_calm()) and time.monotonic() < until:
            self._tick()
        self._stage.kill(kill.seat, is_calm=is_calm)
        if is_calm:
            self._wait_for_recovery()
        self.crew.disturbs = True

    def _wait_for_recovery(self) -> None:
        """Wait until the last kill has recovered, or until another fault invalidates the measurement."""
        *_, kill = (entry for entry in self.reader.update() if entry["what"] == "fault")
        faults, until = count_faults(self.reader.entries), time.monotonic() + RECOVERY_TIMEOUT_S
        while count_faults(self.reader.entries) == faults and time.monotonic() < until:
            self._tick()
            if measure_recovery(self.reader.entries, kill) is not None:
                return

    def _is_calm(self) -> bool:
        recent = time.monotonic() - AT_WORK_S
        at_work = {pid for pid, at in self.reader.decided_at.items() if at > recent}
        return self._stage.is_calm and self.crew.is_at_work() and at_work == self.crew.find_pids()

    def _tick(self) -> None:
        self.crew.tend()
        self.reader.update()
        if time.monotonic() > self._told + TELL_EVERY_S:
            self._told = time.monotonic()
            faults, decided = count_faults(self.reader.entries), count_decided(self.reader.entries)
            self._say(f"{faults.total()} faults, {len(decided)} of about {len(self._run.records)} records decided")
        time.sleep(TICK_S)


def soak(folder: Path, *, seconds: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run a soak with dedicated services in a folder, which then holds all logs.

    Args:
        folder: for services, logs and definitions.
        seconds: duration of the faults.
        seed: of the input and the faults.
        say: called with one line per progress report.
    """
    begin = time.monotonic()
    events = seconds * EVENTS_PER_S
    customers = max(scenario.CUSTOMERS, events // EVENTS_PER_CUSTOMER)
    records = [*scenario.announce_silent(), *scenario.generate(seed, events, customers)]
    report = Report(seconds, seed)

    def report_progress(text: str) -> None:
        say(f"{time.monotonic() - begin:5.0f} s  {text}")

    with (
        ProxiedServices(folder / "services", report=report_progress) as services,
        lend_world(services, folder, customers, events) as world,
    ):
        with Run(world, records) as run:
            disturbed = Soak(services, run, seed=seed, seconds=seconds, say=report_progress)
            found = disturbed.disturb()
            report.complaints += disturbed.finish(len(found))
            outcome = collect(services.direct.broker, run.prefix, run.ledger_url)
        add_figures(report, disturbed)
        # Its own workers request the evaluation of who is due.
        found = [each for each in found if not scenario.is_request(each)]
        report_progress(f"running the {len(found)} records undisturbed")
        undisturbed = run_undisturbed(world, found)
    report.events, report.triggers, report.silent = len(found), undisturbed.triggers, undisturbed.count_silent()
    report.judge(compare(undisturbed, outcome))
    return report


@contextmanager
def lend_world(services: ProxiedServices, folder: Path, customers: int, events: int) -> Iterator[World]:
    """Yield a filled warehouse and definitions."""
    definitions = scenario.write_definitions(folder / "definitions")
    with ExitStack() as stack:
        warehouse = stack.enter_context(lend_database(services.direct.warehouse_url, "soak_warehouse"))
        scenario.fill_warehouse(warehouse, customers, events)
        yield World(services.direct, warehouse, definitions, folder)


def run_undisturbed(world: World, records: Sequence[InputRecord]) -> Outcome:
    """Return the outcome of the records without faults."""
    with Run(world, records) as run:
        run.send()
        run.start()
        wait_for_all(run, len(records), partial(time.sleep, TICK_S))
        return run.finish()


def wait_for_all(run: Run, records: int, tick: Callable[[], None]) -> bool:
    """Wait until everything is committed and all silent customers are found; return False if that does not progress.

    Args:
        run: the run.
        records: at least so many; the workers' own requests for silent customers come to them.
        tick: called between two looks.
    """
    done, moved, is_done = (0, 0), time.monotonic(), False
    while not is_done and time.monotonic() < moved + TIMEOUT_S:
        tick()
        with suppress(KafkaException):  # a broker that has just restarted may not have the offsets yet
            before, done = done, (run.committed(), run.silent_found())
            moved = time.monotonic() if done > before else moved
            is_done = done[0] >= records and done[1] >= scenario.SILENT and run.left() == 0
    return is_done


def add_figures(report: Report, disturbed: Soak) -> None:
    """Add the figures of the audit log and of the supervisor."""
    entries = disturbed.reader.update()
    faults, recoveries = count_faults(entries), measure_recoveries(entries)
    report.faults, report.fault_count = dict(sorted(faults.items())), faults.total()
    report.redelivered = sum(1 for times in count_decided(entries).values() if times > 1)
    report.exits, report.operators = dict(disturbed.crew.exits), dict(disturbed.operators.done)
    if recoveries:
        figures = {"kills": len(recoveries), "median": statistics.median(recoveries), "max": max(recoveries)}
        report.recovery_s = {name: round(figure, 2) for name, figure in figures.items()}


def as_json(report: Report) -> str:
    """Return the report's figures as one line."""
    figures: dict[str, Any] = asdict(report)
    del figures["complaints"]
    return json.dumps(figures)


@click.command()
@click.option("--seconds", default=600, show_default=True, help="Duration of the faults.")
@click.option("--seed", type=int, help="Seed of input and faults; random by default.")
@click.option("--keep", is_flag=True, help="Keep logs and data even after a success.")
def main(seconds: int, seed: int | None, keep: bool) -> None:
    """Disturb two workers at random, and compare the outcome with an undisturbed run."""
    seed = random.randrange(1_000_000) if seed is None else seed
    folder = Path(tempfile.mkdtemp(prefix=f"holdfast-soak-{seed}-"))
    click.echo(f"seed {seed}, logs in {folder}")
    report = soak(folder, seconds=seconds, seed=seed, say=click.echo)
    if report.is_right and not keep:
        shutil.rmtree(folder)
    elif not report.is_right:
        click.echo(f"failed; logs are in {folder}; to repeat: make soak SECONDS={seconds} SEED={seed}")
        click.echo("\n".join(report.complaints))
    click.echo(as_json(report))
    sys.exit(0 if report.is_right else 1)


if __name__ == "__main__":
    main()
