"""Runs all benchmarks: `make bench`, or `python -m benchmarks --only whole,peers`.

Contenders alternate, each in its own process, because the speed of a machine drifts: compare figures of one run only.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import psycopg
from redis import Redis

from benchmarks import consumer, recovery, reevaluation
from benchmarks.contenders import kafka_streams
from benchmarks.deployment import measure_deployment
from benchmarks.errors import BenchmarkError
from benchmarks.latency import FIXED_RATE, measure_idle, measure_loads
from benchmarks.machine import describe
from benchmarks.memory import measure_kept, measure_memory
from benchmarks.peers import ROOT, check_installed, run
from benchmarks.place import open_place
from benchmarks.results import derive, join, judge, keep, summarise
from benchmarks.safety import measure_safety
from benchmarks.scaling import measure_growth, measure_workers
from benchmarks.tables import show
from benchmarks.whole_job import measure
from benchmarks.workload import Size
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.place import Place

    Step = Callable[[], dict[str, Any]]

PARTS = ("whole", "peers", "own", "consumer", "latency", "scaling", "memory")
LONG_PARTS = ("safety", "kept", "recovery", "reevaluation", "deployment")
"""Measured only when named: together they take as long as the others."""
RESULTS = ROOT / "benchmarks" / "results.json"
MEMBERS = "SELECT customer_id, array_agg(segment) FROM membership WHERE is_member GROUP BY customer_id"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: number of runs of each contender.
        warm_rounds: unmeasured runs of the whole job at the start: the broker uses three times as much CPU in the
            first run as in the third, while the JVM compiles.
        size: size of the whole job.
        parse: events for each contender that parses JSON; the stock Faust agent reads an eighth of them.
        usual: events for the per-event baselines.
        usual_warm: how many of these are processed before the clock starts.
        own: updates for the pipeline over in-memory stores.
        consumer: events for the contenders that only consume; the stock Faust agent reads a tenth of them.
        latency_s: duration of each load, s.
        growth: updates for each point of the cost curves.
        factors: the points of the cost curves.
        memory: events for the memory measurement.
        kept: customers kept in memory; there are half as many more.
        kills: workers killed.
        reevaluated: customers evaluated again under an edited rule.
        deployment_s: duration of the load during which the group changes, s.
    """

    rounds: int = 3
    warm_rounds: int = 2
    size: Size = field(default_factory=Size)
    parse: int = 400_000
    usual: int = 4_000
    usual_warm: int = 500
    own: int = 100_000
    consumer: int = 1_000_000
    latency_s: float = 15.0
    growth: int = 100_000
    factors: tuple[int, ...] = (10,)
    memory: int = 1_000_000
    kept: int = 200_000
    kills: int = 10
    reevaluated: int = 1_000_000
    deployment_s: float = 600.0


QUICK = Plan(
    rounds=1,
    warm_rounds=0,
    size=Size(events=60_000, customers=5_000),
    parse=20_000,
    usual=600,
    usual_warm=100,
    own=20_000,
    consumer=50_000,
    latency_s=4.0,
    growth=5_000,
    memory=50_000,
    kept=5_000,
    kills=2,
    reevaluated=100_000,
    deployment_s=100.0,
)


@click.command()
@click.option("--rounds", type=click.IntRange(1), help="How often each contender runs.  [default: 3]")
@click.option(
    "--only",
    default=",".join(PARTS),
    show_default=True,
    help=f"The parts to measure, of these and {', '.join(LONG_PARTS)}.",
)
@click.option("--quick", is_flag=True, help="One small round as a smoke test; its figures mean little.")
@click.option("--factors", default="10", show_default=True, help="The points of the cost curves, such as 3,10,30.")
@click.option("--memory-events", type=click.IntRange(10_000), help="Events for the memory part.  [default: 1000000]")
@click.option("--keep", "keep_others", is_flag=True, help="Keep the parts of the file that this run does not measure.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="The results file.")
def main(
    *,
    rounds: int | None,
    only: str,
    quick: bool,
    factors: str,
    memory_events: int | None,
    keep_others: bool,
    out: Path,
) -> None:
    """Run the benchmarks, write the results as JSON and print them as tables."""
    parts = _parse_parts(only)
    plan = _adapt(QUICK if quick else Plan(), rounds, factors, memory_events)
    machine, began = describe(), datetime.now(UTC)
    if {"peers", "consumer"} & parts:
        check_installed()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as data, EmbeddedServices(Path(data)) as services:
        measured = _measure(services, plan, parts)
    earlier = json.loads(out.read_text()) if keep_others and out.exists() else {}
    taken_at = began.isoformat(timespec="seconds")
    taken = {name: {"taken_at": taken_at, "commit": machine["commit"]} for name in sorted(parts)}
    about = {"taken_at": taken_at, "machine": machine, "plan": asdict(plan), "parts": taken}
    results = keep(earlier, about | measured)
    results |= derive(results)
    results["targets"] = judge(results)
    out.write_text(json.dumps(results, indent=2) + "\n")
    show(results)
    click.echo(f"written to {out}")
    if results["failures"]:
        raise BenchmarkError(f"these parts failed: {', '.join(results['failures'])}; `failures` in {out} says why")


def _parse_parts(only: str) -> set[str]:
    parts = {each.strip() for each in only.split(",")}
    known = (*PARTS, *LONG_PARTS)
    if unknown := parts - set(known):
        raise click.BadParameter(f"unknown part {', '.join(sorted(unknown))}; the parts are {', '.join(known)}")
    return parts


def _measure(services: EmbeddedServices, plan: Plan, parts: set[str]) -> dict[str, Any]:
    """Return all figures, and under `failures` the error of each part that failed."""
    failures: dict[str, str] = {}
    found: dict[str, Any] = {"failures": failures}
    if parts - {"memory", *LONG_PARTS}:
        with open_place(services, plan.size) as place:
            place.fill()
            rounds = _measure_by_turns(place, plan, parts, failures)
            found |= summarise(rounds)
            if "latency" in parts:
                loads = partial(_measure_loads, place, rounds, plan.latency_s)
                found = join(found, _attempt("latency", loads, failures))
            if "scaling" in parts:
                found["workers"] = _attempt("workers", partial(measure_workers, place), failures)
    if "latency" in parts:
        found = join(found, _attempt("idle", partial(measure_idle, services, plan.latency_s), failures))
    if "scaling" in parts:
        found["growth"] = _attempt("growth", partial(measure_growth, services, plan.growth, plan.factors), failures)
    if "memory" in parts:
        found["memory"] = _attempt("memory", partial(measure_memory, services, plan.memory), failures)
    for name, step in _list_long_steps(services, plan).items():
        if name in parts:
            found[name] = _attempt(name, step, failures)
    return found


def _list_long_steps(services: EmbeddedServices, plan: Plan) -> dict[str, Step]:
    """Return the function of each long part; `safety` starts services of its own."""
    return {
        "safety": partial(measure_safety, plan.size, plan.rounds),
        "kept": partial(measure_kept, services, plan.kept),
        "recovery": partial(recovery.measure, services, plan.kills),
        "reevaluation": partial(reevaluation.measure, services, plan.reevaluated),
        "deployment": partial(measure_deployment, services, plan.deployment_s, FIXED_RATE),
    }


def _measure_by_turns(
    place: Place, plan: Plan, parts: set[str], failures: dict[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of every contender of these parts, one entry per round after the warm-up."""
    rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    steps = dict(_list_steps(place, plan, parts))
    for _ in range(plan.warm_rounds if {"whole", "latency"} & parts else 0):
        _attempt("warm-up of the services", partial(measure, place), failures)
    for number in range(plan.rounds):
        for name, step in steps.items():
            if figures := _attempt(name, step, failures):
                rounds[name].append(figures)
                click.echo(f"round {number + 1} {name}: {figures['events_per_s']:,.0f} events/s", err=True)
    return rounds


def _attempt(name: str, step: Step, failures: dict[str, str]) -> dict[str, Any]:
    """Return the figures of a step, empty if it failed: a failure must not lose the figures of an hour of others."""
    click.echo(f"measuring {name}", err=True)
    try:
        return step()
    except BenchmarkError as error:
        failures[name] = error.message
        click.echo(f"{name} failed: {error.message}", err=True)
        return {}


def _measure_loads(place: Place, rounds: dict[str, list[dict[str, Any]]], seconds: float) -> dict[str, Any]:
    """Measure latencies at fractions of the whole job's rate, taken from this run's rounds or from a new one."""
    whole = rounds.get("whole") or [measure(place)]
    peak = float(median(each["events_per_s"] for each in whole))
    return {"peak_events_per_s": peak, **measure_loads(place, peak, seconds)}


def _list_steps(place: Place, plan: Plan, parts: set[str]) -> Iterator[tuple[str, Step]]:
    """Yield the name of every contender of these parts, with the function that runs it."""
    broker, updates = place.endpoints.broker, f"{place.prefix}customer-updates"
    if "whole" in parts:
        yield "whole", lambda: measure(place)
    if "peers" in parts:
        for name, part in {"parse_confluent": 1, "parse_faust": 8, "parse_quix": 1, "parse_bytewax": 1}.items():
            yield name, lambda name=name, part=part: run(name, broker, updates, plan.parse // part)  # type: ignore[misc]
        if kafka_streams.has_jdk():
            for job in ("empty", "job"):
                does = {kafka_streams.JOB: job}
                yield (
                    f"kafka_streams_{job}",
                    lambda does=does: run("kafka_streams", broker, updates, plan.parse, does),  # type: ignore[misc]
                )
        else:
            click.echo("Kafka Streams is left out: its job is compiled, and there is no JDK", err=True)
        for name in ("usual_faust", "usual_quix"):
            yield name, lambda name=name: _run_baseline(name, place, plan)  # type: ignore[misc]
    if "own" in parts:
        yield "own_code", lambda: run("own_code", broker, updates, plan.own)
    if "consumer" in parts:
        topic = consumer.produce(broker, plan.consumer)
        for name, part in consumer.PARTS.items():
            yield name, lambda name=name, part=part: run(name, broker, topic, plan.consumer // part)  # type: ignore[misc]


def _run_baseline(name: str, place: Place, plan: Plan) -> dict[str, Any]:
    """Run a per-event baseline on its own ledger, with a cache that holds the segments of every customer."""
    with place.lend_ledger() as ledger_url:
        with psycopg.connect(ledger_url) as ledger, Redis.from_url(place.endpoints.redis_url) as redis:
            known = {f"usual:{customer}": json.dumps(held) for customer, held in ledger.execute(MEMBERS)}
            redis.mset(known or {"usual:": "[]"})
        environment = place.environment(ledger_url, "unused") | {"BENCHMARK_WARM_EVENTS": str(plan.usual_warm)}
        return run(name, place.endpoints.broker, f"{place.prefix}customer-updates", plan.usual, environment)


def _adapt(plan: Plan, rounds: int | None, factors: str, memory_events: int | None) -> Plan:
    changes = {"rounds": rounds, "memory": memory_events, "factors": tuple(map(int, factors.split(",")))}
    return replace(plan, **{name: each for name, each in changes.items() if each is not None})


if __name__ == "__main__":
    main()
