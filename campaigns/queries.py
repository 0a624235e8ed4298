"""The named statements of queries.sql."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_queries(package: str = "campaigns", file: str = "queries.sql") -> dict[str, str]:
    """Return each statement of a package's SQL file by its name."""
    parts = _NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
    return {name: sql.strip().rstrip(";") for name, sql in zip(parts[1::2], parts[2::2], strict=True)}


QUERIES = load_queries()
