from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

from features.array_query import write_query
from features.errors import ServiceAddressError, WarehouseLayoutError, WarehouseUnavailableError
from features.postgres_warehouse import PostgresWarehouse
from tests.fakes.warehouse import InMemoryWarehouse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from features.ports import Warehouse

KINDS: dict[str, Any] = {"revenue": "number", "country": "other", "vip": "boolean", "tags": "other"}
ROWS = {
    "ann": {"revenue": 12.5, "country": "France", "vip": True, "tags": ["a", "b"]},
    "bob": {"revenue": None, "country": None, "vip": False, "tags": None},
}
TABLE = """
CREATE SCHEMA dwh;
CREATE TABLE dwh.features
    (customer_id text PRIMARY KEY, revenue numeric(12, 2), country text, vip boolean, tags jsonb);
INSERT INTO dwh.features VALUES ('ann', 12.5, 'France', true, '["a", "b"]'), ('bob', NULL, NULL, false, NULL);
"""


def execute(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)  # type: ignore[call-overload]


@pytest.fixture(params=["memory", "postgres", "postgres, again"])
async def warehouse(request: pytest.FixtureRequest) -> AsyncIterator[Warehouse]:
    if request.param == "memory":
        yield InMemoryWarehouse(KINDS, ROWS)
        return
    url = request.getfixturevalue("warehouse_url")
    execute(url, TABLE)
    postgres = PostgresWarehouse(url, "dwh.features")
    await postgres.open()
    if request.param == "postgres, again":
        # It knows the columns then.
        await postgres.fetch([])
    yield postgres
    await postgres.close()


async def test_each_known_customer_has_one_row(warehouse: Warehouse) -> None:
    table = await warehouse.fetch(["bob", "nobody", "ann"])
    assert sorted(table.customer_ids) == ["ann", "bob"]


async def test_values_come_as_json_values(warehouse: Warehouse) -> None:
    table = await warehouse.fetch(["ann"])
    assert table.row(0) == {"customer_id": "ann", **ROWS["ann"]}


async def test_nulls_come_as_null(warehouse: Warehouse) -> None:
    table = await warehouse.fetch(["bob"])
    assert table.row(0) == {"customer_id": "bob", **ROWS["bob"]}


@pytest.mark.parametrize("customers", [["ann"], ["bob"], ["ann", "bob"], ["nobody"], []])
async def test_a_batch_has_the_same_types_whatever_is_null(warehouse: Warehouse, customers: list[str]) -> None:
    table = await warehouse.fetch(customers)
    kinds = {name: column.dtype for name, column in table.columns.items()}
    assert kinds == {"customer_id": object, "revenue": np.float64, "country": object, "vip": bool, "tags": object}


async def test_ids_that_cannot_exist_are_simply_unknown(warehouse: Warehouse) -> None:
    table = await warehouse.fetch(["a\0nn", "", "x' OR '1'='1"])
    assert len(table) == 0


@pytest.fixture
async def url(warehouse_url: str) -> str:
    execute(warehouse_url, TABLE)
    return warehouse_url


async def opened(url: str, table: str = "dwh.features", **options: Any) -> PostgresWarehouse:
    warehouse = PostgresWarehouse(url, table, **options)
    await warehouse.open()
    return warehouse


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("smallint DEFAULT 3", 3.0),
        ("bigint DEFAULT 3", 3.0),
        ("numeric DEFAULT 'Infinity'", np.inf),
        ("numeric DEFAULT '1e400'", np.inf),
        ("boolean", None),
        ("real DEFAULT 0.5", 0.5),
        ("date DEFAULT '2011-12-09'", "2011-12-09"),
        ("date", None),
        ("time DEFAULT '12:50:00.5'", "12:50:00.500000"),
        ("timestamp DEFAULT '0987-12-09 12:50:00'", "0987-12-09T12:50:00"),
        ("timestamptz DEFAULT '2011-12-09 12:50:00+01'", "2011-12-09T11:50:00+00:00"),
        ("timestamptz DEFAULT '2011-12-09 12:50:00.000001Z'", "2011-12-09T12:50:00.000001+00:00"),
        ("interval DEFAULT '2 days'", 172_800.0),
        ("uuid DEFAULT '6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11'", "6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11"),
        ("""jsonb DEFAULT '{"a": [1, null]}'""", {"a": [1, None]}),
        ("numeric[] DEFAULT '{1.5,2}'", [1.5, 2.0]),
        ("text[]", None),
        ("information_schema.cardinal_number DEFAULT 3", 3.0),
        ("varchar(9) DEFAULT 'x'", "x"),
        ("char(3) DEFAULT 'x'", "x  "),
    ],
)
async def test_every_type_becomes_a_json_value(url: str, definition: str, value: Any) -> None:
    execute(url, f"ALTER TABLE dwh.features ADD COLUMN more {definition}")
    warehouse = await opened(url)
    first, again = [await warehouse.fetch(["ann"]) for _ in range(2)]
    await warehouse.close()
    assert first.row(0)["more"] == again.row(0)["more"] == value


@pytest.mark.parametrize(
    ("kind", "stored", "odd"),
    [
        ("integer", "17", ["017", "17.0", "seventeen", "9" * 30, " 17"]),
        ("uuid", "6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11", ["6F0D3C5E-5D0C-5E0C-9D0A-2F1F6F9B7A11", "x"]),
        ("varchar(40)", "17", ["017"]),
    ],
)
async def test_ids_of_other_types_are_compared_as_what_they_are(
    url: str, kind: str, stored: str, odd: list[str]
) -> None:
    execute(url, f"CREATE TABLE other (id {kind} PRIMARY KEY); INSERT INTO other VALUES ('{stored}')")  # noqa: S608
    warehouse = await opened(url, "other", id_column="id")
    first, again = [await warehouse.fetch([stored, *odd]) for _ in range(2)]
    await warehouse.close()
    assert first.customer_ids == again.customer_ids == (stored,)


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ("ADD COLUMN tenure integer DEFAULT 4", {"tenure": 4.0}),
        ('ADD COLUMN "100 % \'{s}" integer DEFAULT 4', {"100 % '{s}": 4.0}),
        ("DROP COLUMN country", {"country": None}),
        ("RENAME COLUMN country TO land", {"country": None, "land": "France"}),
        ("ALTER COLUMN revenue TYPE text", {"revenue": "12.50"}),
        ("ALTER COLUMN country TYPE text[] USING ARRAY[country]", {"country": ["France"]}),
    ],
)
async def test_a_table_whose_columns_change_is_read_on(url: str, change: str, facts: dict[str, Any]) -> None:
    warehouse = await opened(url)
    for _ in range(7):
        await warehouse.fetch(["ann"])
    execute(url, f"ALTER TABLE dwh.features {change}")
    tables = [await warehouse.fetch(["ann"]) for _ in range(3)]
    await warehouse.close()
    assert [{name: table.row(0).get(name) for name in facts} for table in tables] == [facts] * 3


async def test_columns_that_come_back_are_read_on(url: str) -> None:
    warehouse = await opened(url)
    for change in ("ADD COLUMN tenure integer DEFAULT 4", "DROP COLUMN tenure") * 2:
        await warehouse.fetch(["ann"])
        execute(url, f"ALTER TABLE dwh.features {change}")
        assert ("tenure" in (await warehouse.fetch(["ann"])).columns) == change.startswith("ADD")
    await warehouse.close()


async def test_arrays_hold_what_rows_hold_and_tell_the_layout(url: str) -> None:
    name, where = sql.Identifier("dwh", "features"), sql.SQL("customer_id = ANY(%s::text[])")
    with psycopg.connect(url) as connection, connection.cursor(binary=True) as cursor:
        described = cursor.execute("SELECT * FROM dwh.features").description or ()
        columns = {each.name: each.type_code for each in described}
        query = write_query(columns, "customer_id", name, where, connection)
        assert query is not None
        layout, *arrays = cursor.execute(query.statement, [["bob"]]).fetchone() or ()
    assert layout == query.layout
    assert query.table(*arrays).row(0) == {"customer_id": "bob", **ROWS["bob"]}


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        ("dwh.nothing", {}, "no table dwh.nothing .*set DWH_CUSTOMER_FEATURES_TABLE"),
        ("nowhere.features", {}, "no table nowhere.features"),
        ("dwh.features", {"id_column": "client"}, "has no column client"),
        ('dwh.features"; DROP TABLE x; --', {}, "no table"),
    ],
)
async def test_a_wrong_table_or_column_is_named(url: str, table: str, options: Any, said: str) -> None:
    with pytest.raises(WarehouseLayoutError, match=said):
        await opened(url, table, **options)


async def test_two_rows_of_one_customer_are_refused(url: str) -> None:
    execute(url, "CREATE VIEW twice AS SELECT * FROM dwh.features UNION ALL SELECT * FROM dwh.features")
    warehouse = await opened(url, "twice")
    for _ in range(2):
        with pytest.raises(WarehouseLayoutError, match="more than one row for customer 'ann'"):
            await warehouse.fetch(["ann"])
    await warehouse.close()


async def test_a_role_without_select_is_told_what_to_grant(url: str) -> None:
    name = "reader_" + url.rpartition("_")[2]
    execute(url, f"CREATE ROLE {name} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA dwh TO {name}")
    with pytest.raises(WarehouseLayoutError, match="grant SELECT"):
        await opened(psycopg.conninfo.make_conninfo(url, user=name, password="reader"))  # noqa: S106
    execute(url, f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_a_role_with_select_alone_is_enough(url: str) -> None:
    name = "reader_" + url.rpartition("_")[2]
    execute(url, f"CREATE ROLE {name} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA dwh TO {name}")
    execute(url, f"GRANT SELECT ON dwh.features TO {name}")
    warehouse = await opened(psycopg.conninfo.make_conninfo(url, user=name, password="reader"))  # noqa: S106
    assert len(await warehouse.fetch(["ann"])) == 1
    await warehouse.close()
    execute(url, f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_a_query_that_takes_too_long_is_given_up(url: str) -> None:
    execute(url, "CREATE VIEW slow AS SELECT f.*, pg_sleep(60)::text AS nap FROM dwh.features f")
    warehouse = await opened(url, "slow", statement_seconds=0.05)
    with pytest.raises(WarehouseUnavailableError, match="statement timeout"):
        await warehouse.fetch(["ann"])
    await warehouse.close()


async def test_the_session_cannot_write(url: str) -> None:
    execute(
        url,
        "CREATE FUNCTION dwh.leave_trace() RETURNS text LANGUAGE sql AS $$ DELETE FROM dwh.features RETURNING 'x' $$",
    )
    execute(url, "CREATE VIEW writing AS SELECT *, dwh.leave_trace() AS trace FROM dwh.features")
    warehouse = await opened(url, "writing")
    with pytest.raises(WarehouseLayoutError, match="read-only"):
        await warehouse.fetch(["ann"])
    await warehouse.close()


async def test_a_server_that_is_away_is_said_to_be() -> None:
    with pytest.raises(WarehouseUnavailableError, match="does not answer"):
        await opened("postgresql://127.0.0.1:1/none")


async def test_lost_connections_are_an_outage_and_then_replaced(url: str) -> None:
    warehouse = await opened(url, connections=1)
    await warehouse.fetch(["ann"])
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()",
    )
    with pytest.raises(WarehouseUnavailableError):
        await warehouse.fetch(["ann"])
    assert len(await warehouse.fetch(["ann"])) == 1
    await warehouse.close()


def test_a_url_that_cannot_be_understood_is_refused_without_quoting_it() -> None:
    with pytest.raises(ServiceAddressError) as refused:
        PostgresWarehouse("postgresql//user:secret@host", "t")
    assert "secret" not in str(refused.value)
