"""What is done about failures: a service that is away is waited for; conditions with names are passed on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from campaigns.errors import LedgerConflictError, LedgerError, LedgerUnavailableError
from features.errors import FeaturesError, WarehouseUnavailableError
from streams.errors import HoldfastStreamError, SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streams.observability.health import Health

Result = TypeVar("Result")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
# With the pauses above this is half a minute. A conflict of two workers is over after one or two attempts.
CONFLICTS_ALLOWED = 10
UNAVAILABLE = (WarehouseUnavailableError, LedgerUnavailableError, SinkUnavailableError)
# Conditions with names of their own: whatever else a batch fails with may lie in one of its records.
NAMED = (HoldfastStreamError, LedgerError, FeaturesError)

log = structlog.get_logger()


class RetryPolicy:
    """Repeats an operation until its service is back, with backoff, visible in health.

    Args:
        health: told of every attempt that failed.
    """

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, service: str, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Return what the operation returns once its service answers."""
        pause = FIRST_PAUSE_S
        with self._health.trying(service) as retry_attempt:
            while True:
                try:
                    return await operation()
                except UNAVAILABLE as error:
                    retry_attempt.note_failure(error)
                    log.warning("service_away", service=service, error=str(error), pause_s=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_S)

    async def after_conflicts(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Return what the operation returns, repeated with backoff after each conflict in the ledger.

        Raises:
            LedgerConflictError: `CONFLICTS_ALLOWED` attempts in a row met a conflict.
        """
        pause = FIRST_PAUSE_S
        with self._health.trying("ledger_conflict") as retry_attempt:
            while True:
                try:
                    return await operation()
                except LedgerConflictError as error:
                    retry_attempt.note_failure(error)
                    if retry_attempt.attempts >= CONFLICTS_ALLOWED:
                        raise LedgerConflictError(
                            f"{error}; the same happened at {CONFLICTS_ALLOWED} attempts in a row: "
                            "check that no other worker folds messages of the same customers"
                        ) from error
                    log.warning("ledger_conflict", error=str(error), pause_s=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_S)


async def attempt(operation: Callable[[], Awaitable[Result]]) -> Result | Exception:
    """Return what an operation returns, or the error it ends with, unless that is a condition with a name."""
    try:
        return await operation()
    except NAMED:
        raise
    except Exception as error:  # noqa: BLE001 - the one place where anything may be wrong: the data of a record
        return error
