"""Loopback ports for the embedded services."""

from __future__ import annotations

import json
import secrets
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Below the range from which the kernel takes client ports (32768 and up by default). A client that
# retries a stopped server's port in that range can get the same port and connect to itself; the server can then
# not bind it again.
_FIRST = 20_000
_LAST = 32_000


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_ports(names: Iterable[str], file: Path) -> dict[str, int]:
    """Return a free port for each name, and remember them.

    Args:
        names: What needs a port.
        file: Where ports are remembered as JSON; one that is still free is taken again.
    """
    remembered = json.loads(file.read_text()) if file.exists() else {}
    chosen: dict[str, int] = {}
    for name in names:
        port = remembered.get(name, 0)
        while port == 0 or port in chosen.values() or not is_free(port):
            port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        chosen[name] = port
    file.write_text(json.dumps(chosen))
    return chosen
