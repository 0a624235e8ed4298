"""What the benchmark makes of what it measured."""

from __future__ import annotations

import pytest

from benchmarks.deployment import Change, describe_changes
from benchmarks.plan import draw_up
from benchmarks.results import derive, find, join, judge, keep, summarise

WHOLE = {
    "events_per_s": 60_000,
    "cpu_us_per_event": {"worker": 10.0, "kafka": 1.0, "postgres": 9.0, "redis": 0.5},
    "trigger_percent": 2.0,
    "rss_mb": 150,
    "rss_mb_early": 149,
}
MEMORY = {
    "redis_bytes_per_cached_customer": 400,
    "ledger_bytes_per_customer": 250,
    "ledger_history_bytes_per_event": 80,
}


def peer(rate: float) -> dict[str, float]:
    return {"events_per_s": rate, "cpu_s_per_million": 1e6 / rate}


def test_a_ratio_is_that_of_medians() -> None:
    rounds = {"holdfast": [peer(300), peer(100), peer(200)], "quix": [peer(50), peer(40), peer(60)]}
    found = summarise(rounds)
    assert found["ratios"] == {"consumer_vs_quix_empty": 4.0}
    assert found["events_per_s"]["quix"] == {"min": 40, "median": 50, "max": 60}


def test_a_ratio_needs_both() -> None:
    assert summarise({"holdfast": [peer(300)]})["ratios"] == {}


def test_the_workers_cpu_is_told_apart_from_that_of_the_services() -> None:
    found = summarise({"whole": [WHOLE, WHOLE]})
    assert found["worker_cpu_us_per_event"] == 10.0
    assert found["services_cpu_us_per_event"] == {"kafka": 1.0, "postgres": 9.0, "redis": 0.5}
    assert found["cpu_s_per_million"]["whole"]["median"] == 10.0
    assert found["rss_mb"] == {"early": 149, "most": 150}


def test_growth_leaves_a_share_of_the_rate_and_a_point_that_failed_leaves_none() -> None:
    growth = {
        "rules": {"1": {"events_per_s": 200}, "10": {"events_per_s": 150}},
        "campaigns": {"1": {"events_per_s": 200}, "10": {"failed": "no triggers"}},
    }
    found = derive(summarise({"whole": [WHOLE]}) | {"growth": growth})
    assert found == {"all_cpu_us_per_event": 20.5, "growth_share": {"rules": 0.75}}
    assert derive({}) == {}


def test_a_trigger_belongs_to_the_change_in_which_its_event_was_due() -> None:
    ms = 1_000_000
    taken = [(0, 10 * ms), (100 * ms, 400 * ms), (150 * ms, 200 * ms), (300 * ms, 305 * ms)]
    found = describe_changes(taken, [Change("a worker joins", 100 * ms, 200 * ms)])
    assert (found["triggers"], found["whole"]["p50"], found["without_changes"]["p50"]) == (4, 30.0, 7.5)
    assert (found["changes"]["a worker joins"]["max"], found["longest_change"]) == (300.0, 300.0)


def test_own_code_is_what_the_stores_did_not_take() -> None:
    rounds = {"own_code": [{"events_per_s": 1.0, "cpu_s_per_million": 20.0, "stores_cpu_s_per_million": 12.0}]}
    assert summarise(rounds)["own_code_events_per_cpu_s"] == 125_000


@pytest.mark.parametrize(("figure", "met"), [(15.0, True), (15.1, False)])
def test_a_target_at_most_so_much_is_met_by_as_much(figure: float, met: bool) -> None:
    (fate,) = judge({"worker_cpu_us_per_event": figure})
    assert (fate["met"], fate["measured"]) == (met, figure)


@pytest.mark.parametrize(("figure", "met"), [(5.0, True), (4.99, False)])
def test_a_target_at_least_so_much_is_met_by_as_much(figure: float, met: bool) -> None:
    (fate,) = judge({"ratios": {"whole_vs_stock_faust_empty": figure}})
    assert fate["met"] is met


@pytest.mark.parametrize("path", ["a.c", "a.b.c", "x"])
def test_what_was_not_measured_is_nothing(path: str) -> None:
    assert find({"a": {"b": 1}}, path) is None
    assert find({"a": {"b": 1}}, "a.b") == 1


def test_the_plan_follows_from_the_figures() -> None:
    rows = {what: how_much for what, how_much, _ in draw_up(summarise({"whole": [WHOLE]}) | {"memory": MEMORY})}
    assert rows["cores: workers"] == "2"
    assert rows["partitions of each input topic, at least"] == "4"
    assert rows["Redis, GB"] == "8"
    assert rows["ledger: customers, GB"] == "25"
    assert rows["ledger: history, GB a day"] == "691"


def test_there_is_no_plan_without_figures() -> None:
    assert draw_up({"memory": MEMORY}) == []


def test_of_an_earlier_run_what_is_not_measured_anew_is_kept() -> None:
    before = {"events_per_s": {"whole": 1, "quix": 2}, "memory": {"events": 5}, "failures": {"latency": "x"}}
    found = keep(before, {"events_per_s": {"whole": 3}, "failures": {}})
    assert found["events_per_s"] == {"whole": 3, "quix": 2}
    assert (found["memory"], found["failures"]) == ({"events": 5}, {})


def test_a_ratio_with_a_figure_of_another_run_is_dropped() -> None:
    before = {"ratios": {"whole_vs_quix": 60.0, "consumer_vs_confluent": 0.5}}
    assert keep(before, {"events_per_s": {"whole": 3}, "ratios": {}})["ratios"] == {"consumer_vs_confluent": 0.5}


def test_a_point_that_failed_and_is_measured_anew_has_not_failed() -> None:
    before = {"growth": {"rules": {"10": {"failed": "x"}}, "customers": {"10": {}}}}
    found = join(before, {"growth": {"rules": {"10": {"events_per_s": 1}}}})
    assert found["growth"] == {"rules": {"10": {"events_per_s": 1}}, "customers": {"10": {}}}
