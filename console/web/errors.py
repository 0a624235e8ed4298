"""Errors of requests, and the status that each known error has."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import psycopg

from campaigns.errors import (
    DeadLetterError,
    DefinitionChangedError,
    DefinitionExistsError,
    DefinitionMissingError,
    DefinitionsReadOnlyError,
    ErasedCustomerError,
    LaunchError,
    LedgerConflictError,
    LedgerUnavailableError,
    ReevaluationError,
    UnknownCustomerError,
    UnknownDeadLetterError,
    UnknownLaunchError,
    UnknownLeadError,
)
from console.errors import FOR_PEOPLE, JobError, UnknownJobError
from features.errors import CacheUnavailableError, UnknownWarehouseCustomerError, WarehouseUnavailableError
from intelligence.errors import MessageStoreUnavailableError, NoRecommendationsError
from models.errors import ExperimentError, NoVersionError, PromotionRefusedError, VersionConflictError
from segments.errors import UnknownSegmentError
from streams.errors import BrokerUnavailableError, RegistryUnavailableError, ReplayError, SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping


class RequestError(Exception):
    """A request that is refused.

    Attributes:
        status: of the answer.
        headers: of the answer.
    """

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})


class NotSignedInError(RequestError):
    """The request has no session and no key, or one that has ended."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, message: str) -> None:
        super().__init__(message, {"WWW-Authenticate": 'Bearer realm="holdfast"'})


class ForbiddenError(RequestError):
    """The account's role does not permit it, or the request did not come from the console's own pages."""

    status = HTTPStatus.FORBIDDEN


class NotFoundError(RequestError):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND


class ConflictError(RequestError):
    """The request contradicts what is there now."""

    status = HTTPStatus.CONFLICT


class ChangedMeanwhileError(RequestError):
    """Somebody else has changed it since it was read (If-Match)."""

    status = HTTPStatus.PRECONDITION_FAILED


class PreconditionMissingError(RequestError):
    """An edit must say what it is an edit of (If-Match)."""

    status = HTTPStatus.PRECONDITION_REQUIRED


class InvalidRequestError(RequestError):
    """A value cannot be used; the message names it."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooManyRequestsError(RequestError):
    """Come again later."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(f"{message}; try again in {retry_after_s} s", {"Retry-After": str(retry_after_s)})


_NOT_FOUND = (
    DefinitionMissingError,
    UnknownCustomerError,
    UnknownDeadLetterError,
    UnknownLeadError,
    UnknownSegmentError,
    UnknownWarehouseCustomerError,
    NoVersionError,
    DefinitionMissingError,
    UnknownLaunchError,
    UnknownJobError,
    NoRecommendationsError,
)
_CONFLICTS = (
    DeadLetterError,
    DefinitionExistsError,
    DefinitionsReadOnlyError,
    ExperimentError,
    JobError,
    LaunchError,
    LedgerConflictError,
    PromotionRefusedError,
    ReevaluationError,
    ReplayError,
    VersionConflictError,
)
_UNAVAILABLE = (
    LedgerUnavailableError,
    WarehouseUnavailableError,
    CacheUnavailableError,
    BrokerUnavailableError,
    SinkUnavailableError,
    RegistryUnavailableError,
    MessageStoreUnavailableError,
    psycopg.OperationalError,
)
_STATUSES: tuple[tuple[tuple[type[Exception], ...], HTTPStatus], ...] = (
    (_NOT_FOUND, HTTPStatus.NOT_FOUND),
    ((ErasedCustomerError,), HTTPStatus.GONE),
    ((DefinitionChangedError,), HTTPStatus.PRECONDITION_FAILED),
    (_CONFLICTS, HTTPStatus.CONFLICT),
    (_UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE),
)
_UNUSABLE_VALUES = (psycopg.DataError, UnicodeEncodeError)
"""Values that a database cannot hold: a NUL character, half of a surrogate pair, a number out of range."""
KNOWN = (RequestError, *FOR_PEOPLE, psycopg.OperationalError, *_UNUSABLE_VALUES)
"""What has a sentence for the person who asked; any other error is one of the program."""


def find_status(error: Exception) -> HTTPStatus:
    """Return the status of a known error: what a person can change in the request is 422."""
    if isinstance(error, RequestError):
        return error.status
    found = (status for errors, status in _STATUSES if isinstance(error, errors))
    return next(found, HTTPStatus.UNPROCESSABLE_ENTITY)


def find_headers(error: Exception) -> Mapping[str, str]:
    """Return the headers of a known error's answer."""
    if isinstance(error, RequestError):
        return error.headers
    return {"Retry-After": "5"} if find_status(error) is HTTPStatus.SERVICE_UNAVAILABLE else {}


def describe(error: Exception) -> str:
    """Return the sentence of a known error."""
    if isinstance(error, _UNUSABLE_VALUES):
        return f"a value cannot be stored or searched for: {str(error).strip().splitlines()[0]}"
    if isinstance(error, psycopg.OperationalError):
        return f"PostgreSQL cannot be used: {str(error).strip().splitlines()[0]}"
    return str(error)
