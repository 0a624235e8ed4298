"""Parts of a look at a deployment, read at the same time, none of which holds up or fails the others."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import psycopg

from console.errors import FOR_PEOPLE

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN = (*FOR_PEOPLE, psycopg.Error)
"""What a part may fail with; any other error is one of the program, and is raised."""

Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Part(Generic[Value_co]):
    """What was read, or why it was not.

    Attributes:
        value: None where it could not be read.
        problem: why, in a sentence; empty otherwise.
    """

    value: Value_co | None
    problem: str = ""


class Reading(Generic[Value_co]):
    """Reads a part in a thread of its own, beginning at once.

    The thread is a daemon: a service that never answers delays neither the other parts nor the end of the process.

    Args:
        read: returns the part.
    """

    def __init__(self, read: Callable[[], Value_co]) -> None:
        self._read = read
        self._part: Part[Value_co] | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def has_ended(self, until: float) -> bool:
        """Return whether the part was read, or failed; wait for it until a time, seconds of the monotonic clock."""
        self._thread.join(max(until - time.monotonic(), 0.0))
        return not self._thread.is_alive()

    def wait(self, timeout_s: float, until: float) -> Part[Value_co]:
        """Return the part, or why it was not read.

        Args:
            timeout_s: the longest wait, for the sentence.
            until: when it ends, seconds of the monotonic clock.
        """
        if not self.has_ended(until):
            return Part(None, f"no answer within {timeout_s:g} s")
        if self._failure is not None:
            raise self._failure
        assert self._part is not None  # noqa: S101 - it has ended without a failure
        return self._part

    def _run(self) -> None:
        try:
            self._part = attempt(self._read)
        except BaseException as error:  # noqa: BLE001 - raised where the part is waited for
            self._failure = error


def attempt(read: Callable[[], Value_co]) -> Part[Value_co]:
    """Return a part, or why it cannot be read."""
    try:
        return Part(read())
    except KNOWN as error:
        return Part(None, describe_error(error))


def describe_error(error: Exception) -> str:
    """Return the first line of an error, and what to do where a table of the ledger is missing."""
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return "the ledger's tables are missing or of an older version; run: holdfast ledger migrate"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
