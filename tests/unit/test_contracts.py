"""The published AsyncAPI document and the schemas of messages say what the code reads and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker

from campaigns.ports import OutboxRow, Refusal
from campaigns.triggers import Message, decision_message, trigger_message
from campaigns.unpublishable import set_aside
from console.cli.contracts import contracts
from streams.contracts.asyncapi import describe_topics, write_document
from streams.contracts.compatibility import find_breaks
from streams.contracts.messages import MessageContract, all_messages
from streams.formats.codecs import TYPES
from streams.formats.dead_letters import dead_letter
from streams.formats.events import RejectReason
from streams.formats.validation import reject
from streams.topic_descriptions import TOPICS
from tests.builders import control, decision
from tests.published_contracts import PAGE, read_released
from tests.records import Arrived, arrive, decode

META = json.loads((Path(__file__).parents[1] / "data/asyncapi-3.0.0.json").read_text(encoding="utf-8"))
MESSAGES = {each.key: each for each in all_messages()}
READ = [each for each in MESSAGES.values() if each.direction == "read"]
GOLDEN = Path(__file__).parents[1] / "golden"


def find_errors(schema: dict[str, Any], value: Any) -> list[str]:
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(value)]


def check(message: Message, contract: str) -> None:
    """Check headers, and the value where it is JSON."""
    described = MESSAGES[contract]
    headers = {name: value.decode() for name, value in message.headers if value is not None}
    assert find_errors(described.headers, headers) == []
    if described.payload:
        assert find_errors(described.payload, msgspec.json.decode(message.value or b"")) == []


def test_the_published_document_equals_the_code() -> None:
    """Else run `python -m tests.published_contracts`."""
    assert PAGE.read_text(encoding="utf-8") == write_document(describe_topics())


def test_the_document_is_asyncapi_3() -> None:
    assert [error.message for error in Draft7Validator(META).iter_errors(describe_topics("staging."))] == []


def test_a_change_breaks_no_released_message() -> None:
    """Else give the message a new version, and publish both while consumers move."""
    assert find_breaks(read_released(), all_messages()) == []


def test_every_topic_has_its_messages_and_every_type_of_event_is_in_one() -> None:
    described = {topic.name: set[str]() for topic in TOPICS if topic.kind == "input"}
    for each in READ:
        described[each.topic] |= set(each.payload["properties"]["type"]["enum"])
    assert described == {topic: set(types) for topic, types in TYPES.items()}
    assert {each.topic for each in MESSAGES.values()} == {topic.name for topic in TOPICS}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_schema_is_one_and_its_examples_keep_to_it(message: MessageContract) -> None:
    for schema in (message.payload, message.headers):
        Draft202012Validator.check_schema(schema)
        Draft7Validator.check_schema(schema)
    assert message.examples
    for headers, value in message.examples:
        assert find_errors(message.headers, headers) == []
        assert find_errors(message.payload, value) == []


@pytest.mark.parametrize("message", READ, ids=[each.key for each in READ])
def test_the_example_of_an_event_is_decoded(message: MessageContract) -> None:
    for _, value in message.examples:
        key = value.get("lead_id") or value["customer_id"]
        record = Arrived(f"p.{message.topic}", key=key.encode(), value=msgspec.json.encode(value))
        assert not decode(record).rejects


BAD = [
    ("customer.updated", {"id": ""}),
    ("customer.updated", {"id": "x" * 201}),
    ("customer.updated", {"id": "a\nb"}),
    ("customer.updated", {"customer_id": None}),
    ("customer.updated", {"occurred_at": 5}),
    ("customer.updated", {"type": "customer.deleted"}),
    ("conversation.message", {"role": "bot"}),
    ("conversation.message", {"text": None}),
    ("outcome", {"trigger_id": "t-1"}),
    ("outcome", {"value": "much"}),
    ("feedback.do_not_contact", {"until": None}),
    ("feedback.do_not_contact", {"by": " "}),
    ("feedback.do_not_contact", {"reason": ""}),
    ("feedback.wrong_score", {"model": "luck"}),
    ("feedback.wrong_score", {"value": -1}),
    ("feedback.withdrawn", {"withdraws": ""}),
    ("evaluation.requested", {"campaign": "a\tb"}),
]


@pytest.mark.parametrize(("name", "change"), BAD, ids=lambda part: str(part)[:40])
def test_what_the_decoder_rejects_the_schema_rejects(name: str, change: dict[str, Any]) -> None:
    message = MESSAGES[f"{name}.v1"]
    value = {**message.examples[0][1], **change}
    assert find_errors({**message.payload}, value)
    key = str(value["customer_id"]).encode()
    record = Arrived(f"p.{message.topic}", key=key, value=msgspec.json.encode(value))
    assert decode(record).rejects


@pytest.mark.parametrize("message", READ, ids=[each.key for each in READ])
def test_the_decoder_needs_every_field_that_a_schema_requires(message: MessageContract) -> None:
    """So no producer is asked for more than is read; `definitions` has no decision without it."""
    example = message.examples[0][1]
    for name in set(message.payload["required"]) - {"definitions"}:
        record = arrive({"type": example["type"], **{k: v for k, v in example.items() if k != name}})
        if name != "type":
            assert decode(record).rejects, name


def test_the_examples_are_what_the_code_writes() -> None:
    for name, file in (("trigger", "trigger.json"), ("decision", "decision.json")):
        golden = json.loads((GOLDEN / file).read_text(encoding="utf-8"))
        assert MESSAGES[f"{name}.v1"].examples[0] == (golden["headers"], golden["value"])


def test_what_is_decided_keeps_to_its_contract() -> None:
    check(trigger_message(decision()), "trigger.v1")
    check(trigger_message(control()), "control.v1")
    check(decision_message(decision()), "decision.v1")
    check(decision_message(decision(withheld="not_a_member")), "decision.v1")


def test_dead_letters_keep_to_their_contract() -> None:
    record = Arrived(value=b"x" * 70_000, headers=[("theirs", b"1")])
    check(dead_letter(reject(record, RejectReason.NOT_JSON, "no")), "dead-letter.v1")
    check(dead_letter(reject(record, RejectReason.TOO_LARGE, "no")), "dead-letter.v1")
    refused = set_aside(OutboxRow(1, trigger_message(decision())), Refusal("campaign-triggers", "too large"))
    check(refused.message, "dead-letter.v1")


def test_the_command_prints_the_document_or_writes_it_with_each_schema(tmp_path: Path) -> None:
    environment = {"HOLDFAST_TOPIC_PREFIX": "staging."}
    printed = CliRunner().invoke(contracts, env=environment)
    assert json.loads(printed.stdout) == describe_topics("staging.")
    written = CliRunner().invoke(contracts, ["--out", str(tmp_path)], env=environment)
    assert (tmp_path / "asyncapi.json").read_text(encoding="utf-8") == printed.stdout
    named = {each.key for each in MESSAGES.values() if each.payload}
    assert {file.name for file in (tmp_path / "schemas").iterdir()} == {f"{each}.schema.json" for each in named}
    assert len(written.stdout.splitlines()) == len(named) + 1
