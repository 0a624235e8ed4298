"""Cursors of lists: where the next page begins, opaque to clients."""

from __future__ import annotations

import base64

from console.web.errors import InvalidRequestError

_LARGEST = 2**63 - 1
_REFUSAL = "cursor is none that this API has given; leave it out to begin"


def write_place(place: str) -> str:
    """Return the cursor of a place in a list, such as the last id of a page."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def read_place(cursor: str | None) -> str:
    """Return the place of a cursor, the empty text without one.

    Raises:
        InvalidRequestError: it is none that this API has given.
    """
    try:
        place = base64.b64decode((cursor or "").encode(), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise InvalidRequestError(_REFUSAL) from error
    if "\x00" in place:
        raise InvalidRequestError(_REFUSAL)
    return place


def write_cursor(number: int | None) -> str | None:
    """Return the cursor of the entry that a page ends with; None where there is no further page."""
    return None if number is None else write_place(f"n{number}")


def read_cursor(cursor: str | None) -> int | None:
    """Return the number that a cursor holds; None without one.

    Raises:
        InvalidRequestError: it is none that this API has given.
    """
    if cursor is None:
        return None
    place = read_place(cursor)
    digits = place.removeprefix("n")
    if not (place.startswith("n") and digits.isascii() and digits.isdigit() and int(digits) <= _LARGEST):
        raise InvalidRequestError(_REFUSAL)
    return int(digits)
