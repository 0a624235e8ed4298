"""Results as tables on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TITLES = {
    "whole": "Holdfast: the whole job",
    "own_code": "Holdfast: its own code over stores in memory",
    "parse_confluent": "confluent-kafka, tuned: JSON parsed",
    "parse_faust": "Faust, stock agent: JSON parsed",
    "parse_quix": "Quix Streams: JSON parsed",
    "parse_bytewax": "Bytewax: JSON parsed",
    "kafka_streams_empty": "Kafka Streams, exactly once: JSON parsed",
    "kafka_streams_job": "Kafka Streams, exactly once: rules and memberships, without I/O",
    "usual_faust": "Faust, the usual way",
    "usual_quix": "Quix Streams, the usual way",
    "holdfast": "Holdfast's consumer: nothing done",
    "tuned_confluent": "confluent-kafka, tuned: nothing done",
    "quix": "Quix Streams: nothing done",
    "stock_faust": "Faust, stock agent: nothing done",
}
LATENCY_HEADINGS = ("load", "events/s", "p50", "p99", "p99.9", "worker, % of a core", "load generator, % of a core")
Rows = list[tuple[str, ...]]


def show(results: Mapping[str, Any]) -> None:
    """Print the results."""
    console = Console()
    for title, headings, rows in list_tables(results):
        table = Table(*headings, title=title, title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        console.print(table)


def list_tables(results: Mapping[str, Any]) -> Iterable[tuple[str, Sequence[str], Rows]]:
    """Yield title, headings and rows of each table that has figures."""
    if rows := list_targets(results):
        yield "Targets", ("figure", "measured", "target", "met"), rows
    if rows := list_contenders(results):
        yield "Contenders, by turns in one run", ("", "events/s", "least", "most", "CPU s for 1,000,000"), rows
    if rows := list_latencies(results):
        yield "Event due to trigger read, ms", LATENCY_HEADINGS, rows
    if rows := list_changes(results):
        rate = results["deployment"]["events_per_s"]
        title = f"Event due to trigger read at {rate:,} events/s while the workers of a group change, ms"
        yield title, ("", "p50", "p99", "p99.9", "longest"), rows
    if rows := list_operations(results):
        yield "Safety, recovery, re-evaluation", ("", "figure"), rows
    if rows := list_growth(results):
        yield "What growth costs", ("", "events/s", "worker us/event", "PostgreSQL us/event"), rows
    if rows := list_memory(results):
        yield "Memory", ("", "figure"), rows


def list_targets(results: Mapping[str, Any]) -> Rows:
    """Return each target with its figure and whether it is met."""
    return [
        (each["name"], f"{each['measured']:,g} {each['unit']}", each["target"], "yes" if each["met"] else "NO")
        for each in results.get("targets", ())
    ]


def list_contenders(results: Mapping[str, Any]) -> Rows:
    """Return each contender's events per second and CPU."""
    rates, spent = results.get("events_per_s", {}), results.get("cpu_s_per_million", {})
    return [
        (
            title,
            f"{rates[name]['median']:,.0f}",
            f"{rates[name]['min']:,.0f}",
            f"{rates[name]['max']:,.0f}",
            f"{spent[name]['median']:,.1f}",
        )
        for name, title in TITLES.items()
        if name in rates
    ]


def list_latencies(results: Mapping[str, Any]) -> Rows:
    """Return the latencies by load, the lowest load first."""
    loads = sorted(results.get("latency_ms", {}).items(), key=lambda each: each[1]["events_per_s"])
    return [
        (
            name.replace("_", " "),
            f"{each['events_per_s']:,}",
            *(f"{each[quantile]:,.0f}" for quantile in ("p50", "p99", "p99_9")),
            f"{each['worker_core_percent']:.0f}",
            f"{each['generator_core_percent']:.0f}",
        )
        for name, each in loads
    ]


def list_changes(results: Mapping[str, Any]) -> Rows:
    """Return the latencies of the whole time, without changes of the group, and of each change."""
    found = results.get("deployment")
    if not found:
        return []
    named = {"all of it": found["whole"], "without the changes": found["without_changes"], **found["changes"]}
    return [
        (name, *(f"{each[key]:,.0f}" if key in each else "" for key in ("p50", "p99", "p99_9", "max")))
        for name, each in named.items()
    ]


def list_operations(results: Mapping[str, Any]) -> Rows:
    """Return what safety costs, how long recovery takes, and a re-evaluation next to live events."""
    rows: Rows = []
    if found := results.get("safety"):
        rows.append(("whole job as shipped, events/s", f"{found['safe_per_s']:,.0f}"))
        rows.append(("whole job without transactions and fsync, events/s", f"{found['unsafe_per_s']:,.0f}"))
    if found := results.get("recovery"):
        first, every = found["first_s"], found["every_s"]
        rows.append(("kill -9 to the first decision elsewhere, s: median, most", f"{first['median']}, {first['max']}"))
        rows.append(("the same, on every partition of the worker", f"{every['median']}, {every['max']}"))
    if found := results.get("reevaluation"):
        live, latency = found["live_events_per_s"], found["latency_ms"]
        said = f"{found['evaluated']:,} customers re-evaluated next to {live:,} events/s, s"
        p99s = f"{latency['without']['p99']}, {latency['with']['p99']}"
        rows += [(said, f"{found['seconds']}"), ("p99 of the live events, ms: without it, with it", p99s)]
    if found := results.get("kept"):
        rows.append((f"worker that keeps {found['customers']:,} customers, MB", f"{found['worker_mb']}"))
    return rows


def list_growth(results: Mapping[str, Any]) -> Rows:
    """Return rates and costs by number of workers and by growth factor."""
    named = [(f"{count} workers", each) for count, each in results.get("workers", {}).items()]
    for name, points in results.get("growth", {}).items():
        named += [(f"{factor} x {name.replace('_', ' ')}", each) for factor, each in points.items()]
    return [(name, *_list_costs(each)) for name, each in named]


def _list_costs(figures: Mapping[str, Any]) -> tuple[str, str, str]:
    if "failed" in figures:
        return "failed", "", ""
    spent = figures["cpu_us_per_event"]
    return f"{figures['events_per_s']:,}", f"{spent['worker']:.1f}", f"{spent['postgres']:.1f}"


def list_memory(results: Mapping[str, Any]) -> Rows:
    """Return the sizes of worker, cache and ledger."""
    found = results.get("memory")
    if not found:
        return []
    held = found["worker_mb"]
    return [
        (f"worker over {found['events']:,} events, MB: early, late, most", "{early}, {late}, {most}".format(**held)),
        ("Redis, bytes for a cached customer", f"{found['redis_bytes_per_cached_customer']:,}"),
        ("ledger, bytes for a customer", f"{found['ledger_bytes_per_customer']:,}"),
        ("ledger, bytes of history for an event", f"{found['ledger_history_bytes_per_event']:,}"),
    ]
