"""What is done about failures: a service that is away is waited for; conditions with names are passed on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from campaigns.errors import LedgerError, LedgerUnavailableError
from features.errors import FeaturesError, WarehouseRowError, WarehouseUnavailableError
from streams.errors import HoldfastStreamError, SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streams.observability.health import Health

Result = TypeVar("Result")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
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
