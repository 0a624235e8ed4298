from __future__ import annotations

import json
import sqlite3
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import psycopg
import pytest
from psycopg import sql

from features.array_query import write_query
from features.dbapi_warehouse import DbApiWarehouse
from features.errors import ServiceAddressError, WarehouseLayoutError, WarehouseRowError, WarehouseUnavailableError
from features.extract_warehouse import SCHEMES, ExtractWarehouse
from features.postgres_warehouse import PostgresWarehouse
from features.warehouses import opened as open_for_a_block
from tests.fakes.warehouse import InMemoryWarehouse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from features.ports import Warehouse, WarehouseConnection
    from features.table import FeatureTable

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


EXTRACT = """
CREATE TABLE features (customer_id VARCHAR, revenue DECIMAL(12, 2), country VARCHAR, vip BOOLEAN, tags VARCHAR[]);
INSERT INTO features VALUES ('ann', 12.5, 'France', true, ['a', 'b']), ('bob', NULL, NULL, false, NULL);
"""


class Decoding(sqlite3.Cursor):
    """SQLite has no truth values and no lists: a driver for another server would return them."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return list(map(decode, super().fetchall()))

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Return at most so many rows."""
        return list(map(decode, super().fetchmany(size)))


def decode(row: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(row) < 5:
        return row
    *others, vip, tags = row
    return (*others, bool(vip), tags and json.loads(tags))


class DecodingConnection(sqlite3.Connection):
    """A connection with such cursors."""

    def cursor(self, factory: Any = Decoding) -> Any:
        """Return a new cursor."""
        return super().cursor(factory)


def connect_sqlite(path: Path) -> DecodingConnection:
    connection = sqlite3.connect(path, check_same_thread=False, factory=DecodingConnection)
    connection.execute("CREATE TABLE IF NOT EXISTS features (customer_id, revenue, country, vip, tags)")
    rows = [(customer, *row.values()) for customer, row in ROWS.items()]
    written = [(*row[:-1], row[-1] and json.dumps(row[-1])) for row in rows]
    connection.executemany("INSERT INTO features VALUES (?, ?, ?, ?, ?)", written)
    return connection


def write_extract(folder: Path, scheme: str, statements: str = EXTRACT) -> str:
    """Write the table `features` as an extract, and return its URL."""
    path = folder / f"features.{scheme}"
    with duckdb.connect(path if scheme == "duckdb" else ":memory:") as connection:
        connection.execute(statements)
        if scheme != "duckdb":
            connection.execute(f"COPY features TO '{path}' (FORMAT {scheme})")
    return f"{scheme}:{path}"


@pytest.fixture(params=["memory", "postgres", "postgres, again", "parquet", "duckdb", "dbapi"])
async def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Warehouse]:
    if request.param == "memory":
        yield InMemoryWarehouse(KINDS, ROWS)
        return
    if request.param == "dbapi":
        yield DbApiWarehouse(partial(connect_sqlite, tmp_path / "features.db"), "features", KINDS)
        return
    if request.param in SCHEMES:
        extract = ExtractWarehouse(write_extract(tmp_path, request.param), "features")
        await extract.open()
        yield extract
        await extract.close()
        return
    url = request.getfixturevalue("warehouse_url")
    execute(url, TABLE)
    postgres = PostgresWarehouse(url, "dwh.features")
    await postgres.open()
    if request.param == "postgres, again":
        # After the first read it knows the columns.
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


READABLE_AS_A_WHOLE = pytest.mark.parametrize("warehouse", ["postgres", "parquet", "duckdb", "dbapi"], indirect=True)


@READABLE_AS_A_WHOLE
@pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 2)])
async def test_a_sample_has_rows_like_those_of_a_read(warehouse: WarehouseConnection, count: int, rows: int) -> None:
    sample, read = await warehouse.sample(count), await warehouse.fetch(list(ROWS))
    assert len(sample) == rows
    kinds = {name: column.dtype for name, column in sample.columns.items()}
    assert kinds == {name: column.dtype for name, column in read.columns.items()}
    all_rows = [read.row(number) for number in range(len(read))]
    assert all(sample.row(number) in all_rows for number in range(rows))


SCANNABLE = pytest.mark.parametrize("warehouse", ["memory", "postgres", "parquet", "duckdb", "dbapi"], indirect=True)


async def collect(warehouse: WarehouseConnection, columns: list[str], rows: int) -> list[FeatureTable]:
    return [table async for table in warehouse.scan(columns, rows=rows)]


@SCANNABLE
@pytest.mark.parametrize(("rows", "sizes"), [(1, [1, 1]), (2, [2]), (5, [2])])
async def test_a_scan_has_every_row_with_the_columns_that_were_asked_for(
    warehouse: WarehouseConnection, rows: int, sizes: list[int]
) -> None:
    """In tables of a bounded size, typed as those of any other read; a column that does not exist is left out."""
    tables = await collect(warehouse, ["country", "revenue", "nothing"], rows)
    assert [len(table) for table in tables] == sizes
    kinds = {name: column.dtype for name, column in tables[0].columns.items()}
    assert kinds == {"customer_id": object, "revenue": np.float64, "country": object}
    found = {customer: table.row(place) for table in tables for place, customer in enumerate(table.customer_ids)}
    expected = {each: {name: row[name] for name in ("revenue", "country")} for each, row in ROWS.items()}
    assert found == {each: {"customer_id": each, **row} for each, row in expected.items()}


@SCANNABLE
async def test_a_scan_of_no_columns_has_the_ids(warehouse: WarehouseConnection) -> None:
    tables = await collect(warehouse, [], 10)
    assert [sorted(table.customer_ids) for table in tables] == [["ann", "bob"]]
    assert [list(table.columns) for table in tables] == [["customer_id"]]


@READABLE_AS_A_WHOLE
async def test_a_scan_that_is_left_early_leaves_the_warehouse_usable(warehouse: WarehouseConnection) -> None:
    async with aclosing(warehouse.scan([], rows=1)) as tables:
        assert len(await anext(tables)) == 1
    assert len(await warehouse.fetch(["ann", "bob"])) == 2


@SCANNABLE
async def test_ids_are_listed_page_by_page_each_once(warehouse: WarehouseConnection) -> None:
    (first,) = await warehouse.list_ids(None, 1)
    rest = await warehouse.list_ids(first, 10)
    assert sorted([first, *rest]) == ["ann", "bob"]
    assert list(await warehouse.list_ids(rest[-1], 10)) == []
    assert list(await warehouse.list_ids(None, 10)) == [first, *rest]


@READABLE_AS_A_WHOLE
async def test_no_customer_has_more_than_one_row(warehouse: WarehouseConnection) -> None:
    assert await warehouse.count_duplicates() == 0


TWICE = """
CREATE TABLE features (customer_id {text}, revenue {number}, country {text}, vip BOOLEAN, tags {text});
INSERT INTO features (customer_id) VALUES ('ann'), ('bob'), ('ann'), ('eve'), ('ann'), ('bob'), (NULL), (NULL);
"""


def lend_warehouse_with_duplicates(kind: str, request: pytest.FixtureRequest, folder: Path) -> WarehouseConnection:
    if kind == "postgres":
        url = request.getfixturevalue("warehouse_url")
        execute(url, TWICE.format(text="text", number="numeric"))
        return PostgresWarehouse(url, "features")
    if kind == "dbapi":
        with sqlite3.connect(folder / "features.db") as connection:
            connection.executescript(TWICE.format(text="TEXT", number="REAL"))
        return DbApiWarehouse(partial(sqlite3.connect, folder / "features.db", check_same_thread=False), "features", {})
    return ExtractWarehouse(write_extract(folder, kind, TWICE.format(text="VARCHAR", number="DOUBLE")), "features")


@pytest.mark.parametrize("kind", ["postgres", "csv", "parquet", "duckdb", "dbapi"])
async def test_customers_with_more_than_one_row_are_counted(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A row without an id belongs to nobody."""
    async with open_for_a_block(lend_warehouse_with_duplicates(kind, request, tmp_path)) as warehouse:
        assert await warehouse.count_duplicates() == 2


@pytest.mark.parametrize("kind", ["postgres", "csv", "parquet", "duckdb", "dbapi"])
async def test_a_scan_leaves_out_rows_without_an_id_and_no_others(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with open_for_a_block(lend_warehouse_with_duplicates(kind, request, tmp_path)) as warehouse:
        tables, listed = await collect(warehouse, [], 4), await warehouse.list_ids(None, 10)
    assert sorted(each for table in tables for each in table.customer_ids) == ["ann"] * 3 + ["bob"] * 2 + ["eve"]
    assert list(listed) == ["ann"] * 3 + ["bob"] * 2 + ["eve"]


@pytest.mark.parametrize(
    "value", ["12.50", "0.1", "1e400", "-1e400", "NaN", "1e-400", "Infinity", "9007199254740993", "123456789.123456789"]
)
@pytest.mark.parametrize("other", ["country", "tags"])
async def test_a_scan_has_the_numbers_of_any_other_read(url: str, value: str, other: str) -> None:
    """With columns of numbers and texts, and with one of JSON, which are read in another way."""
    execute(url, "ALTER TABLE dwh.features ALTER COLUMN revenue TYPE numeric")
    execute(url, f"UPDATE dwh.features SET revenue = '{value}' WHERE customer_id = 'ann'")  # noqa: S608
    async with open_for_a_block(PostgresWarehouse(url, "dwh.features")) as warehouse:
        (scanned,) = await collect(warehouse, ["revenue", "vip", other], 10)
        read = await warehouse.fetch(list(scanned.customer_ids))
    places = {customer: place for place, customer in enumerate(read.customer_ids)}
    expected = read.take([places[customer] for customer in scanned.customer_ids])
    rows = [{name: row[name] for name in scanned.columns} for row in map(expected.row, range(2))]
    assert [scanned.row(place) for place in range(2)] == rows


async def test_a_scan_of_an_empty_table_yields_nothing(url: str) -> None:
    execute(url, "DELETE FROM dwh.features")
    async with open_for_a_block(PostgresWarehouse(url, "dwh.features")) as warehouse:
        assert await collect(warehouse, ["revenue"], 10) == []


async def test_a_scan_reads_no_private_column_and_any_name(url: str) -> None:
    """A role may lack SELECT on the private ones; a name may have what psycopg takes for a placeholder."""
    execute(url, 'ALTER TABLE dwh.features ADD COLUMN "100 % \'{s}" integer DEFAULT 4')
    private = PostgresWarehouse(url, "dwh.features", private_columns=["country"])
    async with open_for_a_block(private) as warehouse:
        (table,) = await collect(warehouse, ["country", "100 % '{s}"], 10)
    assert {name: cells.tolist() for name, cells in table.columns.items()} == {
        "customer_id": ["ann", "bob"],
        "100 % '{s}": [4.0, 4.0],
    }


async def test_a_scan_of_a_row_that_the_server_cannot_compute_says_so(url: str) -> None:
    execute(url, "CREATE VIEW broken AS SELECT customer_id, 1 / (revenue - 12.5) AS share FROM dwh.features")
    async with open_for_a_block(PostgresWarehouse(url, "broken")) as warehouse:
        with pytest.raises(WarehouseRowError, match="division by zero"):
            await collect(warehouse, ["share"], 10)


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
        ("varchar(40)", "17", ["017", "17 "]),
        ("char(10)", "c17", ["c1", "c17 ", "C17"]),
        ("text", "ключ 🦊", ["ключ"]),
        ("text", "x" * 200, ["x" * 199]),
        ("text", "Zoë", ["Zoe\u0308"]),
    ],
)
async def test_ids_of_other_types_are_compared_as_what_they_are(
    url: str, kind: str, stored: str, odd: list[str]
) -> None:
    execute(url, f"CREATE TABLE other (id {kind} PRIMARY KEY); INSERT INTO other VALUES ('{stored}')")  # noqa: S608
    warehouse = await opened(url, "other", id_column="id")
    first, again = [await warehouse.fetch([stored, *odd]) for _ in range(2)]
    listed, beyond = await warehouse.list_ids(None, 5), await warehouse.list_ids(stored, 5)
    await warehouse.close()
    assert first.customer_ids == again.customer_ids == (stored,)
    assert (list(listed), list(beyond)) == (list(first.customer_ids), [])


@pytest.mark.parametrize(
    ("kind", "value"), [("numeric", "17"), ("double precision", "17"), ("date", "2011-12-09"), ("boolean", "true")]
)
async def test_ids_that_no_text_can_be_compared_with_are_refused_at_the_start(url: str, kind: str, value: str) -> None:
    execute(url, f"CREATE TABLE other (id {kind} PRIMARY KEY); INSERT INTO other VALUES ('{value}')")  # noqa: S608
    with pytest.raises(WarehouseLayoutError, match=rf"other: id is {kind}, .* as id::text"):
        await opened(url, "other", id_column="id")


async def test_ids_of_an_enum_are_refused_at_the_start(url: str) -> None:
    execute(url, "CREATE TYPE who AS ENUM ('ann'); CREATE TABLE other (id who PRIMARY KEY)")
    with pytest.raises(WarehouseLayoutError, match=r"other: id is who, .* as id::text"):
        await opened(url, "other", id_column="id")


@pytest.mark.parametrize(
    ("create", "named"),
    [
        ('"Own Schema"."Own.Table"', '"Own Schema"."Own.Table"'),
        ('dwh."Features"', "dwh.Features"),
        ('dwh."say ""yes"""', 'dwh."say ""yes"""'),
        ('dwh."order"', "dwh.order"),
    ],
)
async def test_a_table_may_have_any_name(url: str, create: str, named: str) -> None:
    """Its parts in double quotes as in SQL, or as they are where they have no dot."""
    execute(url, f'CREATE SCHEMA "Own Schema"; CREATE TABLE {create} AS SELECT * FROM dwh.features')  # noqa: S608
    warehouse = await opened(url, named)
    table = await warehouse.fetch(["ann"])
    await warehouse.close()
    assert table.customer_ids == ("ann",)


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
    table, unreadable = query.table(*arrays)
    assert (table.row(0), unreadable) == ({"customer_id": "bob", **ROWS["bob"]}, {})


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        ("dwh.nothing", {}, "no table dwh.nothing .*set DWH_CUSTOMER_FEATURES_TABLE"),
        ("nowhere.features", {}, "no table nowhere.features"),
        ("DWH.Features", {}, r"no table DWH.Features \(.*\); there is dwh.features: PostgreSQL folds names"),
        ("dwh.features", {"id_column": "client"}, "has no column client"),
        ('dwh.features"; DROP TABLE x; --', {}, "no table"),
    ],
)
async def test_a_wrong_table_or_column_is_named(url: str, table: str, options: Any, said: str) -> None:
    with pytest.raises(WarehouseLayoutError, match=said):
        await opened(url, table, **options)


async def test_every_row_of_a_customer_is_returned(url: str) -> None:
    """By rows and by arrays; the store handles duplicates."""
    execute(url, "CREATE VIEW twice AS SELECT * FROM dwh.features UNION ALL SELECT * FROM dwh.features LIMIT 3")
    warehouse = await opened(url, "twice")
    tables = [await warehouse.fetch(["ann", "bob"]) for _ in range(2)]
    await warehouse.close()
    assert [sorted(table.customer_ids) for table in tables] == [["ann", "ann", "bob"]] * 2


# Type, odd value, result, whether it counts as unreadable. The neighbour has a valid value.
ODD_VALUES: list[tuple[str, str, str, Any, bool]] = [
    ("date", "infinity", "2011-12-09", None, True),
    ("date", "-infinity", "2011-12-09", None, True),
    ("date", "12000-01-01", "2011-12-09", None, True),
    ("date", "0044-03-15 BC", "2011-12-09", None, True),
    ("timestamp", "infinity", "2011-12-09 12:50", None, True),
    ("timestamp", "0044-03-15 BC", "2011-12-09 12:50", None, True),
    ("timestamptz", "-infinity", "2011-12-09 12:50Z", None, True),
    ("timestamptz", "294276-12-31 23:59:59Z", "2011-12-09 12:50Z", None, True),
    ("time", "24:00", "12:50", None, True),
    ("timetz", "24:00+01", "12:50+01", None, True),
    ("interval", "9000000 years", "2 days", None, True),
    ("interval", "5 mons", "2 days", 12_960_000.0, False),
    ("daterange", "[2011-12-09,infinity)", "[2011-12-09,2012-01-01)", None, True),
    ("daterange", "[2011-12-09,)", "[2011-12-09,2012-01-01)", "[2011-12-09, None)", False),
    ("tstzrange", "[2011-12-09,infinity)", "[2011-12-09,2012-01-01)", None, True),
    ("datemultirange", "{[2011-12-09,infinity)}", "{[2011-12-09,2012-01-01)}", None, True),
    ("date[]", "{infinity,2011-12-09}", "{2011-12-09}", [None, "2011-12-09"], True),
    ("timestamptz[]", "{infinity}", "{2011-12-09Z}", [None], True),
    ("daterange[]", '{"[2011-12-09,infinity)"}', '{"[2011-12-09,2012-01-01)"}', [None], True),
    ("bigint", "9007199254740991", "1", 2.0**53 - 1, False),
    ("bigint", "9007199254740993", "1", None, True),
    ("bigint", "-9223372036854775808", "1", None, True),
    ("numeric(38)", "12345678901234567890123456789012345678", "1", None, True),
    ("double precision", "1e300", "1.5", 1e300, False),
    ("numeric", "1e400", "1.5", np.inf, False),
    ("numeric", "-1e400", "1.5", -np.inf, False),
    ("numeric", "1e-400", "1.5", 0.0, False),
    ("numeric", "NaN", "1.5", None, False),
    ("numeric[]", "{1e400,NaN}", "{1.5}", [np.inf, None], False),
    ("double precision", "NaN", "1.5", None, False),
    ("double precision", "-Infinity", "1.5", -np.inf, False),
    ("double precision[]", "{NaN}", "{1.5}", [None], False),
    ("jsonb", "1e400", "{}", np.inf, False),
    ("jsonb", '{"a": -1e5000}', "{}", {"a": -np.inf}, False),
    ("jsonb", "[12345678901234567890123]", "{}", [12345678901234567890123.0], False),
    ("json", "1e400", "{}", np.inf, False),
    ("json", '{"a": "x\\u0000y"}', "{}", None, True),
    ("json", '{"x\\u0000y": 1}', "{}", None, True),
    ("json", '"\\ud800"', "{}", None, True),
    ("json", '["\\ud800", 1234567890123456789012]', "{}", None, True),
    ("jsonb", '"a\\\\u0000b"', "{}", "a\\u0000b", False),
    ("json", "[" * 3000 + "]" * 3000, "{}", None, True),
    ("jsonb[]", '{"[1e5000]"}', "{null}", [[np.inf]], False),
    ("mood", "glad", "sad", "glad", False),
    ("money", "12.5", "1.5", None, True),
    ("point", "(1,2)", "(3,4)", None, True),
    ("bytea", "\\xff00", "\\x61", None, True),
]


_SCALARS = {"date", "time", "interval", "timestamp", "timestamptz", "json", "jsonb"}
SCALAR_ODD_VALUES = [odd for odd in ODD_VALUES if odd[0] in _SCALARS]


@pytest.mark.parametrize("odd", [ODD_VALUES, SCALAR_ODD_VALUES], ids=["every type", "types that arrays hold"])
async def test_an_odd_value_costs_no_more_than_itself(url: str, odd: list[tuple[str, str, str, Any, bool]]) -> None:
    """The same by rows and by arrays; neighbours keep the values that they have when read alone."""
    add_odd_columns(url, odd)
    alone, both = await opened(url), await opened(url)
    bob = [(await alone.fetch(["bob"])).row(0) for _ in range(2)]
    tables = [await both.fetch(["ann", "bob"]) for _ in range(2)]
    await alone.close()
    await both.close()
    first, again = ({each: table.row(place) for place, each in enumerate(table.customer_ids)} for table in tables)
    assert first == again
    assert first["bob"] == bob[0] == bob[1]
    assert first["ann"] == {"customer_id": "ann", **ROWS["ann"], **{f"odd_{n}": each[3] for n, each in enumerate(odd)}}
    counts = both.unreadable_values.counts - alone.unreadable_values.counts
    assert counts == {f"odd_{n}": 2 for n, each in enumerate(odd) if each[4]}


def add_odd_columns(url: str, odd: list[tuple[str, str, str, Any, bool]]) -> None:
    """Add columns odd_0, odd_1, ...; ann has the odd values and bob the valid ones."""
    execute(url, "CREATE TYPE mood AS ENUM ('sad', 'glad')")
    with psycopg.connect(url) as connection:
        for number, (kind, value, sound, *_) in enumerate(odd):
            name = sql.Identifier(f"odd_{number}")
            connection.execute(
                sql.SQL("ALTER TABLE dwh.features ADD COLUMN {} {}").format(name, sql.SQL(kind))  # type: ignore[arg-type]
            )
            update = sql.SQL("UPDATE dwh.features SET {} = {} WHERE customer_id = {}")
            for customer, text in (("ann", value), ("bob", sound)):
                connection.execute(update.format(name, sql.Literal(text), sql.Literal(customer)))


async def test_scalar_odd_values_are_read_by_arrays(url: str) -> None:
    """One statement per read: an odd value causes no second one and does not end the reading by arrays."""
    add_odd_columns(url, SCALAR_ODD_VALUES)
    warehouse = await opened(url)
    await warehouse.fetch(["ann"])
    known = warehouse._arrays
    assert known is not None
    warehouse._read_rows = None  # type: ignore[assignment, method-assign]
    assert (await warehouse.fetch(["ann"])).row(0)["odd_0"] is None
    await warehouse.close()
    assert warehouse._arrays is known


async def test_a_number_beyond_double_does_not_end_the_reading_by_arrays(url: str) -> None:
    """Only the batch that contains it is read by rows."""
    execute(url, "ALTER TABLE dwh.features ALTER COLUMN revenue TYPE numeric")
    execute(url, "UPDATE dwh.features SET revenue = 1e400 WHERE customer_id = 'ann'")
    warehouse = await opened(url)
    for _ in range(2):
        assert (await warehouse.fetch(["ann"])).row(0)["revenue"] == np.inf
    assert warehouse._arrays is not None
    await warehouse.close()


@pytest.mark.parametrize(
    "expression",
    [
        "1 / (CASE customer_id WHEN 'ann' THEN 0 ELSE 1 END)",
        "(CASE customer_id WHEN 'ann' THEN 'x' ELSE '1' END)::integer",
        "(SELECT 1 FROM dwh.features g WHERE g.customer_id = 'bob' OR f.customer_id = 'ann')",
    ],
)
async def test_a_row_that_the_server_cannot_compute_costs_no_other_row(url: str, expression: str) -> None:
    """The error has its own type, so that the worker can isolate the record; also after the layout is known."""
    execute(url, f"CREATE VIEW failing AS SELECT f.*, {expression} AS more FROM dwh.features f")  # noqa: S608
    warehouse = await opened(url, "failing")
    for _ in range(2):
        with pytest.raises(WarehouseRowError, match="cannot compute a row"):
            await warehouse.fetch(["ann", "bob"])
        assert (await warehouse.fetch(["bob"])).row(0)["more"] == 1
    await warehouse.close()


@pytest.mark.parametrize(
    ("definition", "value", "expected", "unreadable"),
    [
        ("text", "2011-12-09", "2011-12-09", 0),
        ("text", " 2011-12-09 12:50+01 ", " 2011-12-09 12:50+01 ", 0),
        ("text", "last summer", None, 2),
        ("integer", "2011", None, 2),
        ("date", "infinity", None, 2),
        ("time", "12:50", None, 2),
        ("date", "2011-12-09", "2011-12-09", 0),
        ("timestamp", "2011-12-09 12:50", "2011-12-09T12:50:00", 0),
    ],
)
async def test_a_time_that_cannot_be_read_is_null_and_counted(
    url: str, definition: str, value: str, expected: str | None, unreadable: int
) -> None:
    """Whatever the type of `customer_since`."""
    execute(url, f"ALTER TABLE dwh.features ADD COLUMN customer_since {definition}")
    execute(url, f"UPDATE dwh.features SET customer_since = '{value}' WHERE customer_id = 'ann'")  # noqa: S608
    warehouse = await opened(url)
    for _ in range(2):
        table = await warehouse.fetch(["ann", "bob"])
        rows = {each: table.row(place) for place, each in enumerate(table.customer_ids)}
        assert (rows["ann"]["customer_since"], rows["bob"]["customer_since"]) == (expected, None)
    await warehouse.close()
    assert warehouse.unreadable_values.counts["customer_since"] == unreadable


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
    with pytest.raises(WarehouseUnavailableError, match="no connection to the warehouse"):
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
