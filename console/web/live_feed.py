"""Decisions and alerts as they come: one reader of the ledger for all who listen."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_live import open_live
from console.use_cases.live import AlertFinder
from console.web.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from campaigns.postgres_live import PostgresLive
    from console.use_cases.live import LiveEvent
    from streams.settings import Settings

POLL_S, RETRY_S = 1.0, 5.0
LATE_S = 10.0
"""A transaction that takes longer between its first message and its commit is not heard of."""
AT_ONCE = 500
MAX_LISTENERS = 100
QUEUED = 1_000
STREAM_S = 600.0
"""After it a stream ends, and its listener comes again: with a session and a role that may have ended."""

Queue = asyncio.Queue["LiveEvent | None"]


class LiveFeed:
    """Reads the ledger once a second while somebody listens, and hands events to all of them.

    Args:
        settings: where the ledger is.
        max_listeners: more are refused.
    """

    def __init__(self, settings: Settings, *, max_listeners: int = MAX_LISTENERS) -> None:
        self._settings = settings
        self._max_listeners = max_listeners
        self._listeners: set[Queue] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def check_room(self) -> None:
        """Let somebody listen.

        Raises:
            TooManyRequestsError: too many listen.
        """
        if len(self._listeners) >= self._max_listeners:
            raise TooManyRequestsError("too many listen to the stream", retry_after_s=10)

    def stop(self) -> None:
        """End every stream; safe in the loop of the streams."""
        self._stopped.set()
        for queue in [*self._listeners]:
            _put(queue, None)

    async def listen(self, kinds: frozenset[str], after: int | None) -> AsyncIterator[LiveEvent]:
        """Yield events as they come, until the feed stops or the listener is too slow.

        Args:
            kinds: of the events.
            after: the sequence of the last event that the listener has; None to begin now.
        """
        self._loop = asyncio.get_running_loop()
        until = self._loop.time() + STREAM_S
        with self._join() as queue:
            missed = [] if after is None else await asyncio.to_thread(self._read_missed, after)
            had = {each.sequence for each in missed}
            for each in missed:
                if each.kind in kinds:
                    yield each
            while not self._stopped.is_set():
                try:
                    found = await asyncio.wait_for(queue.get(), until - self._loop.time())
                except TimeoutError:
                    return
                if found is None:
                    return
                if found.kind in kinds and found.sequence not in had:
                    yield found

    @contextmanager
    def _join(self) -> Iterator[Queue]:
        queue: Queue = asyncio.Queue(QUEUED)
        with self._lock:
            self._listeners.add(queue)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live feed", daemon=True)
                self._thread.start()
        try:
            yield queue
        finally:
            with self._lock:
                self._listeners.discard(queue)

    def _read_missed(self, after: int) -> list[LiveEvent]:
        finder = AlertFinder()
        with open_live(self._settings.ledger_url) as live:
            return [event for message in live.after(after, limit=AT_ONCE) for event in finder.read(message)]

    def _run(self) -> None:
        finder = AlertFinder()
        while not self._ends():
            try:
                with open_live(self._settings.ledger_url) as live:
                    self._follow(live, finder)
            except LedgerUnavailableError:
                self._stopped.wait(RETRY_S)

    def _follow(self, live: PostgresLive, finder: AlertFinder) -> None:
        latest = live.latest(1)
        last = latest[0].sequence if latest else 0
        # Sequences are given before the commit: what is read once is read again until no smaller one can come.
        marks: deque[tuple[float, int]] = deque([(time.monotonic(), last)])
        seen: set[int] = {last}
        for _ in finder.compare_stops(live.stops(), last):  # those stopped before are no news
            pass
        while not self._ends():
            while len(marks) > 1 and marks[1][0] < time.monotonic() - LATE_S:
                marks.popleft()
            low = marks[0][1]
            found = [each for each in live.after(low, limit=AT_ONCE + len(seen)) if each.sequence not in seen]
            for message in found:
                for event in finder.read(message):
                    self._hand_over(event)
            last = max((last, *(each.sequence for each in found)))
            seen = {each for each in seen if each >= low} | {each.sequence for each in found}
            marks.append((time.monotonic(), last))
            for event in finder.compare_stops(live.stops(), last):
                self._hand_over(event)
            self._stopped.wait(POLL_S)

    def _hand_over(self, event: LiveEvent) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        with self._lock:
            listeners = [*self._listeners]
        for queue in listeners:
            loop.call_soon_threadsafe(_put, queue, event)

    def _ends(self) -> bool:
        """Return whether the reader ends: the next listener starts another."""
        with self._lock:
            if self._listeners and not self._stopped.is_set():
                return False
            self._thread = None
            return True


def _put(queue: Queue, event: LiveEvent | None) -> None:
    """Put an event into a queue; a listener that is too slow is ended, and comes again for what it missed."""
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
    else:
        queue.put_nowait(event)
