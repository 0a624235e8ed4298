"""Traces of batches: the spans, their links, and the headers of what is published."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from campaigns.ports import OutboxRow
from campaigns.triggers import decision_message, trigger_message
from streams.errors import MissingPackageError
from streams.formats.dead_letters import dead_letter
from streams.formats.events import RejectReason
from streams.formats.validation import reject
from streams.observability import traces as traces_module
from streams.observability.opentelemetry_traces import MAX_LINKS, OpenTelemetryTraces, find_links
from streams.observability.traces import UNTRACED, open_traces
from tests.builders import decision
from tests.records import Arrived, arrive, body, decode
from tests.unit.test_contracts import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from campaigns.triggers import Message

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{PARENT}-01"
MALFORMED = [
    "",
    "00",
    "garbage",
    f"00-{'0' * 32}-{PARENT}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-{PARENT}-01",
    "é",
]


class Recorded:
    """Traces, and the spans that were exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.traces = OpenTelemetryTraces(provider, "holdfast")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The spans that have ended, by name."""
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def event(trace: str | None = HEADER, name: str = "traceparent", **changes: Any) -> Arrived:
    """Return the record of the event behind `decision()`, with a trace."""
    headers = [] if trace is None else [(name, trace.encode())]
    return arrive(body(id="event-1", **changes), headers=headers)


def run(recorded: Recorded, records: Sequence[Arrived], messages: Sequence[Message]) -> list[Message]:
    """Decide and publish a batch, and return what is published."""
    batch = recorded.traces.begin(records, len(records))
    with batch.step("decide"):
        stamped = list(recorded.traces.stamp(messages, decode(*records).events))
    batch.end([OutboxRow(number, each) for number, each in enumerate(stamped)])
    return stamped


def header(message: Message, name: str = "traceparent") -> str:
    value = dict(message.headers)[name]
    assert value is not None
    return value.decode()


def test_a_batch_is_a_span_with_a_child_for_each_step(recorded: Recorded) -> None:
    batch = recorded.traces.begin([event(None)], 1)
    for name in ("prepare", "decide", "publish", "acknowledge"):
        with batch.step(name):
            pass
    batch.end(())
    spans = recorded.spans
    parent = spans.pop("process batch")
    assert list(spans) == ["prepare", "decide", "publish", "acknowledge"]
    assert all(span.parent == parent.context for span in spans.values())
    assert (parent.parent, parent.kind, parent.attributes["messaging.batch.message_count"]) == (
        None,
        SpanKind.CONSUMER,
        1,
    )


@pytest.mark.parametrize("name", ["traceparent", "ce_traceparent"])
def test_a_batch_is_linked_to_the_traces_of_its_records(recorded: Recorded, name: str) -> None:
    run(recorded, [event(name=name), event(None)], [])
    (link,) = recorded.spans["process batch"].links
    assert (format(link.context.trace_id, "032x"), format(link.context.span_id, "016x")) == (TRACE, PARENT)


def test_the_links_are_bounded_and_each_trace_is_linked_once() -> None:
    many = [event(f"00-{number:032x}-{PARENT}-01") for number in range(1, 1000)]
    assert len(find_links(many)) == MAX_LINKS
    assert len(find_links([event()] * 1000)) == 1


def test_a_trace_that_is_not_sampled_is_not_linked() -> None:
    assert find_links([event(HEADER[:-1] + "0")]) == []


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_trace_is_ignored(recorded: Recorded, malformed: str) -> None:
    (stamped,) = run(recorded, [event(malformed)], [trigger_message(decision())])
    batch = recorded.spans["process batch"]
    assert not batch.links
    assert header(stamped).split("-")[1] == format(batch.context.trace_id, "032x")


def test_a_trigger_continues_the_trace_of_its_event(recorded: Recorded) -> None:
    (stamped,) = run(recorded, [event()], [trigger_message(decision())])
    spans = recorded.spans
    sent, batch = spans["send campaign-triggers"], spans["process batch"]
    assert header(stamped) == header(stamped, "ce_traceparent") == f"00-{TRACE}-{sent.context.span_id:016x}-01"
    assert sent.parent is not None
    assert (f"{sent.parent.span_id:016x}", sent.kind) == (PARENT, SpanKind.PRODUCER)
    assert [link.context for link in sent.links] == [batch.context]
    check(stamped, "trigger.v1")


def test_the_state_of_a_trace_goes_with_it(recorded: Recorded) -> None:
    record = event()
    record.headers = [*record.headers, ("tracestate", b"shop=1")]
    (stamped,) = run(recorded, [record], [trigger_message(decision())])
    assert header(stamped, "tracestate") == "shop=1"


def test_the_record_of_a_decision_carries_the_trace_of_its_event(recorded: Recorded) -> None:
    (stamped,) = run(recorded, [event()], [decision_message(decision())])
    assert header(stamped) == HEADER
    check(stamped, "decision.v1")


def test_without_a_trace_of_its_event_a_trigger_carries_that_of_its_batch(recorded: Recorded) -> None:
    """Another customer's event has the same id, and another event of the customer has a trace."""
    others = [event(customer_id="bob"), arrive(body(id="event-2"), headers=[("traceparent", HEADER.encode())])]
    (stamped,) = run(recorded, [event(None), *others], [trigger_message(decision())])
    decided = recorded.spans["decide"]
    assert header(stamped).startswith(f"00-{decided.context.trace_id:032x}-{decided.context.span_id:016x}-")


def test_a_trigger_that_is_not_published_has_no_span(recorded: Recorded) -> None:
    """As after a redelivery, when the ledger has it already."""
    batch = recorded.traces.begin([event()], 1)
    with batch.step("decide"):
        recorded.traces.stamp([trigger_message(decision())], decode(event()).events)
    batch.end([])
    assert set(recorded.spans) == {"decide", "process batch"}


def test_a_dead_letter_keeps_the_headers_of_its_record(recorded: Recorded) -> None:
    letter = dead_letter(reject(event(), RejectReason.NOT_JSON, "no"))
    assert run(recorded, [event()], [letter]) == [letter]


def test_an_error_is_in_the_trace(recorded: Recorded) -> None:
    batch = recorded.traces.begin([], 0)
    with pytest.raises(ValueError, match="bad"), batch.step("decide"):
        raise ValueError("bad")
    for span in recorded.spans.values():
        assert (span.status.description, span.events[0].name) == ("ValueError", "exception")
    assert set(recorded.spans) == {"decide", "process batch"}


def test_nothing_but_the_headers_of_a_trace_changes(recorded: Recorded) -> None:
    message = trigger_message(decision())
    (stamped,) = run(recorded, [event()], [message])
    assert replace(stamped, headers=stamped.headers[: len(message.headers)]) == message


def test_without_traces_messages_are_as_they_were() -> None:
    messages = [trigger_message(decision())]
    with open_traces(enabled=False, group="holdfast") as found:
        assert found is UNTRACED
        batch = found.begin([event()], 1)
        with batch.step("decide"):
            assert found.stamp(messages, decode(event()).events) is messages


def test_a_worker_without_traces_does_not_import_what_exports_them() -> None:
    """redis-py imports OpenTelemetry where it is installed; that is its own matter."""
    script = "import sys, streams.services; sys.exit('opentelemetry.exporter' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_without_its_package_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces_module, "PACKAGES", ("opentelemetry.no_such_part", "no_such_package.at_all"))
    with (
        pytest.raises(MissingPackageError, match=r"HOLDFAST_TRACES is true, and .* install Holdfast's extra `tracing`"),
        open_traces(enabled=True, group="holdfast"),
    ):
        pass
