"""A past period decided again, on real services: nothing live changes, and the comparison is right."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg import sql
from redis import Redis

from console.use_cases.replay import ReplayPlan, find_replays, replaying
from streams.settings import load_settings
from streams.topic_descriptions import SHADOW, TOPICS
from tests.forked_process import ForkedProcess, run_command
from tests.journey.test_worker import workplace
from tests.journey.workplace import PARTITIONS, campaign, wait_until, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from console.embedded.services import Endpoints
    from console.use_cases.replay import Replayed
    from streams.settings import Settings
    from tests.journey.workplace import Workplace


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose worker has decided a first period and a second one."""
    with workplace(endpoints, tmp_path_factory.mktemp("replay")) as lent, ExitStack() as stack:
        worker = lent.start_worker()
        stack.callback(worker.stop)
        yield lent


def act(place: Workplace, customer: str, *, days: int, **row: Any) -> None:
    """Let a customer's row change, now, and wait until the worker has decided it."""
    place.set_customer(customer, days=days, **row)
    event = {**place.event(customer), "occurred_at": datetime.now(UTC).isoformat()}
    place.publish("customer-updates", event)
    place.settle()


def moment() -> datetime:
    """Return a time between the records before and those after."""
    time.sleep(0.01)
    at = datetime.now(UTC)
    time.sleep(0.01)
    return at


def replay(place: Workplace, begin: datetime, end: datetime, **more: Any) -> Replayed:
    """Return what came of a replay."""
    with replaying(settings_of(place), ReplayPlan(begin, end, **more), by="tester") as done:
        return done.summary


def settings_of(place: Workplace) -> Settings:
    """Return the settings of the workplace's worker."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.environment.items():
            patch.setenv(name, value)
        return load_settings()


def test_a_replay_with_the_same_definitions_sends_the_same(place: Workplace) -> None:
    """Rows have changed since: the facts of the decisions were recorded with them."""
    act(place, "c1", days=5)
    act(place, "c2", days=5)
    begin = moment()
    act(place, "c1", days=70)
    act(place, "c2", days=10)
    act(place, "c2", days=90)
    end = moment()
    act(place, "c1", days=1)
    done = replay(place, begin, end)
    assert done.counts["win-back"] == {"same": 2}
    assert done.is_same


def edit(place: Workplace, folder: Path, days: int) -> str:
    """Copy the definitions with another rule of the segment `lapsing`, and return their folder."""
    shutil.copytree(place.environment["HOLDFAST_DEFINITIONS_DIR"], folder)
    rule = {">": [{"var": "days_since_last_transaction"}, days]}
    write_json(folder / "segments" / "lapsing.json", {"key": "lapsing", "name": "lapsing", "rule": rule})
    return str(folder)


def test_an_edited_definition_adds_and_removes_what_it_decides_otherwise(place: Workplace, tmp_path: Path) -> None:
    """After 60 days without an order then, after 80 or 30 days in the replay."""
    for customer in ("e1", "e2", "e3"):
        act(place, customer, days=5)
    begin = moment()
    act(place, "e1", days=70)
    act(place, "e2", days=90)
    act(place, "e3", days=40)
    end = moment()
    stricter = replay(place, begin, end, definitions_dir=edit(place, tmp_path / "stricter", 80))
    assert stricter.counts["win-back"] == {"same": 1, "removed": 1}
    (removed,) = stricter.examples
    assert (removed.customer_id, removed.kind, removed.replayed) == ("e1", "removed", None)
    laxer = replay(place, begin, end, definitions_dir=edit(place, tmp_path / "laxer", 30))
    assert laxer.counts["win-back"] == {"same": 2, "added": 1}
    (added,) = laxer.examples
    assert (added.customer_id, added.kind, added.live) == ("e3", "added", None)
    assert laxer.missing == {"win-back": 1}


def test_another_message_and_offer_are_changes(place: Workplace, tmp_path: Path) -> None:
    """Sent by both, with other content."""
    act(place, "m1", days=5)
    begin = moment()
    act(place, "m1", days=70)
    end = moment()
    folder = tmp_path / "edited"
    shutil.copytree(place.environment["HOLDFAST_DEFINITIONS_DIR"], folder)
    edited = {**campaign("win-back", "lapsing", "on_enter"), "offers": [3]}
    write_json(folder / "campaigns" / "win-back.json", edited)
    done = replay(place, begin, end, definitions_dir=str(folder))
    assert done.counts["win-back"] == {"changed": 1}
    assert done.examples[0].changed == ("offer", "message")


def test_a_replay_changes_nothing_that_is_live(place: Workplace) -> None:
    """Every table of the ledger, every key of the cache, every offset, every topic but the shadow topic."""
    act(place, "u1", days=5)
    begin = moment()
    act(place, "u1", days=70)
    end = moment()
    before = take_stock(place)
    place.do("replay", "--from", begin.isoformat(), "--to", end.isoformat())
    assert take_stock(place) == before
    (shadow,) = [each for each in place.see("campaign-triggers.shadow") if each.key == b"u1"]
    (trigger,) = [each for each in place.see("campaign-triggers") if each.key == b"u1"]
    assert shadow.value == trigger.value
    assert len(shadow.header("holdfast_replay")) == 8
    assert place.do("replay", "list") == "no replays are left\n"


def take_stock(place: Workplace) -> dict[str, Any]:
    """Return a checksum of every table of the live ledger, and what is in the cache and in Kafka."""
    settings = settings_of(place)
    with psycopg.connect(settings.ledger_url) as ledger:
        tables = [name for (name,) in ledger.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        query = "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {} t"
        sums = {name: ledger.execute(sql.SQL(query).format(sql.Identifier(name))).fetchone() for name in tables}
    with Redis.from_url(settings.redis_url) as cache:
        keys = {key: cache.dump(key) for key in cache.scan_iter()}
    topics = [settings.topic_prefix + each.name for each in TOPICS if each.name != SHADOW]
    client = Consumer({"bootstrap.servers": settings.broker, "group.id": settings.group})
    try:
        places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        ends = {(each.topic, each.partition): client.get_watermark_offsets(each, timeout=10)[1] for each in places}
        read = [each for each in places if each.topic in settings.input_topics]
        offsets = {(each.topic, each.partition): each.offset for each in client.committed(read, timeout=10)}
    finally:
        client.close()
    groups = AdminClient({"bootstrap.servers": settings.broker}).list_consumer_groups().result().valid
    ours = sorted(each.group_id for each in groups if each.group_id.startswith(settings.topic_prefix))
    return {"ledger": sums, "cache": keys, "ends": ends, "offsets": offsets, "groups": ours}


def test_a_killed_replay_resumes_and_finds_the_same(place: Workplace) -> None:
    """Killed with -9 while it decides; what was decided is not decided again."""
    customers = [f"k{number:03}" for number in range(200)]
    place.set_customers(customers, days=5)
    publish_now(place, customers)
    begin = moment()
    place.set_customers(customers, days=70)
    publish_now(place, customers)
    end = moment()
    period = ("--from", begin.isoformat(), "--to", end.isoformat())
    whole = json.loads(place.do("replay", *period, "--json"))
    assert whole["counts"]["same"] == len(customers)
    with slowly_replaying(place, *period) as process:
        wait_until(lambda: records_of(place) > 0)
        process.kill()
    ((replay_id, *_),) = [line.split() for line in place.do("replay", "list").splitlines()[1:]]
    assert 0 < records_of(place) < whole["records"]
    resumed = json.loads(place.do("replay", "--resume", replay_id, "--json"))
    for varies in ("replay", "seconds"):
        del whole[varies], resumed[varies]
    assert resumed == whole
    assert place.do("replay", "list") == "no replays are left\n"


def test_a_replay_goes_on_when_its_connections_to_the_ledger_break(place: Workplace) -> None:
    """As they do when PostgreSQL restarts; the one with the lock stays, which lets no other process replay."""
    customers = [f"b{number:03}" for number in range(100)]
    place.set_customers(customers, days=5)
    publish_now(place, customers)
    begin = moment()
    place.set_customers(customers, days=70)
    publish_now(place, customers)
    with slowly_replaying(place, "--from", begin.isoformat(), "--to", moment().isoformat(), "--json") as process:
        wait_until(lambda: records_of(place) > 0)
        with psycopg.connect(settings_of(place).ledger_url) as connection:
            connection.execute("""
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()
                   AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')""")
        assert process.wait(60) == 0
    assert json.loads((place.folder / "killed.out").read_text())["counts"]["same"] == len(customers)


def publish_now(place: Workplace, customers: Sequence[str]) -> None:
    """Publish an update of each customer as of now, and wait until the worker has decided them."""
    at = datetime.now(UTC).isoformat()
    place.publish("customer-updates", *({**place.event(each), "occurred_at": at} for each in customers))
    place.settle()


@contextmanager
def slowly_replaying(place: Workplace, *period: str) -> Iterator[ForkedProcess]:
    """Start a replay that decides one event at a time."""
    settings = {**os.environ, **place.environment, "HOLDFAST_BATCH_EVENTS": "1"}
    printed, errors = place.folder / "killed.out", place.folder / "killed.err"
    process = ForkedProcess(run_command, ["replay", *period], settings, printed, errors)
    yield process
    process.wait(10)


def records_of(place: Workplace) -> int:
    """Return how many records the only replay that is left has decided, 0 before it is there."""
    found = next(iter(find_replays(settings_of(place)).values()), None)
    return found.records if found else 0


def test_only_the_customers_named_are_decided_and_compared(place: Workplace) -> None:
    """What others did in the period is no difference."""
    for customer in ("n1", "n2"):
        act(place, customer, days=5)
    begin = moment()
    for customer in ("n1", "n2"):
        act(place, customer, days=70)
    end = moment()
    assert replay(place, begin, end, customers=("n1",)).counts == {"win-back": {"same": 1}}


def test_messages_of_the_period_count_once_in_the_signals(place: Workplace) -> None:
    """The ledger has folded all of them: those before the period are folded again, from the topic."""
    place.set_customer("s1")
    say(place, "s1", "Thank you, great service!")
    begin = moment()
    say(place, "s1", "This is terrible, I am very angry and disappointed, the worst service ever!")
    say(place, "s1", "Horrible. Awful. I hate it.")
    end = moment()
    sent = [each for each in place.decisions("s1") if each[0] == "make-good"]
    done = replay(place, begin, end, customers=("s1",))
    assert done.is_same
    assert done.total("same") == len(sent) == 1


def say(place: Workplace, customer: str, text: str) -> None:
    """Publish a message of a customer, now, and wait until the worker has decided it."""
    event = place.event(customer, "conversation.message", role="customer", text=text)
    place.publish("conversations", {**event, "occurred_at": datetime.now(UTC).isoformat()})
    place.settle()


def test_past_rows_are_read_where_the_warehouse_keeps_them(place: Workplace, tmp_path: Path) -> None:
    """Without them, the event at which no decision was recorded would find today's row."""
    act(place, "h1", days=5)
    begin = moment()
    act(place, "h1", days=40)
    end = moment()
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(
            "CREATE TABLE past AS SELECT *, now() AS until FROM customer_features_view WHERE customer_id = 'h1'"
        )
    act(place, "h1", days=1)
    laxer = edit(place, tmp_path / "laxer", 30)
    assert replay(place, begin, end, definitions_dir=laxer).is_same
    query = """SELECT p.* FROM unnest(:customer_ids::text[], :as_of::timestamptz[]) AS asked (customer_id, at)
               JOIN past p ON p.customer_id = asked.customer_id AND p.until > asked.at"""
    place.environment = {**place.environment, "DWH_HISTORY_QUERY": query}
    done = replay(place, begin, end, definitions_dir=laxer)
    assert (done.counts, done.sources) == ({"win-back": {"added": 1}}, {"history": 1})


def test_what_is_missing_is_sent_once_under_todays_consent(endpoints: Endpoints, tmp_path: Path) -> None:
    """The rule was wrong, and is corrected: the workers decide what was missed, under the id that it would have had."""
    with workplace(endpoints, tmp_path) as place:
        worker = place.start_worker()
        for customer in ("ann", "bob", "eve"):
            act(place, customer, days=5)
        begin = moment()
        for customer in ("ann", "bob", "eve"):
            act(place, customer, days=40)
        end = moment()
        place.set_customer("bob", days=40, consent=False)
        place.set_customer("eve", days=5)
        worker.stop()
        correct(place, 30)
        worker = place.start_worker()
        period = ("--from", begin.isoformat(), "--to", end.isoformat())
        refused = place.holdfast("replay", *period, "--live", "--why", "the rule was wrong")
        assert (refused.returncode, place.triggers("ann")) == (2, [])
        assert "add --yes" in refused.stderr
        sent = place.holdfast("replay", *period, "--live", "--why", "the rule was wrong", "--by", "ada", "--yes")
        assert "requested 1" in sent.stderr, sent
        place.settle()
        assert len(place.triggers("ann")) == 1
        again = place.holdfast("replay", *period, "--live", "--why", "once more", "--yes")
        assert "nothing is missing" in again.stderr
        place.settle()
        assert len(place.triggers("ann")) == 1
        assert place.ask_ledger("SELECT actor, why, triggers FROM replay_send") == [("ada", "the rule was wrong", 1)]
        worker.stop()


def correct(place: Workplace, days: int) -> None:
    """Write another rule of the segment `lapsing` into the definitions of the worker."""
    rule = {">": [{"var": "days_since_last_transaction"}, days]}
    file = Path(place.environment["HOLDFAST_DEFINITIONS_DIR"]) / "segments" / "lapsing.json"
    write_json(file, {"key": "lapsing", "name": "lapsing", "rule": rule})
