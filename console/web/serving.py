"""Serves the console, and refuses what would let strangers in."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from console.errors import AccessError
from console.web.app import build_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from streams.settings import Settings

POLL_S = 0.01
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def build_served_app(settings: Settings) -> FastAPI:
    """Build the application as the settings say.

    Raises:
        AccessError: nobody would have to sign in on an address that others can reach.
    """
    host, is_open = settings.console_host, settings.console_access == "open"
    if is_open and not is_loopback(host):
        raise AccessError(
            f"HOLDFAST_CONSOLE_ACCESS=open lets everybody in, and HOLDFAST_CONSOLE_HOST={host} is an address that "
            "others can reach; set HOLDFAST_CONSOLE_ACCESS=accounts, or a host of this machine as 127.0.0.1"
        )
    public = urlsplit(settings.console_url or "").hostname
    hosts = [*LOOPBACK_NAMES, *([public] if public else [])]
    if not is_loopback(host) and host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        hosts.append(host)
    return build_app(settings, is_open=is_open, hosts=hosts)


def serve(settings: Settings) -> None:
    """Serve the console until SIGTERM or Ctrl-C.

    Raises:
        AccessError: nobody would have to sign in on an address that others can reach.
    """
    app = build_served_app(settings)
    uvicorn.run(
        app,
        host=settings.console_host,
        port=settings.console_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        proxy_headers=settings.console_url is not None,
    )


@contextmanager
def serve_meanwhile(settings: Settings) -> Iterator[str]:
    """Serve the console in a thread meanwhile, and yield its address.

    Args:
        settings: of the deployment; port 0 is any free one.

    Raises:
        AccessError: it cannot be served there.
    """
    config = uvicorn.Config(
        build_served_app(settings),
        host=settings.console_host,
        port=settings.console_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise AccessError(f"the console cannot listen on {settings.console_host}:{settings.console_port}")
        time.sleep(POLL_S)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
