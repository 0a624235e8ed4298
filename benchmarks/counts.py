"""Counts the work of the pipeline per event; neither the load nor the speed of the machine changes the counts.

    python -m benchmarks.counts            # per package, in the form of the budgets in tests/unit/test_cost_guard.py
    python -m benchmarks.counts segments   # per function of a package

Calls are calls of Python and C functions, including those in libraries: each is attributed to the nearest Holdfast
function on the stack, or to none if an in-memory store made it. Instructions are bytecode instructions of Holdfast's
own code, so that loops without calls are counted. Neither count sees the work inside a C function.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from benchmarks.contenders.own_code import RestlessWarehouse, batches, build_pipeline, decide
from benchmarks.workload import Size, draw_events, first_events
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType, FrameType

    from benchmarks.contenders.own_code import Record
    from streams.pipeline import Pipeline

PACKAGES = ("streams", "features", "models", "segments", "campaigns")
OTHERS = ("tests", "benchmarks")
SIZE = Size(events=10_000, customers=10_000)
LISTED = 25

Place = tuple[str, str]
"""A function: its module and its qualified name."""


class Counts:
    """Calls and instructions by the Holdfast function to which they are attributed.

    Python 3.12 inlines comprehensions and has other instructions: compare counts of one minor version only.
    """

    def __init__(self) -> None:
        self.calls: Counter[Place] = Counter()
        self.instructions: Counter[Place] = Counter()
        self._places: dict[CodeType, Place] = {}

    def of(self, name: str) -> tuple[int, int]:
        """Return the calls and the instructions of a package or a module."""
        return _sum(self.calls, name), _sum(self.instructions, name)

    def most_expensive(self, package: str) -> list[tuple[Place, int, int]]:
        """Return the functions of a package with calls and instructions, the most instructions first."""
        places = [place for place in self.instructions if _package(place[0]) == package]
        rows = [(place, self.calls[place], self.instructions[place]) for place in places]
        return sorted(rows, key=lambda row: -row[2])

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the work of this thread inside the block."""
        profile, trace = sys.getprofile(), sys.gettrace()
        gc.collect()
        gc.disable()  # its finalizers would run code for objects created outside the block
        sys.setprofile(self._note_call)
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(trace)
            sys.setprofile(profile)
            gc.enable()

    def _note_call(self, frame: FrameType, event: str, _: Any) -> None:
        # The frame is that of the called function, or of its caller if the function is written in C.
        if event in {"call", "c_call"}:
            caller: FrameType | None = frame
            while caller and not _package((place := self._place(caller))[0]):
                caller = caller.f_back
            if caller and _package(place[0]) in PACKAGES:
                self.calls[place] += 1

    def _enter(self, frame: FrameType, *_: Any) -> Any:
        place = self._place(frame)
        if _package(place[0]) not in PACKAGES:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counter = self.instructions

        def step(_frame: FrameType, event: str, _argument: Any) -> Any:
            counter[place] += event == "opcode"
            return step

        return step

    def _place(self, frame: FrameType) -> Place:
        code = frame.f_code
        if code not in self._places:
            self._places[code] = (frame.f_globals.get("__name__", ""), code.co_qualname)
        return self._places[code]


async def warm_pipeline(size: Size = SIZE) -> Pipeline:
    """Return a pipeline over in-memory stores that has decided one event of every customer."""
    pipeline = await build_pipeline(size, RestlessWarehouse(size), InMemoryFeatureCache(), InMemoryLedger())
    for batch in batches(first_events(size)):
        await decide(pipeline, batch)
    return pipeline


async def count(pipeline: Pipeline, work: Sequence[Sequence[Record]]) -> Counts:
    """Return the counts for deciding these batches."""
    counts = Counts()
    with counts.counting():
        for batch in work:
            await decide(pipeline, batch)
    return counts


async def count_work(size: Size = SIZE) -> Counts:
    """Return the counts for the benchmark's events on a warm pipeline."""
    return await count(await warm_pipeline(size), list(batches(draw_events(size))))


@click.command()
@click.argument("package", type=click.Choice(PACKAGES), required=False)
def main(package: str | None) -> None:
    """Print the counts per event, by package, or by function of one package."""
    counts, events = asyncio.run(count_work()), SIZE.total
    if package is None:
        for each in PACKAGES:
            calls, instructions = counts.of(each)
            click.echo(f'    "{each}": ({calls / events:.2f}, {instructions / events:.1f}),')
        return
    click.echo("   calls  instructions  per event")
    for (module, name), calls, instructions in counts.most_expensive(package)[:LISTED]:
        click.echo(f"{calls / events:8.2f}  {instructions / events:12.1f}  {module}.{name}")


def _sum(counted: Counter[Place], name: str) -> int:
    return sum(count for (module, _), count in counted.items() if f"{module}.".startswith(f"{name}."))


def _package(module: str) -> str:
    """Return the Holdfast package of a module, or "" for a library module."""
    package = module.partition(".")[0]
    return package if package in PACKAGES or package in OTHERS else ""


if __name__ == "__main__":
    main()
