"""When a worker records the sizes of segments, and what it does where it cannot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from campaigns.errors import LedgerUnavailableError, SizesNotRecordedError
from streams.runtime.size_recorder import SizeRecorder
from streams.tasks import end

if TYPE_CHECKING:
    from collections.abc import Collection

FOR_EVER = 1e6


class Script:
    """Sizes that answer what a test says, and note which segments they were asked for."""

    def __init__(self, *answers: int | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[Collection[str]] = []
        self.over = asyncio.Event()

    async def record(self, segments: Collection[str]) -> int:
        """See the port."""
        self.asked.append(segments)
        if not self._answers:
            self.over.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def run(script: Script, *segments: list[str], every_s: float = 0, rest_s: float = 0) -> None:
    """Run a recorder until it has all answers and asks again; the segments in force change at each look."""
    in_force = iter([*segments, []])
    recorder = SizeRecorder(script, lambda: next(in_force), every_s=every_s, rest_s=rest_s)
    task = asyncio.create_task(recorder.run())
    await asyncio.wait_for(script.over.wait(), 60)
    await end([task])


async def test_the_segments_in_force_at_each_look_are_recorded() -> None:
    script = Script(1, 0)
    with capture_logs() as logs:
        await run(script, ["one"], ["one", "two"])
    assert script.asked == [["one"], ["one", "two"], []]
    assert [(each["event"], each["segments"]) for each in logs] == [("segment_sizes_recorded", 1)]


async def test_a_ledger_that_is_away_is_asked_again_and_not_logged_a_second_time() -> None:
    """The worker's own requests report it."""
    script = Script(LedgerUnavailableError("away"), 0)
    with capture_logs() as logs:
        await run(script, ["one"], ["one"], rest_s=FOR_EVER)
    assert (len(script.asked), logs) == (3, [])


async def test_a_count_that_would_fail_again_is_logged_and_left_for_longer() -> None:
    script = Script(SizesNotRecordedError("took too long"))
    with capture_logs() as logs:
        await run(script, ["one"], every_s=FOR_EVER)
    assert [(each["event"], each["reason"]) for each in logs] == [("segment_sizes_not_recorded", "took too long")]
