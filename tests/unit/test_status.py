"""The pure parts of `holdfast status`: what needs attention, rates, definitions, and the page."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from rich.console import Console

from campaigns.definition import load_definitions
from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_status import UnfinishedReevaluation, Unsent, VersionInForce
from campaigns.records import StopRecord
from console.status_view import describe_ranges, describe_seconds, render_status, status_object
from console.use_cases.attention import find_attention
from console.use_cases.definitions_status import DefinitionStatus, compare_definitions, count_waiting
from console.use_cases.models_status import ModelStatus, find_models
from console.use_cases.parts import Part, Reading
from console.use_cases.services_status import find_addresses
from console.use_cases.status import (
    COUNTED_EVERY_S,
    Marks,
    Rate,
    ServiceStatus,
    Status,
    TopicLag,
    Waiting,
    measure_rate,
)
from console.use_cases.workers_status import Workers, WorkerStatus
from models.monitoring_record import MonitoringRecord, write_monitoring
from streams.kafka.group_inspection import Position, Positions
from streams.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE_S = 120.0
LONG_AGO = NOW - timedelta(seconds=PATIENCE_S + 1)
SERVICES = tuple(ServiceStatus(name, "host:1", "1", 0.001) for name in ("Kafka", "ledger", "warehouse", "Redis"))
WELL = Status(
    at=NOW,
    took_s=1.0,
    services=SERVICES,
    workers=Part(Workers("stable", [WorkerStatus("w-1", "10.0.0.1", [0, 1], "ok", (), 0.0)])),
    lag=Part([TopicLag("customer-updates", 3, NOW - timedelta(seconds=2)), TopicLag("outcomes", 0, None)]),
    rate=Rate(1_000.0, 2.5, 1.0),
    outbox=Part(Unsent(2, NOW - timedelta(seconds=1))),
    dead_letters=Part({}),
    models=[ModelStatus("churn", "rules")],
    stops=Part([]),
    definitions=Part([DefinitionStatus("segment", "risk", "v1", "v1", NOW)]),
    waiting=Part(Waiting({}, was_requested=False, unfinished=[])),
    attention=(),
    marks=Marks(None, None, 0.0),
)
STOP = StopRecord("win-back", "too many", "breaker", NOW)
MONITORED = MonitoringRecord("v1", NOW.isoformat(), "retrain", ("PSI of recency is 0.31",), 0.31)


def test_a_deployment_without_faults_needs_no_attention() -> None:
    assert find_attention(WELL, patience_s=PATIENCE_S) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"services": [replace(SERVICES[3], seconds=None, problem="refused; without it: slower")]}, "Redis: refused"),
        ({"workers": Part(Workers("empty"))}, "no worker is in the consumer group (empty); start one: holdfast worker"),
        (
            {"workers": Part(Workers("stable", [WorkerStatus("w", "h", [0], "retrying", ["waits for ledger"])]))},
            "worker w at h is retrying: waits for ledger",
        ),
        ({"lag": Part([TopicLag("outcomes", 7, LONG_AGO)])}, "outcomes: 7 events wait, the oldest longer than"),
        ({"outbox": Part(Unsent(3, LONG_AGO))}, "outbox: 3 messages are decided and not published"),
        ({"dead_letters": Part({"not_json": 1, "wrong_key": 1})}, "2 open dead letters: holdfast dead-letters list"),
        ({"models": [ModelStatus("churn", "unreadable", problem="a manifest is broken")]}, "model churn: a manifest"),
        ({"models": [ModelStatus("nbo", "v1", monitored=MONITORED)]}, "PSI of recency is 0.31): holdfast train nbo"),
        ({"stops": Part([STOP])}, "campaign win-back is stopped by breaker: too many; holdfast campaigns resume"),
        (
            {"definitions": Part([DefinitionStatus("campaign", "c", "v2", None, None)])},
            "other versions than the definitions folder: campaign c; restart the workers",
        ),
        (
            {"waiting": Part(Waiting({"risk": (40, 100)}, was_requested=False, unfinished=[]))},
            "under changed segments: risk (40); holdfast segments reevaluate",
        ),
        ({"stops": Part(None, "permission denied")}, "stopped campaigns cannot be read: permission denied"),
    ],
)
def test_each_fault_is_one_sentence_with_what_to_do(changed: dict[str, Any], said: str) -> None:
    (sentence,) = find_attention(replace(WELL, **changed), patience_s=PATIENCE_S)
    assert said in sentence


@pytest.mark.parametrize(
    "changed",
    [
        {"workers": Part(Workers("stable", [WorkerStatus("w", "h", [0])]))},
        {"workers": Part(Workers("stable", [WorkerStatus("w", "h", [0], "degraded", ["campaign c is stopped: x"])]))},
        {"waiting": Part(Waiting({"risk": (1, 100)}, was_requested=True, unfinished=[]))},
        {"models": [ModelStatus("nbo", "v1", monitored=replace(MONITORED, verdict="fine"))]},
        {"models": [ModelStatus("nbo", "v2", monitored=MONITORED)]},
    ],
)
def test_what_is_unknown_or_was_dealt_with_needs_no_attention(changed: dict[str, Any]) -> None:
    """A probe that is not reached; customers who are not in the warehouse; models that are fine or replaced."""
    assert find_attention(replace(WELL, **changed), patience_s=PATIENCE_S) == []


def test_a_service_that_is_away_is_named_once_and_not_for_each_part_that_it_costs() -> None:
    away = replace(SERVICES[1], seconds=None, problem="refused; without it: nothing is decided")
    unread: Part[Any] = Part(None, "refused")
    status = replace(WELL, services=[away], outbox=unread, dead_letters=unread, stops=unread, definitions=unread)
    assert find_attention(status, patience_s=PATIENCE_S) == ["ledger: refused; without it: nothing is decided"]


def test_rates_are_measured_between_two_looks() -> None:
    places = [Positions(at, {("updates", 0): Position(offset, 10_000)}) for at, offset in ((5.0, 100), (7.0, 3_100))]
    former, now = Marks(places[0], 10, 5.0), Marks(places[1], 16, 7.0)
    assert measure_rate(former, now, triggers=4) == Rate(1_500.0, 2.0, 2.0)
    assert measure_rate(replace(former, positions=None), now, triggers=None) == Rate(None, None, 2.0)


def test_customers_who_wait_are_not_counted_at_every_look() -> None:
    waiting = Waiting({"vip": (3, 10)}, was_requested=False, unfinished=())
    marks = Marks(None, None, 100.0, waiting, waiting_at=100.0)
    assert marks.find_waiting(100.0 + COUNTED_EVERY_S - 1) is waiting
    assert marks.find_waiting(100.0 + COUNTED_EVERY_S) is None


def test_definitions_are_compared_with_what_workers_started_with() -> None:
    """A campaign version that was in force before counts, as after a rollback."""
    defined = load_definitions(None)
    segment, other, *_ = defined.segments
    campaign = defined.campaigns[0]
    found = compare_definitions(
        defined,
        {segment.key: VersionInForce(segment.version, NOW), other.key: VersionInForce("older", NOW)},
        {(campaign.key, campaign.version): NOW},
    )
    agrees = {(each.kind, each.key): each.agrees for each in found}
    assert [key for key, well in agrees.items() if well] == [("segment", segment.key), ("campaign", campaign.key)]
    assert len(found) == len(defined.segments) + len(defined.campaigns)


def test_customers_wait_for_each_segment_whose_version_they_were_not_evaluated_under() -> None:
    defined = load_definitions(None)
    versions = {each.key: each.version for each in defined.segments}
    first, *others = defined.segments
    waiting = count_waiting(defined, [(versions, 70), ({**versions, first.key: "older"}, 30)])
    assert waiting == {first.key: (30, 100), **{each.key: (0, 100) for each in others}}


def test_a_part_that_fails_or_never_ends_costs_itself_alone() -> None:
    def fail() -> int:
        raise LedgerUnavailableError("refused\nin detail")

    failing, hanging, sound = Reading(fail), Reading(lambda: time.sleep(60)), Reading(lambda: 5)
    until = time.monotonic() + 0.1
    assert failing.wait(0.1, until) == Part(None, "refused")
    assert hanging.wait(0.1, until) == Part(None, "no answer within 0.1 s")
    assert sound.wait(0.1, until) == Part(5)


def test_an_error_of_the_program_is_raised() -> None:
    def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Reading(fail).wait(5, time.monotonic() + 5)


def test_addresses_show_no_password() -> None:
    settings = load_settings(
        ledger_url="postgresql://u:secret@db:5432/ledger?sslmode=require",
        redis_url="rediss://u:secret@cache:6380/1",
        warehouse_url="csv:customers.csv",
        schema_registry_url="https://u:secret@registry:8081",
    )
    found = find_addresses(settings)
    assert found["ledger"] == "db:5432/ledger"
    assert (found["Redis"], found["warehouse"]) == ("cache:6380/1", "csv:customers.csv")
    assert "secret" not in str(found)


def test_models_have_their_latest_monitoring(tmp_path: Path) -> None:
    (tmp_path / "churn").mkdir()
    write_monitoring(tmp_path / "churn", MONITORED)
    churn, nbo, ltv = find_models(load_settings(models_dir=tmp_path))
    assert (churn.version, churn.monitored) == ("rules", MONITORED)
    assert (nbo.monitored, ltv.monitored) == (None, None)
    (tmp_path / "churn" / "monitored.json").write_text("{")
    assert "monitor the model again" in find_models(load_settings(models_dir=tmp_path))[0].problem


def draw(status: Status, width: int) -> str:
    page = StringIO()
    Console(file=page, width=width, markup=False, highlight=False).print(render_status(status))
    return page.getvalue()


def test_the_page_shows_every_part_within_80_columns() -> None:
    unfinished = [UnfinishedReevaluation("abc", NOW, 12)]
    status = replace(
        WELL,
        stops=Part([STOP]),
        models=[ModelStatus("nbo", "v1", NOW.isoformat(), NOW.isoformat(), MONITORED)],
        waiting=Part(Waiting({"risk": (40, 100)}, was_requested=False, unfinished=unfinished)),
        dead_letters=Part({"not_json": 2}),
    )
    page = draw(status, 80)
    assert max(map(len, page.splitlines())) <= 80
    for said in (
        "workers: 1, group stable",
        "0-1",
        "total",
        "rate: 1,000.0 events/s, 2.5 triggers/s, over 1.0 s",
        "outbox: 2 messages are not published, the oldest 1.0 s",
        "open dead letters: 2 not_json",
        "stopped: campaign win-back since 2026-03-01 12:00 UTC by breaker: too many",
        "segments: 1 of 1 are in force",
        "segment risk: 40 of 100 known customers wait",
        "re-evaluation abc: begun 2026-03-01 12:00 UTC, over for 12 customers so far",
    ):
        assert said in page


def test_the_page_says_what_is_unknown() -> None:
    unread: Part[Any] = Part(None, "refused")
    status = replace(
        WELL,
        services=[],
        workers=unread,
        lag=unread,
        rate=Rate(None, None, 1.0),
        outbox=unread,
        dead_letters=unread,
        stops=unread,
        definitions=unread,
        waiting=unread,
    )
    assert draw(status, 80).count("unknown") == 9


def test_nothing_that_a_person_wrote_is_obeyed_by_the_terminal() -> None:
    page = draw(replace(WELL, stops=Part([replace(STOP, reason="\x1b[2J")])), 80)
    assert "\x1b" not in page


def test_the_json_has_every_part_but_the_marks() -> None:
    found = msgspec.json.decode(msgspec.json.encode(status_object(WELL)))
    assert found["lag"]["value"][0] == {"topic": "customer-updates", "events": 3, "oldest": "2026-03-01T11:59:58Z"}
    assert "marks" not in found


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([3], "3"), ([0, 1, 2, 5], "0-2, 5"), ([1, 3, 4], "1, 3-4")])
def test_partitions_are_shown_as_ranges(numbers: list[int], text: str) -> None:
    assert describe_ranges(numbers) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0.0 s"), (59.94, "59.9 s"), (90, "1.5 min"), (7_200, "2.0 h"), (129_600, "1.5 d")]
)
def test_durations_have_the_largest_unit(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text
