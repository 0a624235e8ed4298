"""Cursors of lists: where the next page begins, opaque to clients."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from console.web.errors import InvalidRequestError


def write_cursor(place: str) -> str:
    """Return the cursor of a place."""
    return urlsafe_b64encode(place.encode()).decode()


def read_cursor(cursor: str | None) -> str:
    """Return the place of a cursor, the empty text without one.

    Raises:
        InvalidRequestError: it is none that this API has given.
    """
    try:
        return urlsafe_b64decode((cursor or "").encode("ascii")).decode()
    except ValueError as error:
        raise InvalidRequestError("cursor is none that this API has given; leave it out to begin") from error
