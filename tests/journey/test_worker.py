"""The guarantees of a worker, checked from outside: its topics, its ledger, its health."""

from __future__ import annotations

import json
import os
import random
import signal
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import psycopg
import pytest

from streams.formats.events import PREFIX_BYTES
from streams.kafka.topics import create_topics
from streams.settings import OUTPUT_TOPICS
from tests.journey.workplace import (
    BEGIN,
    INPUTS,
    PARTITIONS,
    SCHEMA,
    Workplace,
    campaign,
    lend_place,
    wait_until,
    write_definitions,
    write_json,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import EmbeddedServices, Endpoints
    from tests.journey.workplace import Seen

SEED = 20111209


@contextmanager
def workplace(endpoints: Endpoints, folder: Path) -> Iterator[Workplace]:
    """Yield everything a worker needs, with its topics created by the command."""
    settings = {
        "HOLDFAST_DEFINITIONS_DIR": str(write_definitions(folder / "definitions")),
        "ML_MOCK_MODE": "true",
    }
    with lend_place(endpoints, folder, settings) as place:
        with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as connection:
            connection.execute(SCHEMA)
        place.do("topics", "create", "--partitions", str(PARTITIONS))
        yield place


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """The workplace of the shared worker; each test has its own customers."""
    with workplace(endpoints, tmp_path_factory.mktemp("shared")) as lent:
        yield lent


def read_health(worker: WorkerProcess) -> dict[str, Any]:
    """Return the report of /health, whatever its status code."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/health", timeout=30) as answer:
            return dict(json.load(answer))
    except HTTPError as answer:
        with answer:
            return dict(json.load(answer))


@pytest.mark.usefixtures("worker")
def test_entering_a_segment_makes_exactly_one_trigger(place: Workplace) -> None:
    """However often the same change is published; offer and message are filled in."""
    place.set_customer("ann")
    place.update("ann")
    place.set_customer("ann", days=90)
    place.update("ann", "ann")
    place.update("ann")
    (trigger,) = place.triggers("ann")
    assert (trigger["campaign"], trigger["channel"], trigger["variant"]) == ("win-back", "email", "treatment")
    assert trigger["offer"]["key"] == "offer-2"
    assert trigger["message"] == "4 orders so far; here is Offer 2."


@pytest.mark.usefixtures("worker")
def test_a_first_evaluation_is_silent(place: Workplace) -> None:
    """Membership is recorded, and the decision has the reason."""
    place.set_customer("bea", days=90)
    place.update("bea")
    assert place.triggers("bea") == []
    assert place.decisions("bea") == [("win-back", "withheld", "first_evaluation")]
    assert place.ask_ledger("SELECT is_member FROM membership WHERE customer_id = 'bea'") == [(True,)]


@pytest.mark.usefixtures("worker")
def test_leaving_and_entering_again_is_another_occasion(place: Workplace) -> None:
    """Two triggers with different ids."""
    place.set_customer("cleo")
    place.update("cleo")
    for days in (90, 5, 90):
        place.set_customer("cleo", days=days)
        place.update("cleo")
    occasions = {trigger["trigger_id"]: trigger["occasion"] for trigger in place.triggers("cleo")}
    assert sorted(occasions.values()) == ["1", "2"]


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that cannot be decided, and the reason of its dead letter."""

    topic: str
    key: bytes | None
    value: bytes | None
    reason: str
    headers: tuple[tuple[str, bytes | None], ...] = (("trace", b"\xff\x00"), ("empty", None), ("trace", b"2"))


def wire(kind: str, customer_id: Any = "dora", **more: Any) -> bytes:
    """Return an event that is valid except for the given changes."""
    event = {"id": "x", "type": kind, "customer_id": customer_id, "occurred_at": "2011-06-01T00:00:00Z", **more}
    return json.dumps({name: part for name, part in event.items() if part != "left out"}).encode()


UPDATE, UUID = "customer.updated", "8d6b2f4e-9d53-5c52-8f0e-2a7b3a3f9c55"
BAD = {
    "no value": Bad("conversations", b"dora", None, "empty_value"),
    "empty value": Bad("outcomes", b"dora", b"", "empty_value"),
    "bad UTF-8": Bad("customer-updates", b"dora", b'{"id": "\xff\xfe"}', "not_json"),
    "bad JSON": Bad("conversations", b"dora", b"{'id': 1", "not_json"),
    "nested too deep": Bad("customer-updates", b"dora", b"[" * 100_000, "invalid_event"),
    "attributes nested too deep": Bad("customer-updates", b"dora", b'{"attributes":' + b'{"a":' * 40_000, "not_json"),
    "no object": Bad("evaluations", b"dora", b"[1, 2]", "invalid_event"),
    "no customer": Bad("customer-updates", b"dora", wire(UPDATE, "left out"), "invalid_event"),
    "empty customer": Bad("customer-updates", b"", wire(UPDATE, ""), "invalid_event"),
    "NUL in the customer": Bad("customer-updates", b"do\0ra", wire(UPDATE, "do\0ra"), "invalid_event"),
    "NUL in the id": Bad(
        "conversations", b"dora", wire("conversation.message", id="\0", text="", role="customer"), "invalid_event"
    ),
    "no certain unit": Bad("customer-updates", b"dora", wire(UPDATE, occurred_at=5_000_000_000), "invalid_event"),
    "the year 9999": Bad(
        "customer-updates", b"dora", wire(UPDATE, occurred_at="9999-12-31T23:59:59Z"), "invalid_event"
    ),
    "the year 1": Bad(
        "customer-updates", b"dora", wire(UPDATE, occurred_at="0001-01-01T00:00:00+14:00"), "invalid_event"
    ),
    "another topic's type": Bad("conversations", b"dora", wire(UPDATE), "wrong_type"),
    "no role": Bad("conversations", b"dora", wire("conversation.message", text="hi"), "invalid_event"),
    "a trigger that is none": Bad("outcomes", b"dora", wire("outcome.opened", trigger_id="7"), "invalid_event"),
    "a trigger that is unknown": Bad("outcomes", b"dora", wire("outcome.opened", trigger_id=UUID), "unknown_trigger"),
    "another key": Bad("customer-updates", b"dirk", wire(UPDATE), "wrong_key"),
    "no key": Bad("customer-updates", None, wire(UPDATE), "wrong_key"),
    "too large": Bad("customer-updates", b"dora", random.Random(SEED).randbytes(1_048_400), "too_large"),
    "an unknown customer": Bad("customer-updates", b"nobody", wire(UPDATE, "nobody"), "unknown_customer"),
    "an unknown campaign": Bad("evaluations", b"dora", wire("evaluation.requested", campaign="none"), "invalid_event"),
}


@pytest.fixture(scope="module")
def letters(place: Workplace, worker: WorkerProcess) -> list[Seen]:
    """The dead letters after publishing every kind of bad record, with valid events in between."""
    place.set_customer("dora")
    place.update("dora")
    place.set_customer("dora", days=90)
    for bad in BAD.values():
        place.publish_bytes(bad.topic, bad.key, bad.value, bad.headers)
        place.publish("customer-updates", place.event("dora"))
    place.settle()
    worker.check_alive()
    return place.see("dead-letters")


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
def test_a_bad_record_is_one_dead_letter_as_it_came(bad: Bad, letters: list[Seen]) -> None:
    """Bytes, key and headers are the original ones; stage and reason are in headers of ours.

    Of a value that is too large the beginning is kept.
    """
    kept = bad.value[:PREFIX_BYTES] if bad.value and bad.reason == "too_large" else bad.value
    (letter,) = [
        each for each in letters if (each.key, each.value or None) == (bad.key, kept or None) and is_of(each, bad)
    ]
    assert letter.value == kept
    assert tuple(letter.headers[:3]) == bad.headers
    assert letter.header("holdfast_reason") == bad.reason
    assert letter.header("holdfast_stage") in ("decode", "refresh", "fold")
    assert letter.header("holdfast_detail")


def is_of(letter: Seen, bad: Bad) -> bool:
    """Return whether a dead letter is that of the bad record."""
    return letter.header("holdfast_topic").endswith(bad.topic)


def test_good_events_among_bad_ones_are_decided(place: Workplace, letters: list[Seen]) -> None:
    """Only the bad records became dead letters."""
    assert len(letters) == len(BAD)
    assert len({each.header("holdfast_dead_letter_id") for each in letters}) == len(BAD)
    assert len(place.triggers("dora")) == 1


def test_kills_lose_no_trigger_and_double_none(endpoints: Endpoints, tmp_path: Path) -> None:
    """Three kills during processing, timed by the growth of the ledger."""
    rng = random.Random(SEED)
    with workplace(endpoints, tmp_path) as place, ExitStack() as stack:
        customers = [f"k{number}" for number in range(3000)]
        place.set_customers(customers)
        process = place.start_worker()
        place.update(*customers)
        place.set_customers(customers, days=90)
        for lot in (customers[:1000], customers[1000:2000], customers[2000:]):
            before = count_triggers(place)
            place.publish("customer-updates", *(place.event(each) for each in lot * 2))
            wait_until(partial(has_triggers, place, before + rng.randrange(1, 900)), pause_s=0.001)
            os.kill(process.pid, signal.SIGKILL)
            process.stop()
            process = place.start_worker()
            stack.callback(process.stop)
        place.settle()
        assert_outbox_is_published_once(place, "campaign_triggers", "campaign-triggers", 3000)
        assert_outbox_is_published_once(place, "decisions", "decisions", 3000)


def has_triggers(place: Workplace, count: int) -> bool:
    """Return whether the ledger has at least this many triggers."""
    return count_triggers(place) >= count


def count_triggers(place: Workplace) -> int:
    """Return the number of triggers in the ledger."""
    return int(place.ask_ledger("SELECT count(*) FROM contact")[0][0])


def assert_outbox_is_published_once(place: Workplace, destination: str, topic: str, count: int) -> None:
    """Compare the messages of the ledger with those that consumers see."""
    seen = Counter(each.header("ce_id") for each in place.see(topic))
    meant = {row[0] for row in place.ask_ledger(f"SELECT message_id FROM outbox WHERE destination = '{destination}'")}  # noqa: S608 - a constant of this module
    assert set(seen) == meant
    assert len(meant) == count
    assert set(seen.values()) == {1}


def test_decisions_go_on_without_redis(place: Workplace, worker: WorkerProcess, services: EmbeddedServices) -> None:
    """Changes in the warehouse during a Redis outage are seen, even after Redis is back with old rows."""
    place.set_customer("emma")
    place.update("emma")
    services.stop_service("redis")
    try:
        place.set_customer("emma", days=90)
        place.update("emma")
        assert len(place.triggers("emma")) == 1
        assert is_cache_away(worker)
    finally:
        services.start_service("redis")
    place.set_customer("emma", days=5)
    wait_until(lambda: is_ok_after_update(place, worker))
    assert place.ask_ledger("SELECT is_member FROM membership WHERE customer_id = 'emma'") == [(False,)]


def is_ok_after_update(place: Workplace, worker: WorkerProcess) -> bool:
    """Publish an update, which makes the worker use Redis, and return whether it has it back."""
    place.update("emma")
    return not is_cache_away(worker)


def is_cache_away(worker: WorkerProcess) -> bool:
    """Return whether health says so; the records of other tests leave other lines."""
    return any(line.startswith("cache: away") for line in read_health(worker)["degraded"])


@pytest.mark.usefixtures("worker")
def test_an_angry_message_pushes_a_customer_into_a_segment(place: Workplace) -> None:
    """It is folded once, although it is delivered twice."""
    place.set_customer("fay")
    place.update("fay")
    text = "This is terrible, awful service. I hate it and I am furious!"
    message = place.event("fay", "conversation.message", role="customer", text=text, channel="chat")
    place.publish("conversations", message, message)
    place.settle()
    assert [trigger["campaign"] for trigger in place.triggers("fay")] == ["make-good"]
    assert place.ask_ledger("SELECT signals ->> 'message_count' FROM signal WHERE customer_id = 'fay'") == [("1",)]


@pytest.mark.usefixtures("worker")
def test_unsubscribing_revokes_consent(place: Workplace) -> None:
    """The next campaign on that channel is withheld."""
    place.set_customer("gwen")
    place.update("gwen")
    place.set_customer("gwen", days=90)
    place.update("gwen")
    (trigger,) = place.triggers("gwen")
    place.publish("outcomes", place.event("gwen", "outcome.unsubscribed", trigger_id=trigger["trigger_id"]))
    place.settle()
    for days in (5, 90):
        place.set_customer("gwen", days=days)
        place.update("gwen")
    assert len(place.triggers("gwen")) == 1
    assert place.decisions("gwen")[-1] == ("win-back", "withheld", "no_consented_channel")


def test_an_opt_out_with_an_unknown_trigger_counts_until_consent_is_given_again(
    place: Workplace, worker: WorkerProcess
) -> None:
    """It is no dead letter, and a metric counts it."""
    place.set_customer("greta")
    place.update("greta")
    place.publish("outcomes", place.event("greta", "outcome.complained", trigger_id="message-17"))
    place.set_customer("greta", days=90)
    place.update("greta")
    assert place.decisions("greta") == [("win-back", "withheld", "no_consented_channel")]
    counted = 'holdfast_opt_outs_total{channel="*",source="complained",trigger="unknown"} 1.0'
    assert counted in read_metrics(worker)
    place.publish("outcomes", place.event("greta", "outcome.resubscribed", channel="email"))
    for days in (5, 90):
        place.set_customer("greta", days=days)
        place.update("greta")
    assert len(place.triggers("greta")) == 1


def read_metrics(worker: WorkerProcess) -> str:
    """Return what /metrics says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.usefixtures("worker")
def test_a_launch_withheld_for_missing_consent_stays_withheld_everywhere(place: Workplace) -> None:
    """Consent comes, and the same launch again: topic and ledger say the same, one outcome."""
    place.set_customer("hedda", revenue=5000, consent=False)
    place.update("hedda")
    for consent in (False, True):
        place.set_customer("hedda", revenue=5000, consent=consent)
        place.update("hedda")
        launched = place.holdfast("campaigns", "launch", "thank-you", "--launch-id", "autumn")
        assert launched.returncode == 0, launched.stderr
        place.settle()
    assert place.triggers("hedda") == []
    assert place.decisions("hedda") == [("thank-you", "withheld", "no_consented_channel")]
    assert place.ask_ledger("SELECT outcome FROM decision WHERE customer_id = 'hedda'") == [("withheld",)]
    assert place.ask_ledger("SELECT 1 FROM contact WHERE customer_id = 'hedda'") == []
    place.set_customer("hedda", revenue=0)  # no member for the launches of other tests
    place.update("hedda")


@pytest.mark.usefixtures("worker")
def test_conversions_add_up_however_they_are_batched(place: Workplace) -> None:
    place.set_customer("gina")
    place.update("gina")
    place.set_customer("gina", days=90)
    place.update("gina")
    (trigger,) = place.triggers("gina")
    reports = [
        place.event("gina", f"outcome.{kind}", trigger_id=trigger["trigger_id"], value=value)
        for kind, value in (("bounced", None), ("converted", 20), ("converted", 30), ("opened", 0), ("delivered", None))
    ]
    place.publish("outcomes", reports[1], reports[0], reports[1])
    place.settle()
    place.publish("outcomes", *reports)
    place.settle()
    query = "SELECT status, value::text, conversions, first_at ? 'bounced' FROM contact WHERE customer_id = 'gina'"
    assert place.ask_ledger(query) == [("converted", "50.0", 2, True)]


@pytest.mark.usefixtures("worker")
def test_a_trigger_that_would_be_expired_is_withheld(place: Workplace) -> None:
    """By the timestamp of its event's record."""
    place.set_customer("ilse")
    place.update("ilse")
    place.set_customer("ilse", days=90)
    place.publish("customer-updates", place.event("ilse") | {"occurred_at": "2011-06-01T00:00:00Z"})
    place.settle()
    assert place.triggers("ilse") == []
    assert place.decisions("ilse") == [("win-back", "withheld", "expired")]


@pytest.mark.usefixtures("worker")
def test_a_launch_reaches_each_consenting_member_once(place: Workplace) -> None:
    """Even if it is launched twice under one id."""
    place.set_customers(["hal", "hans", "hugo"], revenue=5000)
    place.set_customer("henk", revenue=5000, consent=False)
    place.update("hal", "hans", "hugo", "henk")
    for line in ("launch spring: 4 members", "launch spring is complete: 4 members"):
        launched = place.holdfast("campaigns", "launch", "thank-you", "--launch-id", "spring")
        assert line in launched.stdout, launched.stderr
    place.settle()
    reached = {name: len(place.triggers(name)) for name in ("hal", "hans", "hugo", "henk")}
    assert reached == {"hal": 1, "hans": 1, "hugo": 1, "henk": 0}
    assert place.decisions("henk") == [("thank-you", "withheld", "no_consented_channel")]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An invalid change of the environment, and a part of the expected error message."""

    environment: dict[str, str]
    says: str


UNREACHABLE = "127.0.0.1:1"
REFUSALS = {
    "unreachable broker": Refusal({"HOLDFAST_BROKER": UNREACHABLE}, UNREACHABLE),
    "unreachable ledger": Refusal({"HOLDFAST_LEDGER_URL": f"postgresql://u:s3cret@{UNREACHABLE}/x"}, "ledger"),
    "unreachable warehouse": Refusal({"HOLDFAST_WAREHOUSE_URL": f"postgresql://u:s3cret@{UNREACHABLE}/x"}, "warehouse"),
    "no URL of Redis": Refusal({"HOLDFAST_REDIS_URL": "u:s3cret@host/0"}, "Redis"),
    "missing topics": Refusal({"HOLDFAST_TOPIC_PREFIX": "nothing-here."}, "holdfast topics create"),
    "no such view": Refusal({"DWH_CUSTOMER_FEATURES_TABLE": "no_such_view"}, "DWH_CUSTOMER_FEATURES_TABLE"),
}
MISSPELT = (
    "segments/lapsing.json: $.rule reads 'total_revnue', which neither the warehouse view customer_features_view nor "
    "Holdfast supplies; did you mean 'total_revenue'?"
)


def wrong_password(url: str) -> str:
    """Return the URL with another password."""
    return url.replace(f":{urlsplit(url).password}@", ":s3cret@")


def misspelt_definitions(folder: Path) -> str:
    """Write definitions with a rule and a message that read columns which the view does not have."""
    written = write_definitions(folder / "misspelt")
    lapsing = {"key": "lapsing", "name": "lapsing", "rule": {"<": [{"var": "total_revnue"}, 0.2]}}
    write_json(written / "segments" / "lapsing.json", lapsing)
    thanks = {**campaign("thank-you", "lapsing", "by_operator"), "message": "Dear {{ frist_name }}"}
    write_json(written / "campaigns" / "thank-you.json", thanks)
    return str(written)


@pytest.fixture(scope="module")
def refusals(place: Workplace) -> dict[str, Refusal]:
    """All refusals, including those that depend on the services."""
    odd = f"odd.{place.prefix}"
    names = [f"{odd}{name}" for name in (*INPUTS, *OUTPUT_TOPICS.values())]
    create_topics(place.broker, names[:1], 3)
    create_topics(place.broker, names, 2)
    ledger, warehouse = (place.environment[f"HOLDFAST_{each}_URL"] for each in ("LEDGER", "WAREHOUSE"))
    return REFUSALS | {
        "wrong password of the ledger": Refusal({"HOLDFAST_LEDGER_URL": wrong_password(ledger)}, "password auth"),
        "wrong password of the warehouse": Refusal(
            {"HOLDFAST_WAREHOUSE_URL": wrong_password(warehouse)}, "password auth"
        ),
        "wrong password of Redis": Refusal(
            {"HOLDFAST_REDIS_URL": place.environment["HOLDFAST_REDIS_URL"].replace("://", "://nobody:s3cret@")},
            "refuses the user",
        ),
        "unequal partitions": Refusal({"HOLDFAST_TOPIC_PREFIX": odd}, "equal partition counts"),
        "unknown facts": Refusal({"HOLDFAST_DEFINITIONS_DIR": misspelt_definitions(place.folder)}, MISSPELT),
    }


@pytest.fixture(scope="module")
def ended(place: Workplace, refusals: dict[str, Refusal]) -> dict[str, subprocess.CompletedProcess[str]]:
    """The result of each refused worker; two run at a time, because they mostly wait."""
    with ThreadPoolExecutor(2) as pool:
        starts = {name: pool.submit(place.holdfast, "worker", **each.environment) for name, each in refusals.items()}
        return {name: start.result() for name, start in starts.items()}


OF_SERVICES = (
    "wrong password of the ledger",
    "wrong password of the warehouse",
    "wrong password of Redis",
    "unequal partitions",
    "unknown facts",
)


@pytest.mark.parametrize("name", [*REFUSALS, *OF_SERVICES])
def test_a_worker_refuses_to_start_with(
    name: str, refusals: dict[str, Refusal], ended: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    """One sentence says what to fix; tests/unit/test_cli.py has the cases without services."""
    assert_refused(ended[name], refusals[name])


def assert_refused(ended: subprocess.CompletedProcess[str], refusal: Refusal) -> None:
    """Check for exit code 2, one sentence, no traceback and no password."""
    assert ended.returncode == 2, ended.stderr
    (sentence,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert sentence.startswith("holdfast: ")
    assert refusal.says in sentence
    passwords = [urlsplit(value).password for value in refusal.environment.values()]
    assert not [word for word in ("Traceback", "s3cret", *filter(None, passwords)) if word in ended.stderr]
    assert not [line for line in ended.stdout.splitlines() if "s3cret" in line]


@pytest.mark.parametrize("command", [("worker",), ("campaigns", "launch", "thank-you")])
def test_every_unknown_fact_is_named(
    place: Workplace, ended: dict[str, subprocess.CompletedProcess[str]], command: tuple[str, ...]
) -> None:
    """By a launch as well as by a worker; nobody is contacted. A command that reads no fact does its work."""
    wrong = {"HOLDFAST_DEFINITIONS_DIR": str(place.folder / "misspelt")}
    refused = ended["unknown facts"] if command == ("worker",) else place.holdfast(*command, **wrong)
    assert refused.returncode == 2
    assert MISSPELT in refused.stderr
    assert "campaigns/thank-you.json: $.message reads 'frist_name'" in refused.stderr
    assert place.holdfast("segments", "list", **wrong).returncode == 0


def test_a_worker_refuses_to_start_on_a_port_that_is_taken(place: Workplace, worker: WorkerProcess) -> None:
    """The sentence names the setting."""
    taken = {"HOLDFAST_HEALTH_PORT": str(worker.port), "HOLDFAST_INSTANCE_ID": "another"}
    assert_refused(place.holdfast("worker", **taken), Refusal(taken, "HOLDFAST_HEALTH_PORT"))


@pytest.mark.usefixtures("worker")
def test_explain_tells_a_decision_in_words(place: Workplace) -> None:
    """With the customer's values."""
    place.set_customer("iris", days=90)
    place.update("iris")
    explained = place.holdfast("explain", "iris")
    assert f"customer iris: member of lapsing since {BEGIN:%Y-%m-%d}" in explained.stdout, explained.stderr
    assert "win-back: withheld, first evaluation" in explained.stdout
    assert "days_since_last_transaction 90 is > 60" in explained.stdout


@pytest.mark.usefixtures("worker")
def test_a_column_that_nothing_reads_stays_in_the_warehouse(place: Workplace) -> None:
    """Not in the ledger, on no topic, in no log; what a rule reads is recorded."""
    place.set_customer("jo")
    place.update("jo")
    place.set_customer("jo", days=90)
    place.update("jo")
    (decided,) = [each.body for each in place.see("decisions") if each.key == b"jo"]
    assert decided["facts"]["days_since_last_transaction"] == 90
    tables = [name for (name,) in place.ask_ledger("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    kept = {
        "ledger": repr([place.ask_ledger(f'SELECT * FROM "{name}"') for name in tables]),  # noqa: S608 - our own names
        "topics": repr([place.see(name) for name in OUTPUT_TOPICS.values()]),
        "logs": "".join(log.read_text() for log in place.folder.glob("worker-*.log")),
    }
    assert "days_since_last_transaction" in kept["ledger"] + kept["topics"]
    secrets = ("private@", "birth_date", "1971-02-03", "date(1971, 2, 3)")
    assert not [where for where, text in kept.items() for secret in secrets if secret in text]
