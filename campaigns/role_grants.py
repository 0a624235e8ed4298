"""The rights that campaigns/roles.sql grants to a worker's role, read from that file."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import NamedTuple

_GRANT = re.compile(r"\s*GRANT\s+(?P<rights>.+?)\s+ON\s+(?!SCHEMA)(?P<tables>.+?)\s+TO\s", re.DOTALL)
_RIGHT = re.compile(r"([A-Z]+)(?:\s*\(([^)]*)\))?")
_CONDITION = r"\if"
"""What follows it is granted to other roles."""


class Grant(NamedTuple):
    """A right on a table, or on one of its columns."""

    table: str
    right: str
    column: str | None = None

    def __str__(self) -> str:
        place = f" ({self.column})" if self.column else ""
        return f"{self.right}{place} on {self.table}"


def read_grants() -> list[Grant]:
    """Return what a worker's role is granted."""
    script = files("campaigns").joinpath("roles.sql").read_text(encoding="utf-8").partition(_CONDITION)[0]
    statements = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [
        Grant(table.strip(), right, column.strip() or None)
        for found in filter(None, map(_GRANT.match, statements.split(";")))
        for table in found["tables"].split(",")
        for right, columns in _RIGHT.findall(found["rights"])
        for column in columns.split(",")
    ]
