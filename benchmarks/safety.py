"""Measures what safety costs: the whole job as shipped, and without Kafka transactions and PostgreSQL's fsync.

Both run by turns, each on services of its own. What remains in both: one PostgreSQL transaction for each batch, and
events that are acknowledged last.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmarks import unsafe_worker
from benchmarks.place import open_place
from benchmarks.whole_job import measure
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.place import Place
    from benchmarks.workload import Size

WITHOUT_FSYNC = MappingProxyType({"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
WARM_ROUNDS = 2
"""Unmeasured: Kafka's JVM compiles."""


def measure_safety(size: Size, rounds: int) -> dict[str, Any]:
    """Return the median rates of both, events/s, and the share of the unsafe rate that the safe one reaches."""
    with ExitStack() as stack:
        safe, unsafe = _open(stack, size, {}), _open(stack, size, WITHOUT_FSYNC)
        rates: dict[str, list[int]] = {"safe": [], "unsafe": []}
        for number in range(WARM_ROUNDS + rounds):
            measured = {"safe": measure(safe), "unsafe": measure(unsafe, command=unsafe_worker.COMMAND)}
            for name, figures in measured.items() if number >= WARM_ROUNDS else ():
                rates[name].append(figures["events_per_s"])
    medians = {f"{name}_per_s": median(each) for name, each in rates.items()}
    return {**medians, "share": round(medians["safe_per_s"] / medians["unsafe_per_s"], 2)}


def _open(stack: ExitStack, size: Size, postgres_settings: Mapping[str, str]) -> Place:
    """Return a place with full topics on services with these settings."""
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-")))
    services = stack.enter_context(EmbeddedServices(data, postgres_settings=postgres_settings))
    place = stack.enter_context(open_place(services, size))
    place.fill()
    return place
