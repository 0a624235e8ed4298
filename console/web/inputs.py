"""Types of what requests bring, with the limits that the schema shows: no text that PostgreSQL cannot hold."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import StringConstraints

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
