"""The ledger's schema, one SQL file per step, applied by yoyo."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import psycopg
import yoyo

from campaigns.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Any number works, if every version of Holdfast uses the same one.
ADVISORY_LOCK = 4_815_162_342


def migrate(ledger_url: str) -> Sequence[str]:
    """Bring the ledger to the newest schema and return the names of the steps taken.

    Workers that start at once wait for each other. The lock is the connection's own, so a killed worker leaves
    none behind (yoyo's lock is a row, which would stay).

    Only a ledger with an older schema needs more than SELECT on yoyo's tables, which campaigns/roles.sql grants.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or the role may not bring it to the newest schema.
    """
    try:
        with psycopg.connect(ledger_url, connect_timeout=5, autocommit=True) as guard:
            guard.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
            return _apply(ledger_url)
    # Without the right to create its own tables yoyo continues until one is missing.
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable) as error:
        reason = str(error).strip().splitlines()[0]
        raise LedgerUnavailableError(
            f"HOLDFAST_LEDGER_URL: the ledger's schema is missing or old, and this role cannot migrate it: {reason}; "
            "run `holdfast ledger migrate` as its owner, then campaigns/roles.sql"
        ) from error
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise LedgerUnavailableError(f"HOLDFAST_LEDGER_URL: the ledger cannot be used: {reason}") from error


def list_steps() -> Sequence[str]:
    """Return the names of all steps of this version, the oldest first."""
    names = (each.name for each in files(__name__).iterdir())
    return sorted(name.removesuffix(".sql") for name in names if name.endswith(".sql"))


def _apply(ledger_url: str) -> Sequence[str]:
    # To yoyo the scheme names the driver; libpq takes either of its two for the same.
    backend = yoyo.get_backend("postgresql+psycopg://" + ledger_url.partition("://")[2])
    try:
        with as_file(files(__name__)) as folder:
            # yoyo takes every file of Python or SQL for a step, this module too.
            found = yoyo.read_migrations(str(folder)).filter(lambda step: step.path.endswith(".sql"))
            steps = backend.to_apply(found)
            backend.apply_migrations(steps)
        return [step.id for step in steps]
    finally:
        backend.connection.close()
