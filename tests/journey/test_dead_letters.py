"""Operators and dead letters: a real ledger, a real broker, no worker."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from msgspec import structs

from campaigns.dead_letters import DeadLetterFilter, Resolution
from campaigns.errors import DeadLetterError
from campaigns.ports import BatchChanges
from campaigns.postgres_dead_letters import open_dead_letters
from campaigns.postgres_ledger import PostgresLedger
from console.cli import holdfast, main
from console.use_cases.dead_letters import requeue
from streams.errors import SinkUnavailableError
from streams.formats.dead_letters import dead_letter
from streams.formats.events import Reject, RejectReason
from streams.kafka.requeueing import DeadLetterRequeuer, open_requeuer
from streams.kafka.topics import create_topics
from streams.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from click.testing import Result

    from campaigns.dead_letters import DeadLetter
    from campaigns.triggers import Headers, Message
    from console.embedded.services import Endpoints

PARTITIONS = 2
HEADERS = (("trace", b"\xff\x00"), ("empty", None), ("trace", b"2"), ("holdfast_reason", b"theirs"))


@dataclass(slots=True)
class Desk:
    """An operator's environment: settings, the command, and the records on the topics."""

    environment: Mapping[str, str] = field(repr=False)
    settings: Settings
    written: int = 0

    def write(self, reason: str = "not_json", topic: str = "outcomes", ours: Headers = (), **record: Any) -> str:
        """Store the dead letter of a record, as a worker's commit does, and return its id."""
        self.written += 1
        place = {"topic": self.settings.topic_prefix + topic, "partition": 1, "offset": self.written, "timestamp": 1}
        parts = {**place, "key": b"ann", "value": b"\xff{", "headers": HEADERS, **record}
        letter = dead_letter(Reject(SimpleNamespace(**parts), "decode", RejectReason(reason), "as the test says"))
        asyncio.run(commit(self.settings.ledger_url, structs.replace(letter, headers=(*letter.headers, *ours))))
        return letter.message_id

    def run(self, *arguments: str) -> Result:
        """Run `holdfast dead-letters`."""
        return CliRunner().invoke(holdfast, ["dead-letters", *arguments], env=dict(self.environment))

    def listed(self, *arguments: str) -> dict[str, Any]:
        """Return the output of `list --json`."""
        result = self.run("list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    def sent(self, topic: str = "outcomes") -> list[tuple[Any, ...]]:
        """Return partition, key, value and headers of the records that a read_committed consumer sees."""
        return list(read_back(self.settings.broker, self.settings.topic_prefix + topic))

    def resolution(self, letter_id: str) -> Resolution:
        """Return the resolution of a dead letter."""
        with open_dead_letters(self.settings.ledger_url) as letters:
            return letters.name([letter_id])[0].resolution


async def commit(ledger_url: str, *messages: Message) -> None:
    """Store messages in the outbox."""
    ledger = PostgresLedger(ledger_url)
    await ledger.open()
    await ledger.commit(BatchChanges(messages=messages), owners={})
    await ledger.close()


def read_back(broker: str, topic: str) -> Iterator[tuple[Any, ...]]:
    """Read every partition to its end."""
    properties = {"bootstrap.servers": broker, "group.id": "reader", "isolation.level": "read_committed"}
    consumer = Consumer({**properties, "enable.partition.eof": True, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    ended = 0
    while ended < PARTITIONS:
        for record in consumer.consume(100, 0.05):
            if record.error() is None:
                yield record.partition(), record.key(), record.value(), tuple(record.headers() or ())
            else:
                ended += 1
    consumer.close()


@pytest.fixture
def desk(endpoints: Endpoints, migrated_url: str, topic_prefix: str) -> Desk:
    """A desk with an empty ledger and empty topics."""
    environment = {
        "HOLDFAST_BROKER": endpoints.broker,
        "HOLDFAST_LEDGER_URL": migrated_url,
        "HOLDFAST_TOPIC_PREFIX": topic_prefix,
        "HOLDFAST_GROUP": f"{topic_prefix}group",
    }
    settings = load_settings(
        broker=endpoints.broker, ledger_url=migrated_url, topic_prefix=topic_prefix, group=f"{topic_prefix}group"
    )
    create_topics(endpoints.broker, [*settings.input_topics, *settings.output_topics.values()], PARTITIONS)
    return Desk(environment, settings)


def test_requeue_sends_back_bytes_key_and_headers_once(desk: Desk) -> None:
    """A second call reports the operator of the first."""
    letter = desk.write()
    first = desk.run("requeue", letter, "--by", "olga")
    second = desk.run("requeue", letter)
    assert (first.exit_code, first.stdout) == (0, "requeued 1\n")
    assert second.exit_code == 0
    assert "requeued 0" in second.stdout
    assert "by olga" in second.stdout
    assert desk.sent() == [(1, b"ann", b"\xff{", HEADERS)]


@pytest.mark.parametrize("value", [None, b""], ids=["null", "empty"])
def test_no_key_and_no_value_go_back_as_they_came(desk: Desk, value: bytes | None) -> None:
    desk.write("empty_value", key=None, value=value, headers=None, partition=0)
    assert desk.run("requeue", "--all-matching").exit_code == 0
    assert desk.sent() == [(0, None, value, ())]


def test_two_operators_at_once_send_each_letter_once(desk: Desk) -> None:
    ids = [desk.write(value=str(number).encode()) for number in range(5)]

    def send() -> int:
        return len(requeue(desk.settings, DeadLetterFilter(ids=ids), by="olga").sent)

    with ThreadPoolExecutor(2) as operators:
        counts = [each.result() for each in [operators.submit(send) for _ in range(2)]]
    assert sorted(counts) == [0, 5]
    assert [value for _, _, value, _ in desk.sent()] == [b"0", b"1", b"2", b"3", b"4"]


def claim(desk: Desk, letter_id: str) -> list[DeadLetter]:
    """Do the first step of a requeue: record run 1 on the dead letter."""
    with open_dead_letters(desk.settings.ledger_url) as letters:
        assert letters.claim([letter_id], by="olga", run=1) == {letter_id}
        return letters.name([letter_id])


def send(returns: DeadLetterRequeuer, chosen: Sequence[DeadLetter]) -> bool:
    """Do the second step of a requeue: send run 1."""
    return returns.send(chosen, {letter.letter_id: b"value" for letter in chosen}, run=1)


def test_a_crash_before_anything_is_sent_loses_nothing(desk: Desk) -> None:
    letter = desk.write()
    claim(desk, letter)
    assert "had not sent 1" in desk.run("requeue", letter).stdout
    assert (desk.resolution(letter), len(desk.sent())) == (Resolution.REQUEUED, 1)


def test_a_crash_after_all_is_sent_doubles_nothing(desk: Desk) -> None:
    letter = desk.write()
    with open_dead_letters(desk.settings.ledger_url) as letters:
        ledger_id = letters.ledger_id()
    with open_requeuer(desk.settings, ledger_id) as returns:
        assert returns.fence() == 0
        assert send(returns, claim(desk, letter))
    assert desk.resolution(letter) is Resolution.REQUEUEING
    assert "had sent 1" in desk.run("requeue", "--all-matching").stdout
    assert (desk.resolution(letter), len(desk.sent())) == (Resolution.REQUEUED, 1)


def test_an_operator_who_was_overtaken_sends_nothing(desk: Desk) -> None:
    """A process that was frozen and lost its lock resumes after another one has requeued its dead letters."""
    letter = desk.write()
    with open_dead_letters(desk.settings.ledger_url) as letters:
        ledger_id = letters.ledger_id()
    with open_requeuer(desk.settings, ledger_id) as slow:
        slow.fence()
        chosen = claim(desk, letter)
        desk.run("requeue", letter)
        with pytest.raises(SinkUnavailableError, match="sends nothing twice"):
            send(slow, chosen)
    assert len(desk.sent()) == 1


def test_a_letter_that_cannot_go_back_stays_open(desk: Desk) -> None:
    """Its topic now has fewer partitions; the reason names the dead letter and the partition."""
    letter = desk.write(partition=PARTITIONS)
    result = desk.run("requeue", letter)
    assert isinstance(result.exception, SinkUnavailableError)
    assert f"{letter} to {desk.settings.topic_prefix}outcomes, partition {PARTITIONS}" in str(result.exception)
    assert desk.resolution(letter) is Resolution.OPEN


def test_many_letters_go_back_in_the_order_they_came(desk: Desk) -> None:
    """Over several transactions, and after an earlier requeue."""
    for number in range(5):
        desk.write(value=str(number).encode())
    assert desk.run("requeue", "--all-matching", "--limit", "1").stdout == "requeued 1\n"
    requeued = requeue(desk.settings, DeadLetterFilter(), by="olga", run_letters=2)
    assert len(requeued.sent) == 4
    assert [value for _, _, value, _ in desk.sent()] == [b"0", b"1", b"2", b"3", b"4"]


def test_all_matching_takes_what_the_filters_leave(desk: Desk) -> None:
    desk.write("wrong_key")
    stays = desk.write("not_json")
    assert desk.run("requeue", "--all-matching", "--reason", "wrong_key").stdout == "requeued 1\n"
    assert [each["id"] for each in desk.listed()["letters"]] == [stays]


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        ((), [3, 2, 1]),
        (("--reason", "unknown_customer"), [3, 2]),
        (("--topic", "conversations"), [3]),
        (("--customer", "bea"), [2]),
        (("--since", "2011-01-01"), [3, 2, 1]),
        (("--since", "2999-01-01T00:00:00"), []),
        (("--status", "discarded"), []),
        (("--limit", "1"), [3]),
    ],
)
def test_a_list_is_filtered(desk: Desk, filters: tuple[str, ...], offsets: list[int]) -> None:
    desk.write("not_json")
    desk.write("unknown_customer", key=b"bea")
    desk.write("unknown_customer", topic="conversations")
    assert [each["offset"] for each in desk.listed(*filters)["letters"]] == offsets


def test_a_list_ends_with_counts_by_reason(desk: Desk) -> None:
    for reason in ("wrong_key", "not_json", "not_json"):
        desk.write(reason)
    lines = desk.run("list", "--limit", "1").stdout.splitlines()
    assert lines[-1] == "3 dead letters, the newest 1 shown: 2 not_json, 1 wrong_key"
    assert len(lines) == len(["heading", "letter", "", "counts"])
    assert desk.listed()["by_reason"] == {"not_json": 2, "wrong_key": 1}


def test_a_list_of_many_letters_is_bounded(desk: Desk) -> None:
    """The newest hundred of 50,000 are read; the rest are counted by the database."""
    with psycopg.connect(desk.settings.ledger_url) as ledger:
        ledger.execute(
            """INSERT INTO dead_letter (letter_id, stage, reason, detail, topic, partition, "offset", headers)
               SELECT n::text, 'decode', CASE WHEN n % 5 = 0 THEN 'wrong_key' ELSE 'not_json' END, '', 't', 1, n,
                      '\\x90'
                 FROM generate_series(1, 50000) AS n"""
        )
    listed = desk.listed()
    assert (listed["matching"], listed["by_reason"]) == (50_000, {"not_json": 40_000, "wrong_key": 10_000})
    assert [each["offset"] for each in listed["letters"]] == list(range(50_000, 49_900, -1))
    assert len(desk.run("list").stdout.splitlines()) == len(["heading", *range(100), "", "counts"])


TRUNCATED = (("holdfast_truncated", b"value"), ("holdfast_size", b"5000000"))


def test_a_letter_that_is_not_complete_is_refused(desk: Desk) -> None:
    """In one sentence that says what to do, and no letter named with it is sent."""
    cut, whole = desk.write("too_large", ours=TRUNCATED), desk.write()
    result = desk.run("requeue", whole, cut)
    assert isinstance(result.exception, DeadLetterError)
    assert "only the beginning of a record of 5,000,000 bytes" in str(result.exception)
    assert desk.sent() == []
    assert "not kept whole (cut: value)" in desk.run("show", cut).stdout


def test_letters_that_are_not_complete_are_left_out_of_all(desk: Desk) -> None:
    cut = [desk.write("too_large", ours=TRUNCATED) for _ in range(3)]
    desk.write()
    lines = desk.run("requeue", "--all-matching", "--limit", "1").stdout.splitlines()
    assert lines[0] == "requeued 1"
    assert [line.split()[2] for line in lines[1:]] == cut
    assert len(desk.sent()) == 1


def test_show_tells_everything(desk: Desk) -> None:
    letter = desk.write(value=b'{"id": ' + b"1" * 5000)
    short, full = desk.run("show", letter).stdout, desk.run("show", letter, "--full").stdout
    for part in ("not_json", "decode", "as the test says", "outcomes/1/1", "trace: 0xff00", "empty: (null)", "ann"):
        assert part in short
    assert "911 bytes more; --full shows them" in short
    assert b"1" * 5000 in full.encode()


def test_a_discarded_letter_is_kept_with_the_reason_and_never_sent(desk: Desk) -> None:
    letter = desk.write()
    assert desk.run("discard", letter, "--why", "a test event", "--by", "olga").stdout == "discarded 1\n"
    result = desk.run("requeue", letter)
    assert isinstance(result.exception, DeadLetterError)
    assert "by olga: a test event; nothing was done" in str(result.exception)
    assert desk.run("requeue", "--all-matching").stdout == "requeued 0\n"
    assert "a test event" in desk.run("show", letter).stdout
    assert desk.sent() == []


def test_a_requeued_letter_is_not_discarded(desk: Desk) -> None:
    letter = desk.write()
    desk.run("requeue", letter)
    assert isinstance(desk.run("discard", letter, "--why", "late").exception, DeadLetterError)
    assert desk.resolution(letter) is Resolution.REQUEUED


@pytest.mark.parametrize("command", [("show",), ("requeue",), ("discard", "--why", "x")], ids=lambda words: words[0])
def test_an_unknown_id_is_one_clear_sentence(
    desk: Desk, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2; a known id in the same call is not changed."""
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["holdfast", "dead-letters", *command, "nonesuch"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("holdfast: there is no dead letter 'nonesuch'")


@pytest.mark.parametrize(
    "arguments", [(), ("one", "--all-matching"), ("one", "--reason", "not_json"), ("--reason", "not_json")]
)
def test_requeue_takes_names_or_filters(desk: Desk, arguments: tuple[str, ...]) -> None:
    """Without either, no dead letter is requeued."""
    result = desk.run("requeue", *arguments)
    assert result.exit_code == 2
    assert "--all-matching" in result.stderr


def test_a_ledger_without_tables_says_what_to_do(desk: Desk) -> None:
    with psycopg.connect(desk.settings.ledger_url) as ledger:
        ledger.execute("DROP TABLE dead_letter")
    assert "holdfast ledger migrate" in str(desk.run("list").exception)
