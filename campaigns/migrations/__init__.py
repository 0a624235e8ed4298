"""The ledger's schema, one SQL file per step, applied by yoyo."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import psycopg
import yoyo

from campaigns.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Any number serves, so long as every version of Holdfast uses the same one.
ADVISORY_LOCK = 4_815_162_342


def migrate(ledger_url: str) -> Sequence[str]:
    """Bring the ledger to the newest schema and return the names of the steps taken.

    Workers that start at once wait for each other. The lock is the connection's own, so a killed worker leaves
    none behind (yoyo's lock is a row, which would stay).

    Raises:
        LedgerUnavailableError: the ledger cannot be reached.
    """
    try:
        with psycopg.connect(ledger_url, connect_timeout=5, autocommit=True) as guard:
            guard.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
            return _apply(ledger_url)
    except psycopg.OperationalError as error:
        raise LedgerUnavailableError(f"the ledger cannot be reached: {error}") from error


def _apply(ledger_url: str) -> Sequence[str]:
    backend = yoyo.get_backend(ledger_url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        with as_file(files(__name__)) as folder:
            steps = backend.to_apply(yoyo.read_migrations(str(folder)))
            backend.apply_migrations(steps)
        return [step.id for step in steps]
    finally:
        backend.connection.close()
