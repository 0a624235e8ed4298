"""Computes ratios from measured figures and compares them with targets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.peers import spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Results = Mapping[str, Any]

RATIOS = {
    "whole_vs_stock_faust_empty": ("whole", "parse_faust"),
    "whole_vs_usual_way": ("whole", "usual_faust"),
    "whole_vs_quix": ("whole", "usual_quix"),
    "consumer_vs_stock_faust": ("holdfast", "stock_faust"),
    "consumer_vs_quix_empty": ("holdfast", "quix"),
    "consumer_vs_confluent": ("holdfast", "tuned_confluent"),
}
"""Ratio name to (numerator, denominator): median events per second of two contenders in one run."""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and its target.

    Attributes:
        name: name of the figure.
        path: keys of the figure in the results, joined by dots.
        bound: the minimum or maximum.
        at_least: whether the bound is a minimum.
        unit: unit of the figure.
    """

    name: str
    path: str
    bound: float
    at_least: bool
    unit: str


TARGETS = (
    Target("whole job, over stock Faust that only parses", "ratios.whole_vs_stock_faust_empty", 5, True, "x"),
    Target("whole job, over the usual way in Faust", "ratios.whole_vs_usual_way", 75, True, "x"),
    Target("whole job, over the usual way in Quix Streams", "ratios.whole_vs_quix", 50, True, "x"),
    Target("worker's CPU for an event", "worker_cpu_us_per_event", 15, False, "us"),
    Target("CPU of all services for an event", "all_cpu_us_per_event", 20, False, "us"),
    Target("own code alone, events for a CPU second", "own_code_events_per_cpu_s", 100_000, True, "/s"),
    Target("consumer, over stock Faust", "ratios.consumer_vs_stock_faust", 20, True, "x"),
    Target("consumer, over Quix Streams, empty", "ratios.consumer_vs_quix_empty", 2, True, "x"),
    Target("consumer, over tuned confluent-kafka", "ratios.consumer_vs_confluent", 0.4, True, "x"),
    Target("p50 to the trigger, idle", "latency_ms.idle.p50", 12, False, "ms"),
    Target("p99 to the trigger, 8,000 events/s", "latency_ms.8000_per_s.p99", 100, False, "ms"),
    Target("p99 to the trigger, 50 % of peak", "latency_ms.50_percent.p99", 150, False, "ms"),
    Target("p99 to the trigger, 80 % of peak", "latency_ms.80_percent.p99", 250, False, "ms"),
    Target("p99 to the trigger, 8,000 events/s, with a deploy", "deployment.whole.p99", 100, False, "ms"),
    Target("longest wait while the group changes", "deployment.longest_change", 2000, False, "ms"),
    Target("kill -9 to the first decision elsewhere, most", "recovery.first_s.max", 3, False, "s"),
    Target("customers re-evaluated next to live events", "reevaluation.customers_per_s", 1_000_000 / 60, True, "/s"),
    Target("exactly once, over the job without transactions and fsync", "safety.share", 0.8, True, "x"),
    Target("rate with ten times the customers, share", "growth_share.customers", 0.9, True, "x"),
    Target("rate with ten times the rules, share", "growth_share.rules", 0.8, True, "x"),
    Target("idle worker, part of a core", "idle_cpu_percent", 5, False, "%"),
    Target("worker's memory, most", "rss_mb.most", 300, False, "MB"),
    Target("worker's memory over millions of events, most", "memory.worker_mb.most", 300, False, "MB"),
    Target("worker's memory with 200,000 customers kept", "kept.worker_mb", 400, False, "MB"),
)


def summarise(rounds: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return spreads, ratios and medians of the figures of all rounds.

    Args:
        rounds: figures by contender, one entry per round; `whole` is the whole job of a worker.
    """
    figures = {name: [_common(each) for each in measured] for name, measured in rounds.items()}
    found: dict[str, Any] = {
        "events_per_s": {name: spread([each[0] for each in some], 0) for name, some in figures.items()},
        "cpu_s_per_million": {name: spread([each[1] for each in some], 2) for name, some in figures.items()},
    }
    rates = {name: each["median"] for name, each in found["events_per_s"].items()}
    pairs = {name: pair for name, pair in RATIOS.items() if set(pair) <= set(rates)}
    found["ratios"] = {name: round(rates[first] / rates[second], 2) for name, (first, second) in pairs.items()}
    return found | _of_whole(rounds.get("whole", ())) | _of_own_code(rounds.get("own_code", ()))


def join(first: Results, second: Results) -> dict[str, Any]:
    """Merge two results recursively; where both have a figure, the second wins."""
    shared = [name for name in first if isinstance(first[name], dict) and isinstance(second.get(name), dict)]
    return {**first, **second, **{name: {**first[name], **second[name]} for name in shared}}


def keep(before: Results, now: Results) -> dict[str, Any]:
    """Return the new results, completed by parts of an earlier run, without ratios that mix the two runs."""
    measured = set(now.get("events_per_s", ()))
    ratios = {name: each for name, each in before.get("ratios", {}).items() if measured.isdisjoint(RATIOS[name])}
    return join({**before, "ratios": ratios, "failures": {}}, now)


def derive(results: Results) -> dict[str, Any]:
    """Return the figures that follow from others: the CPU of an event, and which share of the rate growth leaves."""
    found: dict[str, Any] = {}
    if "worker_cpu_us_per_event" in results:
        services = sum(results["services_cpu_us_per_event"].values())
        found["all_cpu_us_per_event"] = round(results["worker_cpu_us_per_event"] + services, 1)
    shares = {
        name: round(points["10"]["events_per_s"] / points["1"]["events_per_s"], 2)
        for name, points in results.get("growth", {}).items()
        if all("events_per_s" in points.get(factor, ()) for factor in ("1", "10"))
    }
    return {**found, "growth_share": shares} if shares else found


def find(results: Results, path: str) -> Any:
    """Return the value at a path, or None if there is none."""
    found: Any = results
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def judge(results: Results) -> list[dict[str, Any]]:
    """Return each measured target with its figure and whether it is met."""
    return [_compare(target, value) for target in TARGETS if (value := find(results, target.path)) is not None]


def _compare(target: Target, value: float) -> dict[str, Any]:
    met = value >= target.bound if target.at_least else value <= target.bound
    wanted = f"{'at least' if target.at_least else 'at most'} {target.bound:,g} {target.unit}"
    return {"name": target.name, "measured": value, "unit": target.unit, "target": wanted, "met": met}


def _common(figures: Mapping[str, Any]) -> tuple[float, float]:
    """Return events per second and CPU seconds of the process per million events."""
    if "cpu_us_per_event" in figures:
        return figures["events_per_s"], figures["cpu_us_per_event"]["worker"]
    return figures["events_per_s"], figures["cpu_s_per_million"]


def _of_whole(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not measured:
        return {}
    spent = {name: [each["cpu_us_per_event"][name] for each in measured] for name in measured[0]["cpu_us_per_event"]}
    medians = {name: round(median(values), 2) for name, values in spent.items()}
    return {
        "worker_cpu_us_per_event": medians.pop("worker"),
        "services_cpu_us_per_event": medians,
        "trigger_percent": round(median(each["trigger_percent"] for each in measured), 2),
        "rss_mb": {
            "early": round(median(each["rss_mb_early"] for each in measured)),
            "most": max(each["rss_mb"] for each in measured),
        },
    }


def _of_own_code(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not measured:
        return {}
    own = [each["cpu_s_per_million"] - each["stores_cpu_s_per_million"] for each in measured]
    return {
        "own_code_events_per_cpu_s": round(1e6 / median(own)),
        "own_code_cpu_us_per_event": spread(own, 2),
        "with_stores_cpu_us_per_event": spread([each["cpu_s_per_million"] for each in measured], 2),
    }
