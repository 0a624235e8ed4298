"""Retries: an unavailable service is retried with backoff until it answers; errors with a name are passed on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from campaigns.errors import LedgerConflictError, LedgerError, LedgerUnavailableError
from features.errors import FeaturesError, WarehouseRowError, WarehouseUnavailableError
from streams.errors import BrokerUnavailableError, HoldfastStreamError, RegistryUnavailableError, SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streams.observability.health import Health

Result = TypeVar("Result")
# With the default pauses this is half a minute. A conflict of two workers is over after one or two attempts.
CONFLICTS_ALLOWED = 10
UNAVAILABLE = (
    WarehouseUnavailableError,
    LedgerUnavailableError,
    SinkUnavailableError,
    BrokerUnavailableError,
    RegistryUnavailableError,
)
# Errors with a name. Any other error of a batch may be caused by one of its records.
NAMED = (HoldfastStreamError, LedgerError, FeaturesError)

log = structlog.get_logger()


class RetryPolicy:
    """Repeats an operation until its service answers, with exponential backoff; every failure shows in health.

    Not a retry library: those give up or log, and here every attempt must reach health and none may be the last.

    Args:
        health: receives every failed attempt.
        first_pause_s: the pause after the first failure; it doubles with each one.
        longest_pause_s: the longest pause.
    """

    def __init__(self, health: Health, *, first_pause_s: float = 0.1, longest_pause_s: float = 5.0) -> None:
        self._health = health
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s

    async def __call__(self, service: str, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Return what the operation returns once its service answers."""
        pause = self._first_pause_s
        with self._health.trying(service) as retry_attempt:
            while True:
                try:
                    return await operation()
                except UNAVAILABLE as error:
                    retry_attempt.note_failure(error)
                    log.warning("service_unavailable", service=service, error=error, pause_s=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, self._longest_pause_s)

    async def after_conflicts(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Return what the operation returns, repeated with backoff after each conflict in the ledger.

        Raises:
            LedgerConflictError: `CONFLICTS_ALLOWED` attempts in a row met a conflict.
        """
        pause = self._first_pause_s
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
                    log.warning("ledger_conflict", error=error, pause_s=pause)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, self._longest_pause_s)


async def attempt(operation: Callable[[], Awaitable[Result]]) -> Result | Exception:
    """Return the result of an operation, or the error that a record may cause; every other named error is raised."""
    try:
        return await operation()
    except WarehouseRowError as error:
        return error
    except NAMED:
        raise
    except Exception as error:  # noqa: BLE001 - the one place where anything may be wrong: the data of a record
        return error
