"""Traces of batches: what the worker calls, and the implementation that does nothing.

OpenTelemetry is imported only with HOLDFAST_TRACES=true, by opentelemetry_traces.py. Without it, a batch costs the call
of an empty function for each step.
"""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from streams.errors import MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from campaigns.ports import OutboxRow
    from campaigns.triggers import Message
    from streams.formats.events import Event, Record
    from streams.formats.leads import LeadEvent

TRACE_HEADERS = ("traceparent", "ce_traceparent")
"""W3C's header, and the extension of CloudEvents in binary mode. The first that a record has is read."""
PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter")


class BatchTrace(Protocol):
    """The trace of one batch."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Trace a step of the batch."""

    def end(self, published: Sequence[OutboxRow]) -> None:
        """End the trace.

        Args:
            published: the messages that were published, those of other batches included.
        """


class Traces(Protocol):
    """Traces batches."""

    def begin(self, records: Iterable[Record], count: int) -> BatchTrace:
        """Begin the trace of a batch.

        Args:
            records: the batch, read only as far as links are wanted.
            count: the number of records.
        """

    def stamp(self, messages: Sequence[Message], events: Iterable[Event | LeadEvent]) -> Sequence[Message]:
        """Return messages that carry the trace of their event, or else that of the batch whose step this is.

        Args:
            messages: what the step publishes.
            events: those of the batch.
        """


class Untraced:
    """Traces nothing: both ports."""

    def begin(self, _records: Iterable[Record], _count: int) -> BatchTrace:
        """See the port."""
        return self

    def step(self, _name: str) -> AbstractContextManager[None]:
        """See the port."""
        return _NOTHING

    def stamp(self, messages: Sequence[Message], _events: Iterable[Event | LeadEvent]) -> Sequence[Message]:
        """See the port."""
        return messages

    def end(self, published: Sequence[OutboxRow]) -> None:
        """See the port."""


_NOTHING: AbstractContextManager[None] = nullcontext()
UNTRACED = Untraced()


@contextmanager
def open_traces(*, enabled: bool, group: str) -> Iterator[Traces]:
    """Yield what traces batches; the last traces are sent at the end.

    Args:
        enabled: see HOLDFAST_TRACES; the exporter is configured by OpenTelemetry's own variables.
        group: the workers' consumer group.

    Raises:
        MissingPackageError: OpenTelemetry is not installed.
    """
    if not enabled:
        yield UNTRACED
        return
    check_opentelemetry()
    from streams.observability.opentelemetry_traces import export_traces  # noqa: PLC0415 - needs the extra `tracing`

    with export_traces(group) as traces:
        yield traces


def check_opentelemetry() -> None:
    """Check that traces can be exported.

    Raises:
        MissingPackageError: a package is not installed.
    """
    try:
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    except ModuleNotFoundError as error:  # of the package above
        missing = [str(error.name)]
    if missing:
        raise MissingPackageError(
            f"HOLDFAST_TRACES is true, and {missing[0]} is not installed; install Holdfast's extra `tracing`"
        )
