"""The named statements of the SQL files: queries.sql has those of workers and of most commands."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_queries(package: str = "campaigns", file: str = "queries.sql") -> dict[str, str]:
    """Return each statement of a package's SQL file by its name."""
    parts = _NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
    return {name: sql.strip().rstrip(";") for name, sql in zip(parts[1::2], parts[2::2], strict=True)}


QUERIES = {
    **load_queries(),
    **load_queries(file="inspection_queries.sql"),
    **load_queries(file="overview_queries.sql"),
    **load_queries(file="retention_queries.sql"),
    **load_queries(file="timeline_queries.sql"),
}
