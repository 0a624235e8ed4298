from __future__ import annotations

import asyncio

import pytest

from streams.tasks import run_together


async def wait_for_ever(ended: list[str], *, misses: int = 0) -> None:
    """Wait until cancelled, and miss the first cancellations as `asyncio.wait_for` does on Python 3.11."""
    try:
        for _ in range(misses):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def fail() -> None:
    """Fail at once."""
    await asyncio.sleep(0)
    raise ValueError("it failed")


AGAIN_S = 0.001


@pytest.mark.parametrize("misses", [0, 1, 3])
async def test_when_one_fails_the_others_end_however_often_they_miss_it(misses: int) -> None:
    ended: list[str] = []
    with pytest.raises(ExceptionGroup) as raised:
        await run_together(wait_for_ever(ended, misses=misses), fail(), again_s=AGAIN_S)
    assert raised.group_contains(ValueError, match="it failed", depth=1)
    assert ended == ["ended"]


@pytest.mark.parametrize("misses", [0, 1, 3])
async def test_when_cancelled_all_end_however_often_they_miss_it(misses: int) -> None:
    ended: list[str] = []
    together = asyncio.create_task(
        run_together(wait_for_ever(ended, misses=misses), wait_for_ever(ended, misses=misses), again_s=AGAIN_S)
    )
    await asyncio.sleep(0)
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    assert ended == ["ended", "ended"]


async def test_an_error_while_ending_is_raised_and_not_lost() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("it could not be closed")

    together = asyncio.create_task(run_together(fail_when_cancelled()))
    await asyncio.sleep(0)
    together.cancel()
    with pytest.raises(ExceptionGroup, match="tasks ended with errors"):
        await together
