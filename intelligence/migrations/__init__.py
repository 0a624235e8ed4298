"""The schema `intelligence` of the message store, one SQL file per step.

Steps are recorded in the schema itself, not by yoyo: the store may share a database with the ledger, whose steps yoyo
records in tables of the schema `public`.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as pg

from intelligence.errors import MessageStoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Any number, if every version of Holdfast uses the same one.
ADVISORY_LOCK = 481_630
LEAST_PGVECTOR = (0, 8)
"""The first version whose index goes on searching where filters leave too few rows."""


def migrate(store_url: str) -> Sequence[str]:
    """Bring the message store to the newest schema and return the names of the steps taken.

    Raises:
        MessageStoreUnavailableError: the store cannot be reached, has no pgvector, or the role may not migrate it.
    """
    try:
        with psycopg.connect(store_url, connect_timeout=5) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
            connection.execute("CREATE SCHEMA IF NOT EXISTS intelligence")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS intelligence.schema_step (name text PRIMARY KEY, applied_at timestamptz "
                "NOT NULL DEFAULT now())"
            )
            taken = {name for (name,) in connection.execute("SELECT name FROM intelligence.schema_step")}
            steps = [name for name in list_steps() if name not in taken]
            for name in steps:
                connection.execute(files(__name__).joinpath(f"{name}.sql").read_bytes())
                connection.execute("INSERT INTO intelligence.schema_step (name) VALUES (%s)", [name])
            _check_pgvector(connection)
            return steps
    except pg.FeatureNotSupported as error:
        raise MessageStoreUnavailableError(
            "HOLDFAST_INTELLIGENCE_URL: this PostgreSQL has no extension `vector`; install pgvector 0.8 or later on "
            "its server (package postgresql-NN-pgvector), or name another database"
        ) from error
    except pg.InsufficientPrivilege as error:
        raise MessageStoreUnavailableError(
            f"HOLDFAST_INTELLIGENCE_URL: this role may not create the message store: {_first_line(error)}; run "
            "`holdfast messages migrate` as the database's owner, and where it may not either, CREATE EXTENSION "
            "vector as a superuser first"
        ) from error
    except psycopg.OperationalError as error:
        raise MessageStoreUnavailableError(
            f"HOLDFAST_INTELLIGENCE_URL: the message store cannot be used: {_first_line(error)}"
        ) from error


def list_steps() -> Sequence[str]:
    """Return the names of all steps of this version, the oldest first."""
    names = (each.name for each in files(__name__).iterdir())
    return sorted(name.removesuffix(".sql") for name in names if name.endswith(".sql"))


def _check_pgvector(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    rows = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchall()
    version = str(rows[0][0]) if rows else "none"
    if not rows or tuple(map(int, version.split(".")[:2])) < LEAST_PGVECTOR:
        raise MessageStoreUnavailableError(
            f"HOLDFAST_INTELLIGENCE_URL: pgvector is of version {version}; install 0.8 or later, then run ALTER "
            "EXTENSION vector UPDATE"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
