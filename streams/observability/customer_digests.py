"""Logs without customers: ids become digests, and errors are described without the values that they quote.

A digest is HMAC-SHA256 under a key of the ledger, so that ids cannot be found by trying all of them without the ledger.
Operators compute the digest of a customer with `holdfast customers digest`.

An error's text may quote a row: PostgreSQL writes `Key (customer_id)=(17) already exists`. So the text is logged of
errors only that are known to quote none; of others the type, and what names the place.
"""

from __future__ import annotations

import hashlib
import hmac
import sys
import traceback
from typing import TYPE_CHECKING, Any

import psycopg

from campaigns.errors import CampaignError
from features.errors import FeaturesError, WarehouseRowError
from models.errors import ModelError
from segments.errors import SegmentsError
from streams.errors import HoldfastStreamError

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

DIGEST_CHARACTERS = 12
CUSTOMER_FIELDS = ("customer_id", "key")
"""The fields of a log line that hold a customer's id; the digest takes their place, as `customer`."""
_WITHOUT_VALUES = (HoldfastStreamError, CampaignError, FeaturesError, ModelError, SegmentsError, OSError)
_DRIVERS = ("aiokafka", "confluent_kafka", "cimpl", "kafka")
# The classes of SQLSTATE whose messages quote values: data exceptions, violated constraints, and errors that a function
# of the view raises.
_QUOTING = ("22", "23", "P0")


def digest_customer(customer_id: str, key: str) -> str:
    """Return the digest of a customer's id, in hexadecimal.

    Args:
        customer_id: the id.
        key: of the ledger.
    """
    return hmac.new(key.encode(), customer_id.encode(), hashlib.sha256).hexdigest()[:DIGEST_CHARACTERS]


def describe_error(error: BaseException) -> str:
    """Return an error in one line, without values of customers."""
    name = type(error).__name__
    if isinstance(error, psycopg.Error):
        return _describe_postgres(error)
    if isinstance(error, WarehouseRowError):
        return f"{name}: {describe_error(error.__cause__)}" if error.__cause__ else name
    if isinstance(error, _WITHOUT_VALUES) or type(error).__module__.startswith(_DRIVERS):
        return next(iter(str(error).splitlines()), "") or name
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name}{f' at {_place(frames[-1])}' if frames else ''}"


def _describe_postgres(error: psycopg.Error) -> str:
    diagnosis = error.diag
    named = {
        "constraint": diagnosis.constraint_name,
        "table": diagnosis.table_name,
        "column": diagnosis.column_name,
        "type": diagnosis.datatype_name,
    }
    about = "".join(f", {what} {name}" for what, name in named.items() if name)
    code = error.sqlstate
    if code is None or code.startswith(_QUOTING):
        return f"{type(error).__name__}{f' ({code})' if code else ''}{about}"
    return f"{type(error).__name__} ({code}): {diagnosis.message_primary}{about}"


def describe_trace(error: BaseException) -> list[dict[str, Any]]:
    """Return an error, what caused it, and the members of a group: type, description and frames, without locals."""
    described: list[dict[str, Any]] = []
    rest, seen = [error], set[int]()
    while rest:
        each = rest.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        frames = [_place(frame) for frame in traceback.extract_tb(each.__traceback__)]
        described.append({"type": type(each).__name__, "error": describe_error(each), "frames": frames})
        members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        context = None if each.__suppress_context__ else each.__context__
        rest += [found for found in (*members, each.__cause__ or context) if found is not None]
    return described


def _place(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


class CustomerHider:
    """A processor of structlog that leaves no customer in a log line.

    Attributes:
        key: of the digests; while it is None, ids are left out.
    """

    def __init__(self) -> None:
        self.key: str | None = None

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Replace ids by digests, errors by their descriptions, and the traceback by one without values."""
        error = _find_error(event.pop("exc_info", None))
        if error is not None:
            event["exception"] = describe_trace(error)
        for field in CUSTOMER_FIELDS:
            if field in event:
                customer_id = event.pop(field)
                if self.key is not None and customer_id is not None:
                    event["customer"] = digest_customer(str(customer_id), self.key)
        for field, value in event.items():
            if isinstance(value, BaseException):
                event[field] = describe_error(value)
        return event


HIDER = CustomerHider()
"""The processor of this process: logging is global, and so is the key."""


def _find_error(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        error: BaseException | None = exc_info[1]
        return error
    return sys.exc_info()[1] if exc_info else None
