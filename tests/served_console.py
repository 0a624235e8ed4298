"""A console that is served while a test runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from console.web.serving import serve_meanwhile
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def serve_console(environment: Mapping[str, str], **settings: str) -> Iterator[str]:
    """Serve a console on a free port meanwhile, and yield its address."""
    with serve_meanwhile(load_settings(**{**environment, "HOLDFAST_CONSOLE_PORT": "0", **settings})) as address:
        yield address
