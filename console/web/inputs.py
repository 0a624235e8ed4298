"""Types of what requests bring, with the limits that the schema shows: no text that PostgreSQL cannot hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Query, Request
from pydantic import StringConstraints

if TYPE_CHECKING:
    from collections.abc import Mapping

_STORABLE = r"^[^\x00]*$"
MOST_IN_A_PAGE = 500

Name = Annotated[str, StringConstraints(pattern=_STORABLE, max_length=300)]
"""An id, a key or a name."""
GivenReason = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00]*[^\s\x00][^\x00]*$", min_length=1, max_length=1_000, strip_whitespace=True),
]
"""A reason that must be given."""
PageSize = Annotated[int, Query(ge=1, le=MOST_IN_A_PAGE, description="The most entries of the answer.")]
Cursor = Annotated[
    str | None, Query(max_length=100, description="`next_cursor` of the answer before; none for the first page.")
]
Since = Annotated[datetime | None, Query(description="Of this time or later; without a zone it is UTC.")]


def in_utc(at: datetime) -> datetime:
    """Return a time; without a zone it is UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _read_form(request: Request) -> Mapping[str, str]:
    return {name: text for name, text in (await request.form()).items() if isinstance(text, str)}


FormFields = Annotated["Mapping[str, str]", Depends(_read_form)]
"""The texts of a form whose fields are not known beforehand, by name."""
