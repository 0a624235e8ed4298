"""Types that are ready before threads read them."""

from __future__ import annotations

import subprocess
import sys

import console.web.app
from console.web.struct_types import build_struct_types

MANY_THREADS_READ_NEW_TYPES = """
import gc, sys, threading
import msgspec
from console.web.struct_types import build_struct_types

gc.set_threshold(5)
sys.setswitchinterval(1e-6)
for _ in range(1_000):
    Inner = msgspec.defstruct("Inner", [("words", dict[str, list[str]], {}), ("numbers", tuple[int, ...], ())])
    Outer = msgspec.defstruct("Outer", [("by_name", dict[str, Inner], {}), ("some", list[Inner | None], [])])
    build_struct_types()
    together = threading.Barrier(4)

    def read():
        together.wait()
        msgspec.convert({"by_name": {"a": {}}, "some": [None]}, Outer)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
"""


def test_threads_may_read_a_type_at_once() -> None:
    """Without the call the process ends by signal 11 in the first second."""
    assert subprocess.run([sys.executable, "-c", MANY_THREADS_READ_NEW_TYPES], check=False).returncode == 0


def test_msgspec_can_read_every_type_of_the_console() -> None:
    assert console.web.app.build_app
    assert build_struct_types() == []
