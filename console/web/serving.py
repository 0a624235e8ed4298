"""Serves the console, and refuses what would let strangers in."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn

from console.errors import AccessError
from console.web.app import build_app
from streams.observability.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket

    from fastapi import FastAPI

    from streams.settings import Settings

POLL_S = 0.01
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def build_served_app(settings: Settings) -> FastAPI:
    """Build the application as the settings say.

    Raises:
        AccessError: it would be open on an address that others can reach.
    """
    host, is_open = settings.console_host, settings.console_access == "open"
    if is_open and not is_loopback(host):
        raise AccessError(
            f"HOLDFAST_CONSOLE_ACCESS=open lets everybody in, and HOLDFAST_CONSOLE_HOST={host} is an address that "
            "others can reach; set HOLDFAST_CONSOLE_ACCESS=accounts, or a host of this machine as 127.0.0.1"
        )
    public = _find_public_host(settings)
    if is_open and public is not None and not is_loopback(public):
        raise AccessError(
            f"HOLDFAST_CONSOLE_ACCESS=open lets everybody in, and HOLDFAST_CONSOLE_URL={settings.console_url} says "
            "that a proxy lets others reach it; set HOLDFAST_CONSOLE_ACCESS=accounts, or leave out HOLDFAST_CONSOLE_URL"
        )
    hosts = [*LOOPBACK_NAMES, *(_in_header(each) for each in (public, host) if each and each not in _EVERY_ADDRESS)]
    return build_app(settings, is_open=is_open, hosts=hosts)


def _find_public_host(settings: Settings) -> str | None:
    """Return the host in the address that people use; None where there is no proxy."""
    if settings.console_url is None:
        return None
    try:
        host, port = urlsplit(settings.console_url).hostname, urlsplit(settings.console_url).port
    except ValueError as error:
        raise AccessError(f"HOLDFAST_CONSOLE_URL={settings.console_url}: no address of a host: {error}") from error
    if not host or "*" in host or port == 0:
        raise AccessError(
            f"HOLDFAST_CONSOLE_URL={settings.console_url}: no address of a host, as https://crm.example.org"
        )
    return host


def _in_header(host: str) -> str:
    """Return a host as the Host header has it: an IPv6 address has brackets there."""
    return f"[{host}]" if ":" in host else host


def open_server(settings: Settings) -> ConsoleServer:
    """Return the server of the console, which runs until SIGTERM or Ctrl-C.

    Raises:
        AccessError: it would be open on an address that others can reach.
    """
    configure_logs(settings.log_level)
    return _make_server(settings, patience_s=5, log_config=None)


def _make_server(settings: Settings, *, patience_s: int, **logging: Any) -> ConsoleServer:
    """Return a server that gives open requests so many seconds when it stops."""
    app = build_served_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.console_host,
        port=settings.console_port,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=patience_s,
        proxy_headers=False,  # the app has them from the proxies of the settings
        **logging,
    )
    return ConsoleServer(config, app.state.context.live.stop)


class ConsoleServer(uvicorn.Server):
    """Serves an application; streams, which have no end, are ended before it waits for open requests.

    Args:
        config: of the server.
        end_streams: ends them.
    """

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End streams and requests."""
        self._end_streams()
        await super().shutdown(sockets)


@contextmanager
def serve_meanwhile(settings: Settings) -> Iterator[str]:
    """Serve the console in a thread meanwhile, and yield its address.

    Args:
        settings: of the deployment; port 0 is any free one.

    Raises:
        AccessError: it cannot be served there.
    """
    server = _make_server(settings, patience_s=1, log_level="warning")
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
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
