"""The checks of `holdfast doctor` on values: what the journey cannot bring about on real services."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.migrations import list_steps
from campaigns.postgres_inspection import LedgerFacts, ServerFacts
from campaigns.role_grants import Grant, read_grants
from console.cli.doctor import describe_examination
from console.use_cases.doctor import broker_checks, cache_checks, ledger_checks, settings_checks
from console.use_cases.doctor.examination import Examination
from console.use_cases.doctor.findings import Finding, Severity, note
from console.use_cases.doctor.settings_checks import find_other_versions
from features.redis_server import RedisServer
from streams.kafka.broker_inspection import BrokerFacts
from streams.kafka.key_partitions import choose_partition
from streams.kafka.record_samples import SampledRecord
from streams.settings import load_settings
from streams.topic_descriptions import TOPICS

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = load_settings()
SERVER = ServerFacts(180_004, 0.0, 0.001, 97, 10)
LEDGER = LedgerFacts(SERVER, "holdfast_worker", (), (), (), ())
BROKER = BrokerFacts(
    {topic.name: 4 for topic in TOPICS},
    {topic.name: dict(topic.configs) for topic in TOPICS},
    {"group.min.session.timeout.ms": "6000", "group.max.session.timeout.ms": "1800000"},
    (),
    SETTINGS.input_topics,
    NOW,
)


def broker_findings(facts: BrokerFacts) -> Sequence[Finding]:
    return [found for check in broker_checks.CHECKS for found in check(SETTINGS, facts)]


def ledger_findings(facts: LedgerFacts) -> Sequence[Finding]:
    return [found for check in ledger_checks.CHECKS for found in check(SETTINGS, facts)]


def test_sound_facts_give_no_findings() -> None:
    assert broker_findings(BROKER) == []
    assert ledger_findings(LEDGER) == []


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        ({"brokers": {"auto.create.topics.enable": "true"}}, "topics-auto-created", "auto.create.topics.enable"),
        ({"brokers": {"offsets.retention.minutes": "60"}}, "offsets-retention-short", "is 60"),
        (
            {"brokers": {"group.max.session.timeout.ms": "5000"}},
            "session-timeout",
            "set HOLDFAST_SESSION_TIMEOUT_S to 5",
        ),
        ({"with_ids": ()}, "topic-ids-missing", "Kafka 2.8"),
        ({"brokers": {}}, "configuration-unread", "of the brokers cannot be read"),
    ],
)
def test_what_is_wrong_with_a_broker(changed: dict[str, Any], name: str, said: str) -> None:
    (finding,) = broker_findings(replace(BROKER, **changed))
    assert finding.id == name
    assert said in f"{finding.what} {finding.fix}"


def sampled(key: bytes, partition: int, at: datetime | None = NOW) -> SampledRecord:
    return SampledRecord("customer-updates", partition, 7, key, at)


def test_two_partitioners_are_counted_and_the_other_one_is_named() -> None:
    """Java's default and librdkafka's in one topic, the usual fault."""
    keys = [b"c%d" % number for number in range(40)]
    ours = [sampled(key, choose_partition("murmur2", key, 4)) for key in keys]
    theirs = [sampled(key, choose_partition("consistent", key, 4)) for key in keys]
    (finding,) = broker_findings(replace(BROKER, records=[*ours, *theirs]))
    assert finding.id == "partitioner-differs"
    assert "of 80 sampled records are in another partition than HOLDFAST_PARTITIONER murmur2_random" in finding.what
    assert finding.what.endswith("all of them fit consistent_random, librdkafka's default")


def test_records_without_a_key_or_a_time_are_passed_over() -> None:
    assert broker_findings(replace(BROKER, records=[replace(sampled(b"", 3), key=None, at=None)])) == []


@pytest.mark.parametrize(("ahead_s", "count"), [(0.9, 0), (1.1, 1), (-3_600, 0)])
def test_a_record_of_the_future_shows_that_clocks_differ(ahead_s: float, count: int) -> None:
    """An old record shows nothing."""
    key = b"c1"
    record = sampled(key, choose_partition("murmur2", key, 4), NOW + timedelta(seconds=ahead_s))
    assert [each.id for each in broker_findings(replace(BROKER, records=[record]))] == ["clock-of-records"] * count


@pytest.mark.parametrize(
    ("server", "name", "said"),
    [
        (replace(SERVER, version=130_012), "postgresql-old", "is PostgreSQL 13"),
        (replace(SERVER, version=160_002), "postgresql-without-transaction-timeout", "is PostgreSQL 16"),
        (replace(SERVER, ahead_s=2.5), "clock-of-ledger", "2.5 s ahead of"),
        (replace(SERVER, ahead_s=-2.5), "clock-of-ledger", "2.5 s behind"),
        (replace(SERVER, connections=92), "connections-of-ledger", "5 of 97 connections left"),
    ],
)
def test_what_is_wrong_with_a_server(server: ServerFacts, name: str, said: str) -> None:
    (finding,) = ledger_findings(replace(LEDGER, server=server))
    assert (finding.id, said in finding.what) == (name, True)


def test_a_slow_answer_is_no_difference_of_clocks() -> None:
    assert ledger_findings(replace(LEDGER, server=replace(SERVER, ahead_s=1.5, round_trip_s=2.0))) == []


def test_many_missing_rights_are_shown_in_part() -> None:
    lacking = [Grant(f"t{number}", "SELECT") for number in range(12)]
    (finding,) = ledger_findings(replace(LEDGER, lacking=lacking))
    assert "lacks SELECT on t0; " in finding.what
    assert finding.what.endswith("; 2 more")


def test_the_rights_of_a_worker_are_those_of_the_script() -> None:
    """Without those of operators and deliveries."""
    grants = set(read_grants())
    assert {
        Grant("outbox", "INSERT"),
        Grant("outbox_sequence_seq", "SELECT"),
        Grant("partition_owner", "UPDATE", "epoch"),
        Grant("membership", "UPDATE", "member_under"),
    } <= grants
    assert {each.right for each in grants} == {"SELECT", "INSERT", "UPDATE"}
    assert not {each for each in grants if each.table in {"delivery", "opt_out"}}
    assert Grant("dead_letter", "UPDATE", "resolution") not in grants


def test_the_steps_of_the_schema_are_in_order() -> None:
    steps = list_steps()
    assert (steps[0], list(steps)) == ("0001-ledger", sorted(steps))


@pytest.mark.parametrize(("is_cluster", "count"), [(True, 1), (False, 0), (None, 0)])
def test_redis_cluster_is_refused(is_cluster: bool | None, count: int) -> None:
    server = RedisServer(0.001, "7.2", is_cluster)
    assert sum(len(list(check(SETTINGS, server))) for check in cache_checks.CHECKS) == count


def test_a_password_is_not_sent_in_clear_text_to_another_machine() -> None:
    sasl = {"kafka_security_protocol": "sasl_plaintext", "kafka_username": "u", "kafka_password": "s3cret"}
    check = settings_checks.check_password_in_clear
    assert list(check(load_settings(broker="localhost:9092,127.0.0.1:9093", **sasl))) == []
    (finding,) = check(load_settings(broker="localhost:9092,kafka:9092", **sasl))
    assert "kafka:9092 is another machine" in finding.what
    assert "s3cret" not in str(finding)


def test_packages_are_compared_with_every_version_of_the_locks() -> None:
    click = version("click")
    assert find_other_versions(f"click=={click} \\\n    --hash=sha256:0\nclick==0.1 ; python_version < '3'\n") == {}
    assert find_other_versions("click==0.1\nredis[hiredis]==0.2\nno-such-package==1\n") == {
        "click": (click, "0.1"),
        "redis": (version("redis"), "0.2"),
    }


def test_this_installation_is_that_of_the_locks() -> None:
    assert list(settings_checks.check_packages(SETTINGS)) == []


def test_every_finding_is_on_the_page_of_operations() -> None:
    """Under its id, which scripts and runbooks use."""
    sources = "".join(each.read_text() for each in Path(broker_checks.__file__).parent.glob("*.py"))
    named = set(re.findall(r'(?:error|warning|note|Finding)\(\s*"([a-z-]+)"', sources))
    parts = {f"{kind}-of-{server}" for kind in ("clock", "connections") for server in ("ledger", "warehouse")}
    unusable = {f"{service}-unusable" for service in ("kafka", "ledger", "warehouse", "redis")}
    page = (
        (Path(__file__).parents[2] / "docs" / "operations.md")
        .read_text()
        .partition("## Doctor")[2]
        .partition("\n## ")[0]
    )
    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", page)) == {*named, *parts, *unusable}


def test_findings_are_three_lines_each_and_counted() -> None:
    found = Examination([note("a-note", "what\x1b", "why", "fix")], 36, 1)
    assert list(describe_examination(found)) == [
        "note a-note: what\\x1b",
        "    why: why",
        "    fix: fix",
        "1 finding; 36 checks were made, 1 could not be made",
    ]
    assert not found.needs_attention
    assert Examination([Finding("w", Severity.WARNING, "", "", "")], 1, 0).needs_attention
