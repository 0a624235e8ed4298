"""Serves the console, and refuses what would let strangers in."""

from __future__ import annotations

import errno
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn

from console.errors import AccessError
from console.web.app import build_app
from streams.observability.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastapi import FastAPI

    from streams.settings import Settings

POLL_S = 0.01
_MISSING = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
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
    """Return the server of the console, which listens, and runs until SIGTERM or Ctrl-C.

    Raises:
        AccessError: it would be open on an address that others can reach, or cannot listen where it is to.
    """
    configure_logs(settings.log_level)
    return _make_server(settings, patience_s=5, log_config=None)


def listen(host: str, port: int) -> Sequence[socket.socket]:
    """Return sockets that listen on every address of a host.

    Args:
        host: a name or an address.
        port: 0 for any free one, the same on each address.

    Raises:
        AccessError: one of them cannot be used; the message names the setting.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _refuse_address(host, port, error) from error
    missing: OSError | None = None
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, kind, protocol, _, (address, _, *scope) in dict.fromkeys(found):
            try:
                each = opened.enter_context(socket.socket(family, kind, protocol))
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                each.bind((address, sockets[0].getsockname()[1] if sockets else port, *scope))
                each.listen()
            except OSError as error:
                if error.errno not in _MISSING:
                    raise _refuse_address(host, port, error) from error
                missing = error  # a machine without IPv6 may still name an address of it
            else:
                sockets.append(each)
        if missing is not None and not sockets:
            raise _refuse_address(host, port, missing) from missing
        opened.pop_all()
    return sockets


def _refuse_address(host: str, port: int, error: OSError) -> AccessError:
    if error.errno == errno.EADDRINUSE:
        return AccessError(
            f"HOLDFAST_CONSOLE_PORT={port}: another program listens on port {port} of {host}; end it, or set "
            "another port"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return AccessError(
            f"HOLDFAST_CONSOLE_PORT={port}: this account may not listen on port {port}; set one above 1023"
        )
    return AccessError(
        f"HOLDFAST_CONSOLE_HOST={host}: the console cannot listen there: {(error.strerror or str(error)).lower()}; set "
        "an address of this machine, as 127.0.0.1, or 0.0.0.0 for all"
    )


def _make_server(settings: Settings, *, patience_s: int, **logging: Any) -> ConsoleServer:
    """Return a server that gives open requests so many seconds when it stops."""
    app = build_served_app(settings)
    sockets = listen(settings.console_host, settings.console_port)
    config = uvicorn.Config(
        app,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=patience_s,
        proxy_headers=False,  # the app has them from the proxies of the settings
        **logging,
    )
    return ConsoleServer(config, sockets, app.state.context.live.stop)


class ConsoleServer(uvicorn.Server):
    """Serves an application; streams, which have no end, are ended before it waits for open requests.

    Args:
        config: of the server.
        sockets: that listen; it closes them.
        end_streams: ends them.
    """

    def __init__(
        self, config: uvicorn.Config, sockets: Sequence[socket.socket], end_streams: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.sockets = sockets
        self._end_streams = end_streams

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until it must stop."""
        super().run(sockets or [*self.sockets])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and requests."""
        self._end_streams()
        await super().shutdown(sockets)


@contextmanager
def serve_meanwhile(settings: Settings) -> Iterator[str]:
    """Serve the console in a thread meanwhile, and yield its address.

    Args:
        settings: of the deployment; port 0 is any free one.

    Raises:
        AccessError: it cannot be served there, or did not start; the log says why.
    """
    server = _make_server(settings, patience_s=1, log_level="warning")
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise AccessError("the console did not start; the log above says why")
        time.sleep(POLL_S)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
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
