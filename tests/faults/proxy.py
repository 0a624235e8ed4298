"""A way to a service that can be cut, closed, slowed down and held up, and made whole again.

It forwards one port of loopback to another. PostgreSQL and Redis are reached through it by another URL; Kafka tells
its clients where to come, so it needs a listener that names the proxy: see proxied.py.
"""

from __future__ import annotations

import asyncio
import random
from threading import Event, Thread
from typing import TYPE_CHECKING, Self, TypeVar

from console.embedded.ports import is_free

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")
PIECE_BYTES = 65_536
START_S = 10


class Proxy:
    """Forwards connections to a port of 127.0.0.1, on a thread of its own, as a context manager.

    Every method may be called from any thread, and has happened when it returns. What was done to the proxy lasts
    until `heal`.

    Args:
        target: the service's port.
        port: where it is reached; by default a free one.
    """

    def __init__(self, target: int, port: int | None = None) -> None:
        self.port = choose_port() if port is None else port
        self.target = target
        self._delay_s = 0.0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(START_S), f"no proxy on port {self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    def lead(self, url: str) -> str:
        """Return the URL, or host:port, of the service with this proxy's port in place of its own."""
        return url.replace(f"127.0.0.1:{self.target}", f"127.0.0.1:{self.port}")

    def cut(self) -> int:
        """End every connection at once, without a word; return how many there were. New ones are welcome."""
        return self._call(self._cut())

    def refuse(self) -> None:
        """Let nobody connect any more; who is connected stays."""
        self._call(self._refuse())

    def delay(self, seconds: float) -> None:
        """Send each piece on so much later, in both directions."""
        self._call(self._set_delay(seconds))

    def hold(self) -> None:
        """Be a black hole: take connections and bytes, and forward nothing before `heal`, which loses none."""
        self._call(self._hold())

    def heal(self) -> None:
        """Forward everything at once again, to everybody."""
        self._call(self._heal())

    def _call(self, work: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    async def _run(self) -> None:
        self._loop, self._stop, self._flowing = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        await self._heal()
        self._ready.set()
        await self._stop.wait()
        await self._heal()
        await self._refuse()
        # Not cancelled: asyncio would write of each connection's task that it was (Python 3.11).
        while self._tasks:
            await self._cut()
            await asyncio.wait(self._tasks, timeout=0.1)
        # Connections that were cut are closed by the loop's next round.
        await asyncio.sleep(0)

    async def _cut(self) -> int:
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers) // 2

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _set_delay(self, seconds: float) -> None:
        self._delay_s = seconds

    async def _hold(self) -> None:
        self._flowing.clear()

    async def _heal(self) -> None:
        self._delay_s = 0.0
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        writers = {writer}
        self._writers |= writers
        try:
            await self._flowing.wait()
            service_reader, service = await asyncio.open_connection("127.0.0.1", self.target)
            writers.add(service)
            self._writers |= writers
            await self._join(self._pump(reader, service), self._pump(service_reader, writer))
        except OSError:  # the service is away: its client shall see that, too
            writer.transport.abort()
        finally:
            self._writers -= writers
            for each in writers:
                each.close()

    async def _join(self, *pumps: Coroutine[object, object, None]) -> None:
        """Run both directions until one of them ends."""
        tasks = [asyncio.ensure_future(pump) for pump in pumps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await asyncio.sleep(self._delay_s)
            await self._flowing.wait()
            writer.write(piece)
            await writer.drain()


def choose_port() -> int:
    """Return a free port that the kernel gives to no client, so that it can be closed and opened again."""
    while True:
        port = random.randrange(20_000, 32_000)
        if is_free(port):
            return port
