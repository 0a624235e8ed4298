"""Traces over OTLP/HTTP, from the event to its trigger, on real services."""

from __future__ import annotations

import gzip
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.journey.test_worker import workplace
from tests.journey.workplace import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """What a collector received, and whether it answers."""

    def __init__(self, port: int) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.answers = threading.Event()
        self.answers.set()
        self.waiting = 0
        self.port = port

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(names["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def find(self, name: str, trace: str | None = None) -> list[Any]:
        """Return the spans of that name, in that trace."""
        return [each for each in list(self.spans) if each.name == name and trace in (None, each.trace_id.hex())]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.waiting += 1
            collector.answers.wait()
            collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name of the method above
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield collector
    collector.answers.set()
    server.shutdown()
    server.server_close()


@pytest.mark.journey
def test_a_trigger_is_in_the_trace_of_its_event_and_no_batch_waits_for_the_collector(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    """With a collector that answers, then with one that does not."""
    with workplace(endpoints, tmp_path) as lent, collecting() as collector:
        environment = {
            "HOLDFAST_TRACES": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_SERVICE_NAME": "retention",
        }
        place = replace(lent, environment={**lent.environment, **environment})
        worker = place.start_worker()
        place.set_customers(["ann", "bob"], days=5)
        place.update("ann", "bob")
        place.set_customers(["ann", "bob"], days=90)
        for customer, trace in (("ann", f"00-{TRACE}-{PARENT}-01"), ("bob", "no trace")):
            value = json.dumps(place.event(customer)).encode()
            place.publish_bytes("customer-updates", customer.encode(), value, [("traceparent", trace.encode())])
        place.settle()

        (ann,) = [each for each in place.see("campaign-triggers") if each.key == b"ann"]
        (bob,) = [each for each in place.see("campaign-triggers") if each.key == b"bob"]
        wait_until(lambda: bool(collector.find("send campaign-triggers", TRACE)))
        (sent,) = collector.find("send campaign-triggers")
        assert ann.header("traceparent")[:52] == f"00-{TRACE}-{sent.span_id.hex()}"
        assert sent.parent_span_id.hex() == PARENT
        (batch,) = [span for span in collector.find("process batch") if span.links]
        assert [link.trace_id.hex() for link in batch.links] == [TRACE]
        assert [link.span_id for link in sent.links] == [batch.span_id]
        steps = {span.name for span in collector.spans if span.parent_span_id == batch.span_id}
        assert steps == {"prepare", "decide", "publish", "acknowledge"}
        assert bob.header("traceparent").split("-")[1] in {span.trace_id.hex() for span in collector.find("decide")}
        assert collector.services == {"retention"}

        collector.answers.clear()
        place.update("ann")
        wait_until(lambda: collector.waiting > len(collector.spans) / 1000)
        place.set_customers(["eve"], days=5)
        place.update("eve", "ann", "bob")
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < 15
