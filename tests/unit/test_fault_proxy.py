"""The proxy forwards, cuts, refuses, delays and holds up, and heals."""

from __future__ import annotations

import gc
import socket
import time
from contextlib import ExitStack, closing
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import Proxy, choose_port

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 20


class Echo(StreamRequestHandler):
    """Sends every line back."""

    def handle(self) -> None:
        """Do it until the client goes; one that was cut off is none of a server's errors."""
        try:
            for line in self.rfile:
                self.wfile.write(line)
        except ConnectionError:
            return


@pytest.fixture
def service() -> Iterator[int]:
    """The port of a server that echoes."""
    with ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(service: int) -> Iterator[Proxy]:
    """A proxy in front of it."""
    with Proxy(service) as running:
        yield running


def connect(proxy: Proxy) -> closing[socket.socket]:
    """Connect through the proxy."""
    return closing(socket.create_connection(("127.0.0.1", proxy.port), timeout=TIMEOUT_S))


def ask(connection: socket.socket, line: bytes = b"hello\n") -> bytes:
    """Send a line and return what comes back."""
    connection.sendall(line)
    return read(connection, len(line))


def read(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes."""
    with connection.makefile("rb") as file:
        return file.read(size)


def is_cut(connection: socket.socket) -> bool:
    """Say whether the other side has ended the connection; wait until it does."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_forwards_in_both_directions(proxy: Proxy) -> None:
    """Whatever the length."""
    with connect(proxy) as connection:
        assert ask(connection) == b"hello\n"
        long = b"x" * 300_000 + b"\n"
        assert ask(connection, long) == long


def test_a_cut_ends_every_connection_and_lets_new_ones_in(proxy: Proxy) -> None:
    """Both of two, and a third one works."""
    with connect(proxy) as first, connect(proxy) as second:
        assert ask(first) == ask(second) == b"hello\n"
        assert proxy.cut() == 2
        assert is_cut(first)
        assert is_cut(second)
    with connect(proxy) as third:
        assert ask(third) == b"hello\n"


def test_a_closed_door_keeps_new_ones_out_and_those_inside_in(proxy: Proxy) -> None:
    """Until it heals."""
    with connect(proxy) as inside:
        assert ask(inside) == b"hello\n"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert ask(inside) == b"hello\n"
        proxy.heal()
        with connect(proxy) as new:
            assert ask(new) == b"hello\n"


def test_a_delay_applies_to_both_directions_until_it_heals(proxy: Proxy) -> None:
    """The least time that an answer takes is twice the delay."""
    with connect(proxy) as connection:
        proxy.delay(0.1)
        begin = time.monotonic()
        assert ask(connection) == b"hello\n"
        assert time.monotonic() - begin >= 0.2
        proxy.heal()
        assert proxy._delay_s == 0


def test_a_black_hole_takes_everything_and_gives_it_back_when_it_heals(proxy: Proxy) -> None:
    """From who is there and from who comes meanwhile."""
    with connect(proxy) as before:
        assert ask(before) == b"hello\n"
        proxy.hold()
        with connect(proxy) as meanwhile:
            for connection in (before, meanwhile):
                connection.sendall(b"hello\n")
                connection.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
                connection.settimeout(TIMEOUT_S)
            proxy.heal()
            assert read(before, 6) == read(meanwhile, 6) == b"hello\n"


def test_a_connection_that_was_held_can_be_cut(proxy: Proxy) -> None:
    """As a firewall does that forgets it."""
    with connect(proxy) as connection:
        assert ask(connection) == b"hello\n"
        proxy.hold()
        connection.sendall(b"hello\n")
        proxy.cut()
        assert is_cut(connection)


def test_who_comes_while_the_service_is_away_is_sent_away() -> None:
    """The proxy itself goes on."""
    with Proxy(choose_port()) as proxy:
        for _ in range(2):
            with connect(proxy) as connection:
                assert is_cut(connection)


def test_it_leads_to_a_service_by_the_same_url_with_another_port() -> None:
    """Password and database stay."""
    proxy = Proxy(5432, port=6000)
    assert proxy.lead("postgresql://holdfast:5432@127.0.0.1:5432/ledger") == (
        "postgresql://holdfast:5432@127.0.0.1:6000/ledger"
    )


def test_a_proxy_that_ends_while_clients_come_leaves_no_connection_open(service: int) -> None:
    """A connection that is left open fails the test, as a ResourceWarning."""
    for _ in range(10):
        with ExitStack() as clients:
            with Proxy(service) as ending:
                for _ in range(3):
                    clients.enter_context(connect(ending))
            del ending
        gc.collect()
