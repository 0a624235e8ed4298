"""Questions of many requests are answered in one go."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from console.web.together import MOST, Together

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT_S = 30


class Desk:
    """Doubles numbers, not before it may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked: list[list[int]] = []

    def double(self, numbers: Sequence[int]) -> list[int]:
        """Return the doubles, when it may."""
        self.asked.append(list(numbers))
        assert self.may_answer.wait(WAIT_S)
        if 0 in numbers:
            raise ValueError("0 has no double here")
        return [2 * each for each in numbers]


async def ask_while_busy(together: Together[int, int], numbers: Sequence[int]) -> list[asyncio.Task[int]]:
    """Ask with the first number, and with the others while that one is being answered."""
    first, *others = numbers
    tasks = [asyncio.create_task(together.ask(first))]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(together.ask(each)) for each in others]
    await asyncio.sleep(0)
    return tasks


async def test_who_asks_meanwhile_is_answered_together_each_with_their_own() -> None:
    desk = Desk()
    tasks = await ask_while_busy(Together(desk.double), [1, 2, 3, 2])
    desk.may_answer.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 4]
    assert desk.asked == [[1], [2, 3, 2]]


async def test_no_more_than_the_most_are_answered_at_once() -> None:
    desk = Desk()
    tasks = await ask_while_busy(Together(desk.double), range(1, MOST + 3))
    desk.may_answer.set()
    await asyncio.gather(*tasks)
    assert list(map(len, desk.asked)) == [1, MOST, 1]


async def test_an_error_is_of_those_who_asked_together_only() -> None:
    desk = Desk()
    together = Together(desk.double)
    tasks = await ask_while_busy(together, [1, 0, 3])
    desk.may_answer.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[0] == 2
    assert [str(each) for each in found[1:]] == ["0 has no double here"] * 2
    assert await together.ask(4) == 8


async def test_one_who_leaves_takes_no_answer_from_others() -> None:
    desk = Desk()
    tasks = await ask_while_busy(Together(desk.double), [1, 2, 3])
    tasks[1].cancel()
    await asyncio.sleep(0)
    desk.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert [await tasks[0], await tasks[2]] == [2, 6]
