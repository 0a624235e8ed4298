"""Runs the demo from start to exit code."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as clock
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from rich.console import Console
from rich.live import Live

from campaigns.migrations import migrate
from campaigns.postgres_ledger import PostgresLedger
from campaigns.records import DecisionRecord
from console.demo import intelligence
from console.demo.campaign_system import CampaignSystem
from console.demo.check import check
from console.demo.definitions import QUIET_CHANNEL, write_definitions
from console.demo.publisher import Publisher
from console.demo.scenario import BEGIN, END, Scenario
from console.demo.view import Snapshot, Speed, describe, describe_effect, draw_tables, render
from console.demo.worker_process import DemoWorkerError, WorkerProcess, free_port
from console.embedded.services import EmbeddedServices
from console.errors import ExampleError
from console.explanation_views import describe_decision, headline, pick_examples
from console.use_cases.explanations import explain_decision
from console.use_cases.performance import measure_campaign
from console.warehouse import load_example
from console.web.serving import serve_meanwhile
from streams.definitions import read_definitions
from streams.kafka.topics import create_missing_topics
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from console.demo.check import SelfCheck
    from console.demo.intelligence import Learned
    from console.embedded.services import Endpoints
    from console.use_cases.performance import CampaignPerformance
    from segments.definition import Segment
    from streams.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "online_retail"
PARTITIONS = 4
CATCH_UP_TIMEOUT_S = 120
MEASURED = "promotion-medium-risk"
OK, FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Played:
    """The results of the play."""

    verdict: SelfCheck
    due: int
    last: Snapshot
    seconds: float
    events_per_second: float
    latency_ms: dict[str, float]
    worker_memory_mb: float
    held: int
    performance: CampaignPerformance
    learned: Learned


def run_demo(data: Path, *, until: date, as_json: bool, keep: bool) -> int:
    """Play the demo and return 0 if its self-check holds.

    Args:
        data: folder for the services' data; data of an earlier demo are removed.
        until: first day that is not played.
        as_json: print one JSON object last.
        keep: leave everything running until Ctrl-C.

    Raises:
        EmbeddedError, HoldfastStreamError, ExampleError: a service, the worker or the example could not be started.
    """
    if not BEGIN < until <= END:
        raise ExampleError(f"--until is {until}; choose a date from {BEGIN} to {END}")
    began = time.monotonic()
    # Hide the warnings of the first second, while Kafka loads its coordinators: they do not concern the viewer.
    logging.getLogger("librdkafka").setLevel(logging.ERROR)
    console = Console(stderr=as_json, highlight=False)
    console.print("[bold]Holdfast demo[/]: half a year of a real retailer, played through real services")
    console.print("  (UCI Online Retail, 2011; offers, messages and consent are synthetic)")
    with _interruptible(), ExitStack() as stack:
        chosen = _settings_for(_start_services(data, console, stack), write_definitions(data / "definitions", _now()))
        settings = load_settings(**chosen)
        _prepare(settings, console)
        environment = {name: str(setting) for name, setting in chosen.items()}
        worker = WorkerProcess(environment, data / "worker.log")
        stack.callback(worker.stop)
        worker.wait_until_ready()
        console.print(f"  worker      http://127.0.0.1:{worker.port}/health and /metrics")
        played = _play(settings, worker, until, console)
        _summarise(settings, played, console)
        if keep:
            _stay(environment, worker, console)
    console.print(f"done in {time.monotonic() - began:.0f} s")
    if as_json:
        print(json.dumps(_as_json(played, time.monotonic() - began)), flush=True)  # noqa: T201 - the command's output
    return OK if played.verdict.holds else FAILED


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does, so that the services are stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _start_services(data: Path, console: Console, stack: ExitStack) -> Endpoints:
    services = EmbeddedServices(data / "services", report=lambda text: console.print(f"  {text}"))
    stack.callback(services.stop)
    return services.start(fresh=True)


def _now() -> datetime:
    return datetime.now(UTC)


def _settings_for(endpoints: Endpoints, definitions: Path) -> dict[str, Any]:
    return {
        **endpoints.as_environment(),
        "HOLDFAST_MODELS_DIR": EXAMPLE / "models",
        "HOLDFAST_DEFINITIONS_DIR": definitions,
        # The events are from 2011: every trigger has expired when its event arrives.
        "HOLDFAST_WITHHOLD_EXPIRED": "false",
        # Nor do customers become due by the clock.
        "HOLDFAST_DUE_CLOCK": "events",
        # So that half a year takes less than a minute: each evaluation computes a row of the view from all orders.
        "HOLDFAST_RECHECK_DAYS": "14",
        # A second is weeks of the play.
        "HOLDFAST_DUE_RATE": "100000",
        "HOLDFAST_LEADS": "true",
        "DWH_PURCHASES": "SELECT customer_id, ordered_at AS purchased_at FROM orders WHERE NOT cancelled",
    }


def _prepare(settings: Settings, console: Console) -> None:
    """Load the warehouse, create the topics, and activate the definitions on the first day of the play."""
    loaded = load_example(settings.warehouse_url, BEGIN, EXAMPLE)
    console.print(
        f"  warehouse   {loaded.customers:,} customers, {loaded.orders:,} orders before {loaded.business_date}"
    )
    create_missing_topics(settings, partitions=PARTITIONS, replication=1)
    migrate(settings.ledger_url)
    asyncio.run(_activate(settings))
    intelligence.load_recommendations(settings, EXAMPLE, _now())


async def _activate(settings: Settings) -> None:
    defined = read_definitions(settings)
    ledger = PostgresLedger(settings.ledger_url)
    await ledger.open()
    await ledger.activate(defined.segments, defined.campaigns, at=datetime.combine(BEGIN, clock(), UTC))
    await ledger.close()


def _play(settings: Settings, worker: WorkerProcess, until: date, console: Console) -> Played:
    publisher = Publisher(settings)
    scenario = Scenario(settings, EXAMPLE, publisher)
    campaign_system = CampaignSystem(settings, publisher)
    began = time.monotonic()

    def catch_up(until: datetime) -> None:
        _wait_until_done(worker, publisher, partial(_count_due, ledger, until))

    try:
        with (
            psycopg.connect(settings.ledger_url, autocommit=True) as ledger,
            _watching(settings, worker, scenario, publisher, console),
        ):
            scenario.play(until, catch_up)
            _finish(settings, worker, publisher, campaign_system)
    finally:
        campaign_system.stop()
    seconds = time.monotonic() - began
    figures = worker.read_figures()
    with psycopg.connect(settings.ledger_url) as ledger:
        last = _snapshot(ledger, worker, scenario, publisher)
    verdict = check(settings, events_in=publisher.sent + figures.due, events_decided=figures.events)
    latencies = np.percentile(campaign_system.latencies_ms or [0.0], [50, 99])
    latency = {"p50": round(float(latencies[0]), 1), "p99": round(float(latencies[1]), 1)}
    performance = measure_campaign(settings, MEASURED)
    rate, held = verdict.events_in / seconds, campaign_system.held
    learned = intelligence.learn(settings, until)
    return Played(verdict, figures.due, last, seconds, rate, latency, figures.memory_mb, held, performance, learned)


def _finish(settings: Settings, worker: WorkerProcess, publisher: Publisher, campaign_system: CampaignSystem) -> None:
    """Wait until the campaign system has every trigger and exposure and its outcome events are folded."""
    _wait_until_done(worker, publisher)
    query = "SELECT count(*) FROM outbox WHERE destination IN ('campaign_triggers', 'control')"
    with psycopg.connect(settings.ledger_url) as ledger:
        row = ledger.execute(query).fetchone()
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
    while row and campaign_system.received < row[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    publisher.flush()
    _wait_until_done(worker, publisher)


def _wait_until_done(worker: WorkerProcess, publisher: Publisher, count_due: Callable[[], int] = lambda: 0) -> None:
    """Wait until every event is decided, and no customer is due who is not claimed and decided, too."""
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
    while time.monotonic() < deadline:
        worker.check_alive()
        # Decided events may make customers due, who are decided then.
        if not count_due() and _is_done(worker, publisher) and not count_due() and _is_done(worker, publisher):
            return
        time.sleep(0.03)
    raise DemoWorkerError(f"the worker did not catch up within {CATCH_UP_TIMEOUT_S} s")


def _is_done(worker: WorkerProcess, publisher: Publisher) -> bool:
    # Read before the figures, because the campaign system may publish more in between.
    sent = publisher.sent
    figures = worker.read_figures()
    return figures.events + figures.dead_letters >= sent + figures.due


def _count_due(ledger: psycopg.Connection[Any], until: datetime) -> int:
    """Return the customers who are due at a time, those requested and not decided yet included."""
    query = "SELECT count(*) FROM evaluated WHERE due_at <= extract(epoch FROM %s)"
    return int(ledger.execute(query, [until]).fetchall()[0][0])


@contextmanager
def _watching(
    settings: Settings, worker: WorkerProcess, scenario: Scenario, publisher: Publisher, console: Console
) -> Iterator[None]:
    """Show progress four times a second on a terminal, otherwise once per simulated month."""
    stop = threading.Event()
    watch = _watch_live if console.is_terminal else _watch_lines
    with psycopg.connect(settings.ledger_url, autocommit=True) as ledger:
        observe = partial(_snapshot, ledger, worker, scenario, publisher)
        thread = threading.Thread(target=watch, args=(observe, console, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=5)


def _watch_live(observe: Callable[[], Snapshot], console: Console, stop: threading.Event) -> None:
    speed = Speed()
    with Live(console=console, auto_refresh=False) as live:
        ended = False
        while not ended:
            ended = stop.wait(0.25)
            snapshot = observe()
            live.update(render(snapshot, speed.update(snapshot.done)), refresh=True)


def _watch_lines(observe: Callable[[], Snapshot], console: Console, stop: threading.Event) -> None:
    month = 0
    while not stop.wait(0.25):
        snapshot = observe()
        if snapshot.day.month != month and snapshot.day != BEGIN:
            month = snapshot.day.month
            console.print(f"  {describe(snapshot)}", soft_wrap=True)


def _snapshot(
    ledger: psycopg.Connection[Any], worker: WorkerProcess, scenario: Scenario, publisher: Publisher
) -> Snapshot:
    figures = worker.read_figures()
    sizes = ledger.execute("SELECT segment, count(*) FROM membership WHERE is_member GROUP BY 1 ORDER BY 1").fetchall()
    outcomes: dict[str, dict[str, int]] = {}
    for campaign, outcome, count in ledger.execute(
        "SELECT campaign, outcome, count(*) FROM decision GROUP BY 1, 2 ORDER BY 1"
    ):
        outcomes.setdefault(campaign, {})[outcome] = count
    sent = publisher.sent + figures.due
    return Snapshot(scenario.day, sent, figures.events + figures.dead_letters, dict(sizes), outcomes)


def _summarise(settings: Settings, played: Played, console: Console) -> None:
    verdict, latency = played.verdict, played.latency_ms
    summary = (
        f"[bold]{verdict.events_in:,} events[/] in {played.seconds:.0f} s, {played.events_per_second:,.0f} events/s:",
        f"  {verdict.events_decided:,} decided or folded, {verdict.dead_letters} malformed, stored as dead letters;",
        f"  {played.due:,} of them without an event: customers whom time may have moved",
        f"[bold]{verdict.triggers:,} triggers[/] sent, {verdict.control:,} control exposures (holdout),",
        f"  {verdict.decisions:,} decisions recorded with their reasons, including withheld ones:",
        f"  {_count_withheld(settings)}",
        f"{played.held:,} triggers wait for the end of {_describe_quiet_hours(settings)}",
        f"Latency from event to trigger: median {latency['p50']:,.0f} ms, 99 % within {latency['p99']:,.0f} ms,",
        f"  including those of customers who are due; worker memory {played.worker_memory_mb:,.0f} MB",
    )
    if not console.is_terminal:  # on a terminal the live view has just shown the same tables
        console.print()
        console.print(draw_tables(played.last))
    for line in ("", *summary):
        console.print(line, soft_wrap=True)
    segments = read_definitions(settings).segments
    console.print(f"\n[bold]The effect of {MEASURED}[/], with the conversions of simulated customers")
    for line in describe_effect(played.performance):
        console.print(f"  {line}", soft_wrap=True)
    console.print("\n[bold]Heard, recommended, scored[/]")
    for line in intelligence.describe(played.learned):
        console.print(f"  {line}", soft_wrap=True, markup=False)
    console.print("\n[bold]Three customers, in words[/]")
    for line in _explain_examples(settings, segments):
        console.print(f"  {line}", soft_wrap=True)
    mark = "[green]holds[/]" if verdict.holds else "[red]FAILS[/]"
    found = f"duplicates {verdict.duplicates}, missing {verdict.missing}, unknown to the ledger {verdict.unexpected}"
    lost = f"events unaccounted for {verdict.unaccounted}"
    console.print(f"\n[bold]Self-check {mark}[/]: {found}, {lost}", soft_wrap=True)


def _count_withheld(settings: Settings) -> str:
    query = "SELECT reason, count(*) FROM decision WHERE outcome = 'withheld' GROUP BY 1 ORDER BY 2 DESC, 1"
    with psycopg.connect(settings.ledger_url) as ledger:
        return ", ".join(f"{reason} {count:,}" for reason, count in ledger.execute(query))


def _describe_quiet_hours(settings: Settings) -> str:
    quiet = read_definitions(settings).channels[QUIET_CHANNEL].quiet_hours
    return (
        f"the quiet hours of {QUIET_CHANNEL}: {quiet.begin} to {quiet.end} {quiet.zone}" if quiet else "no quiet hours"
    )


def _explain_examples(settings: Settings, segments: Sequence[Segment]) -> list[str]:
    query = """SELECT customer_id, campaign, segment, occasion, outcome, reason, detail, as_of, facts, versions,
                      event_id
                 FROM decision
                WHERE reason <> 'first_evaluation'
                ORDER BY as_of DESC, customer_id, campaign"""
    by_key = {segment.key: segment for segment in segments}
    with psycopg.connect(settings.ledger_url) as ledger:
        decisions = [(row[0], DecisionRecord(*row[1:])) for row in ledger.execute(query)]
    return [
        f"customer {customer_id}: {headline(each.facts)}\n    {describe_decision(explain_decision(each, by_key))}"
        for customer_id, each in pick_examples(decisions)
    ]


def _as_json(played: Played, seconds: float) -> dict[str, Any]:
    verdict = played.verdict
    return {
        "events_in": verdict.events_in,
        "events_decided": verdict.events_decided,
        "dead_letters": verdict.dead_letters,
        "due": played.due,
        "triggers": verdict.triggers,
        "control": verdict.control,
        "duplicates": verdict.duplicates,
        "missing": verdict.missing,
        "events_per_second": round(played.events_per_second, 1),
        "latency_ms": played.latency_ms,
        "worker_memory_mb": round(played.worker_memory_mb, 1),
        "concerns": [each.concern for each in played.learned.concerns],
        "recommends": played.learned.message is not None,
        "hot_leads": len(played.learned.hot_leads),
        "seconds": round(seconds, 1),
    }


def _stay(environment: Mapping[str, str], worker: WorkerProcess, console: Console) -> None:
    settings = load_settings(**environment, HOLDFAST_CONSOLE_ACCESS="open", HOLDFAST_CONSOLE_PORT=free_port())
    with serve_meanwhile(settings) as address:
        console.print(f"\nThe console: [bold]{address}[/] (open on this machine, without signing in)")
        _wait_until_interrupted(environment, worker, console)


def _wait_until_interrupted(environment: Mapping[str, str], worker: WorkerProcess, console: Console) -> None:
    console.print("The services run until Ctrl-C. In another terminal:")
    for name, setting in environment.items():
        console.print(f"  export {name}='{setting}'", soft_wrap=True)
    console.print(
        "  .venv/bin/holdfast explain CUSTOMER_ID\n  .venv/bin/holdfast segments list\n"
        "  .venv/bin/holdfast voice trends --week 2011-W47\n  .venv/bin/holdfast leads list\n"
        "  .venv/bin/holdfast campaigns launch vip-offers\n"
        f"  .venv/bin/holdfast campaigns performance {MEASURED}\n"
        f"  curl http://127.0.0.1:{worker.port}/health",
        soft_wrap=True,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopping")
