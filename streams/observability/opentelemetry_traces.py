"""Traces of batches by OpenTelemetry, sent over OTLP/HTTP.

A batch is one span with a child for each step, linked to the traces of its records. A trigger whose event had a trace
continues that trace, with a span of its own that ends when the trigger is published; any other message carries the
trace of its event, or else that of its batch.

Spans are exported by a thread from a bounded queue: a collector that does not answer costs spans, and no batch waits.
Source: W3C Trace Context; CloudEvents' Distributed Tracing extension; OpenTelemetry's conventions for messaging.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from msgspec.structs import replace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from campaigns.dead_letters import DESTINATION as DEAD_LETTERS
from streams.observability.traces import TRACE_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opentelemetry.trace import Span, Tracer

    from campaigns.ports import OutboxRow
    from campaigns.triggers import Headers, Message
    from streams.formats.events import Event, Record
    from streams.formats.leads import LeadEvent
    from streams.observability.traces import BatchTrace, Traces

MAX_LINKS = 64
"""Of a batch's span to different traces of its records; a batch may have 4,000 of them."""
FLUSH_S = 3.0
"""Longest wait for the exporter at the end."""
TRIGGERS = "campaign_triggers"
CAUSE = "ce_causationid"
STATE = "tracestate"

_propagator = TraceContextTextMapPropagator()
_present: ContextVar[TracedBatch | None] = ContextVar("traced_batch", default=None)


@contextmanager
def export_traces(group: str) -> Iterator[Traces]:
    """Yield traces that are exported by OTLP; the last ones are sent at the end."""
    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say counts.
    resource = Resource({"service.name": "holdfast"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield OpenTelemetryTraces(provider, group)
    finally:
        _shut_down(provider)


def _shut_down(provider: TracerProvider) -> None:
    """End the exporter, without a wait for a collector that does not answer: the worker must end in time."""
    thread = threading.Thread(target=provider.shutdown, name="end of traces", daemon=True)
    thread.start()
    thread.join(FLUSH_S)


class OpenTelemetryTraces:
    """Traces whose spans go to a provider.

    Args:
        provider: where spans go.
        group: the workers' consumer group.
    """

    def __init__(self, provider: TracerProvider, group: str) -> None:
        self._tracer = provider.get_tracer("holdfast")
        self._group = group

    def begin(self, records: Iterable[Record], count: int) -> BatchTrace:
        """See the port."""
        span = self._tracer.start_span(
            "process batch",
            context=Context(),
            kind=SpanKind.CONSUMER,
            links=find_links(records),
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.consumer.group.name": self._group,
                "messaging.batch.message_count": count,
            },
        )
        return TracedBatch(self._tracer, span)

    def stamp(self, messages: Sequence[Message], events: Iterable[Event | LeadEvent]) -> Sequence[Message]:
        """See the port."""
        batch = _present.get()
        if batch is None or not messages:
            return messages
        causes = {_cause_of(each) for each in messages}
        contexts = {
            (event.customer_id, event.wire.id): context
            for event in events
            if event.record.headers
            and (event.customer_id, event.wire.id) in causes
            and (context := read_context(event.record.headers)) is not None
        }
        return [
            each if each.destination == DEAD_LETTERS else batch.stamp(each, contexts.get(_cause_of(each)))
            for each in messages
        ]


class TracedBatch:
    """The spans of a batch: its own, that of the step in progress, and those of its triggers until they are published.

    Args:
        tracer: begins spans.
        span: the batch's own.
    """

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span, Context())
        self._step_headers: Headers = ()
        self._triggers: dict[str, Span] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """See the port."""
        span = self._tracer.start_span(name, context=self._context)
        self._step_headers = write_context(set_span_in_context(span, Context()))
        token = _present.set(self)
        try:
            yield
        except Exception as error:
            # The worker ends, and with it the batch: it is delivered again.
            for each in (span, self._span):
                each.record_exception(error)
                each.set_status(Status(StatusCode.ERROR, type(error).__name__))
            self._span.end()
            raise
        finally:
            _present.reset(token)
            span.end()

    def stamp(self, message: Message, cause: Context | None) -> Message:
        """Return a message that carries a trace.

        Args:
            message: the message.
            cause: the trace of its event; the batch's without one.
        """
        if cause is None:
            return replace(message, headers=(*message.headers, *self._step_headers))
        context = cause
        if message.destination == TRIGGERS:
            # One that is stored already is not published: its span is not ended, and not exported.
            span = self._tracer.start_span(
                "send campaign-triggers",
                context=cause,
                kind=SpanKind.PRODUCER,
                links=[Link(self._span.get_span_context())],
                attributes={"messaging.system": "kafka", "messaging.message.id": message.message_id},
            )
            self._triggers[message.message_id] = span
            context = set_span_in_context(span, cause)
        return replace(message, headers=(*message.headers, *write_context(context)))

    def end(self, published: Sequence[OutboxRow]) -> None:
        """See the port."""
        for row in published if self._triggers else ():
            span = self._triggers.pop(row.message.message_id, None)
            if span is not None:
                span.end()
        self._span.end()


def find_links(records: Iterable[Record]) -> list[Link]:
    """Return links to the first `MAX_LINKS` different traces of records that are sampled."""
    found: dict[int, Link] = {}
    for record in records:
        context = read_context(record.headers) if record.headers else None
        if context is None:
            continue
        span_context = get_current_span(context).get_span_context()
        if span_context.trace_flags.sampled and span_context.trace_id not in found:
            found[span_context.trace_id] = Link(span_context)
            if len(found) == MAX_LINKS:
                break
    return list(found.values())


def read_context(headers: Sequence[tuple[str, bytes | None]]) -> Context | None:
    """Return the trace that a record carries, None without one that can be read."""
    carried = {name: (value or b"").decode("ascii", "replace") for name, value in headers if name in _READ}
    parent = next((carried[name] for name in TRACE_HEADERS if name in carried), None)
    if parent is None:
        return None
    context = _propagator.extract({"traceparent": parent, STATE: carried.get(STATE, "")}, Context())
    return context if get_current_span(context).get_span_context().is_valid else None


_READ = {*TRACE_HEADERS, STATE}


def write_context(context: Context) -> Headers:
    """Return the headers that carry a trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    if "traceparent" not in carrier:
        return ()
    state = ((STATE, carrier[STATE].encode()),) if carrier.get(STATE) else ()
    return (*((name, carrier["traceparent"].encode()) for name in TRACE_HEADERS), *state)


def find_header(headers: Headers, wanted: str) -> str | None:
    """Return the first header of that name as text."""
    return next((value.decode() for name, value in headers if name == wanted and value is not None), None)


def _cause_of(message: Message) -> tuple[str, str]:
    return message.customer_id, find_header(message.headers, CAUSE) or ""
