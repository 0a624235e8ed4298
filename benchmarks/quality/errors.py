"""What can go wrong in the benchmark.

BenchmarkError
└── DataMissingError  a file of public data is not where it was looked for
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class BenchmarkError(Exception):
    """Anything that goes wrong in this package."""


class DataMissingError(BenchmarkError):
    """A file of public data is not where it was looked for."""


def require(path: Path) -> Path:
    """Return the path of a data file.

    Raises:
        DataMissingError: it is not there.
    """
    if not path.exists():
        raise DataMissingError(f"{path} is not there; name the folder that holds the public data by --data")
    return path
