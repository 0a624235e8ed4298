"""The rights of the role that reads a PostgreSQL warehouse, for `holdfast doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from features.postgres_warehouse import split_name

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import psycopg

WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
_RIGHTS = """
SELECT rolname::text, rolsuper, c.relowner = r.oid,
       ARRAY (SELECT w FROM unnest(%(writes)s::text[]) AS w WHERE has_table_privilege(c.oid, w)),
       ARRAY (SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attname = ANY (%(private)s::text[])
                 AND has_column_privilege(c.oid, attnum, 'SELECT') ORDER BY attname)
  FROM pg_class c, pg_roles r WHERE c.oid = %(table)s::regclass AND r.rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class WarehouseRole:
    """What a role may do with the view.

    Attributes:
        name: of the role.
        excessive: what it may do and needs not, in words.
        readable_private: the private columns that it may read.
    """

    name: str
    excessive: Sequence[str]
    readable_private: Sequence[str]


def inspect_role(
    connection: psycopg.Connection[tuple[Any, ...]], table: str, private_columns: Collection[str]
) -> WarehouseRole:
    """Return the rights of the connected role.

    Args:
        connection: to the warehouse.
        table: the table or view, as in DWH_CUSTOMER_FEATURES_TABLE.
        private_columns: as in HOLDFAST_PRIVATE_COLUMNS.

    Raises:
        psycopg.Error: there is no such table, or the server cannot be reached.
    """
    values = {
        "writes": list(WRITES),
        "private": list(private_columns),
        "table": sql.Identifier(*split_name(table)).as_string(connection),
    }
    ((name, is_superuser, owns, writes, private),) = connection.execute(_RIGHTS, values).fetchall()
    if is_superuser:
        return WarehouseRole(name, ["is a superuser"], [])
    excessive = [f"owns {table}"] if owns else [f"may {', '.join(writes)} on {table}"] if writes else []
    return WarehouseRole(name, excessive, private)
