"""A proxy to a service that can drop connections, reject new ones, delay and hold traffic, and recover.

It forwards one loopback port to another. Clients of PostgreSQL and Redis use a URL with the proxy's port; Kafka
advertises its address to clients, so it needs a listener that advertises the proxy: see proxied.py.
"""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Self, TypeVar

from console.embedded.ports import is_free

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")
PIECE_BYTES = 65_536
START_S = 10
BACKLOG = 100


class Proxy:
    """Forwards connections to a port of 127.0.0.1 on its own thread, as a context manager.

    Every method is thread-safe and synchronous: its effect is complete when it returns, and lasts until `heal`.

    Args:
        target: the service's port.
        port: the proxy's port; by default a free one.
    """

    def __init__(self, target: int, port: int | None = None) -> None:
        self.port = choose_port() if port is None else port
        self.target = target
        self._delay_s = 0.0
        self._listener: socket.socket | None = None
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
        """Abort every connection, and return their number. New connections are accepted."""
        return self._call(self._cut())

    def refuse(self) -> None:
        """Reject new connections; existing ones remain."""
        self._call(self._refuse())

    def delay(self, seconds: float) -> None:
        """Delay all traffic by this time, in both directions."""
        self._call(self._set_delay(seconds))

    def hold(self) -> None:
        """Act as a black hole: accept connections and bytes, but forward them only after `heal`."""
        self._call(self._hold())

    def heal(self) -> None:
        """Accept connections and forward everything without delay again."""
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
        # Tasks are not cancelled: asyncio (Python 3.11) would log the cancellation of each connection.
        while self._tasks:
            await self._cut()
            await asyncio.wait(self._tasks, timeout=0.1)
        # The next iteration of the loop closes the aborted connections.
        await asyncio.sleep(0)

    async def _cut(self) -> int:
        for writer in self._writers:
            writer.transport.abort()
        return len(self._writers) // 2

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    async def _set_delay(self, seconds: float) -> None:
        self._delay_s = seconds

    async def _hold(self) -> None:
        self._flowing.clear()

    async def _heal(self) -> None:
        self._delay_s = 0.0
        self._flowing.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        # By hand: a server of asyncio that closes leaves a connection open that it is about to take.
        with suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = listener.accept()
            task = self._loop.create_task(self._take(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        writers = {writer}
        self._writers |= writers
        try:
            await self._flowing.wait()
            service_reader, service = await asyncio.open_connection("127.0.0.1", self.target)
            writers.add(service)
            self._writers |= writers
            await self._join(self._pump(reader, service), self._pump(service_reader, writer))
        except OSError:  # the service is down: close the client's connection as well
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
    """Return a free port outside the kernel's ephemeral range, so that it can be closed and reopened."""
    while True:
        port = random.randrange(20_000, 32_000)
        if is_free(port):
            return port
