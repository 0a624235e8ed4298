"""A warehouse in a file: what each value becomes, a file that changes, and what is wrong with a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from features.errors import ServiceAddressError, WarehouseLayoutError, WarehouseUnavailableError
from features.extract_warehouse import ExtractWarehouse
from features.postgres_warehouse import PostgresWarehouse
from features.warehouses import choose_warehouse, opened

if TYPE_CHECKING:
    from pathlib import Path


def warehouse(url: str, table: str = "features", **options: Any) -> ExtractWarehouse:
    return ExtractWarehouse(url, table, **options)


async def read(url: str, *customers: str, **options: Any) -> list[dict[str, Any]]:
    async with opened(warehouse(url, **options)) as found:
        table = await found.fetch(customers)
        return [table.row(place) for place in range(len(table))]


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"csv:{path}"


def write_database(folder: Path, query: str) -> str:
    """Write the rows of a query as the table `features` of a DuckDB database, and return its URL."""
    path = folder / "x.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(f"CREATE TABLE features AS {query}")
    return f"duckdb:{path}"


async def test_a_csv_file_is_read_by_its_header(tmp_path: Path) -> None:
    """Ids stay as they are written; the kind of a column follows from all its values."""
    url = write(
        tmp_path / "x.csv", "customer_id,plan,spend,active,since", "007,gold,12.5,true,2020-05-01", "8,,,false,"
    )
    assert await read(url, "007") == [
        {"customer_id": "007", "plan": "gold", "spend": 12.5, "active": True, "since": "2020-05-01"}
    ]
    assert await read(url, "8", "7") == [
        {"customer_id": "8", "plan": None, "spend": None, "active": False, "since": None}
    ]


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("3::UTINYINT", 3.0),
        ("3::HUGEINT", 3.0),
        ("9007199254740991::BIGINT", 2.0**53 - 1),
        ("9007199254740993::BIGINT", None),
        ("12345678901234567890123456789012345678::DECIMAL(38, 0)", None),
        ("1e300::DOUBLE", 1e300),
        ("'Infinity'::DOUBLE", float("inf")),
        ("'NaN'::DOUBLE", None),
        ("1.25::DECIMAL(9, 2)", 1.25),
        ("NULL::BOOLEAN", None),
        ("DATE '2011-12-09'", "2011-12-09"),
        ("TIME '12:50:00.5'", "12:50:00.500000"),
        ("TIMESTAMP '2011-12-09 12:50:00'", "2011-12-09T12:50:00"),
        ("TIMESTAMPTZ '2011-12-09 12:50:00+01'", "2011-12-09T11:50:00+00:00"),
        ("INTERVAL 2 DAYS", 172_800.0),
        ("'6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11'::UUID", "6f0d3c5e-5d0c-5e0c-9d0a-2f1f6f9b7a11"),
        ("[1.5, 2]", [1.5, 2.0]),
        ("{'a': DATE '2011-12-09', 'b': NULL}", {"a": "2011-12-09", "b": None}),
    ],
)
async def test_values_become_what_they_become_from_postgresql(tmp_path: Path, definition: str, value: Any) -> None:
    path = tmp_path / "x.parquet"
    duckdb.sql(f"COPY (SELECT 'ann' AS customer_id, {definition} AS more) TO '{path}' (FORMAT parquet)")
    (row,) = await read(f"parquet:{path}", "ann")
    assert row["more"] == value


@pytest.mark.parametrize("column", ["17850::BIGINT", "17850::DOUBLE", "'17850'"])
async def test_ids_of_any_type_are_compared_as_text(tmp_path: Path, column: str) -> None:
    path = tmp_path / "x.parquet"
    duckdb.sql(f"COPY (SELECT {column} AS \"client no\") TO '{path}' (FORMAT parquet)")
    async with opened(warehouse(f"parquet:{path}", id_column="client no")) as found:
        assert (await found.fetch(["17850", "017850"])).customer_ids == ("17850",)


async def test_a_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    """Also one of another layout: the next read has its columns."""
    path = tmp_path / "x.csv"
    async with opened(warehouse(write(path, "customer_id,spend", "ann,1"))) as found:
        assert (await found.fetch(["ann"])).row(0) == {"customer_id": "ann", "spend": 1.0}
        write(tmp_path / "new", "customer_id,plan", "ann,gold")
        (tmp_path / "new").replace(path)
        assert (await found.fetch(["ann"])).row(0) == {"customer_id": "ann", "plan": "gold"}


async def test_several_files_are_one_extract(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "customer_id,spend", "ann,1")
    write(tmp_path / "2.csv", "customer_id,spend", "bob,2")
    assert {row["customer_id"] for row in await read(f"csv:{tmp_path}/*.csv", "ann", "bob")} == {"ann", "bob"}


async def test_private_columns_are_not_read(tmp_path: Path) -> None:
    url = write(tmp_path / "x.csv", "customer_id,spend,email", "ann,1,a@b.c")
    async with opened(warehouse(url, private_columns=["email", "phone"])) as found:
        assert (await found.fetch(["ann"])).row(0) == {"customer_id": "ann", "spend": 1.0}
        assert found.unknown_private_columns == ("phone",)


async def test_an_unreadable_time_is_null_and_counted(tmp_path: Path) -> None:
    url = write(tmp_path / "x.csv", "customer_id,customer_since", "ann,soon", "bob,2020-01-01")
    async with opened(warehouse(url)) as found:
        table = await found.fetch(["ann", "bob"])
        assert sorted(table.columns["customer_since"].tolist(), key=str) == ["2020-01-01", None]
        assert found.unreadable_values.counts == {"customer_since": 1}


@pytest.mark.parametrize(
    ("url", "lines", "error", "said"),
    [
        ("csv:{folder}/none.csv", (), WarehouseLayoutError, "HOLDFAST_WAREHOUSE_URL: there is no file .*none.csv"),
        (
            "csv:{folder}/x.csv",
            ("client,spend", "ann,1"),
            WarehouseLayoutError,
            "DWH_CUSTOMER_ID_COLUMN, one of: client",
        ),
        ("parquet:{folder}/x.csv", ("a",), WarehouseUnavailableError, "x.csv cannot be read: .*"),
        ("duckdb:{folder}/x.csv", ("a",), WarehouseUnavailableError, "x.csv cannot be read: .*"),
    ],
)
async def test_what_is_wrong_with_a_file_is_one_sentence(
    tmp_path: Path, url: str, lines: tuple[str, ...], error: type[Exception], said: str
) -> None:
    if lines:
        write(tmp_path / "x.csv", *lines)
    with pytest.raises(error, match=said) as raised:
        await warehouse(url.format(folder=tmp_path)).open()
    assert "\n" not in str(raised.value)


async def test_a_missing_table_of_a_database_names_the_setting(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute("CREATE SCHEMA dwh; CREATE TABLE dwh.customers AS SELECT 'ann' AS customer_id")
    url = f"duckdb:{tmp_path}/x.duckdb"
    with pytest.raises(WarehouseLayoutError, match="set DWH_CUSTOMER_FEATURES_TABLE"):
        await warehouse(url, "nothing").open()
    assert await read(url, "ann", table="dwh.customers") == [{"customer_id": "ann"}]


async def test_without_duckdb_the_sentence_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(WarehouseLayoutError, match="make install"):
        await warehouse(write(tmp_path / "x.csv", "customer_id", "ann")).open()


@pytest.mark.parametrize("scheme", ["csv", "parquet", "duckdb", "postgresql", "postgres"])
def test_the_adapter_follows_from_the_scheme(scheme: str) -> None:
    url = f"{scheme}:x" if scheme in ("csv", "parquet", "duckdb") else f"{scheme}://127.0.0.1/x"
    found = choose_warehouse(url, "t", id_column="id", private_columns=())
    assert type(found) is (PostgresWarehouse if scheme.startswith("postgres") else ExtractWarehouse)


def test_a_url_without_a_path_is_refused() -> None:
    with pytest.raises(ServiceAddressError, match=r"write csv:customers.csv"):
        warehouse("csv:")


@pytest.mark.parametrize(
    ("definition", "unreadable"),
    [
        ("DATE 'infinity'", 1),
        ("TIMESTAMP '-infinity'", 1),
        ("DATE '12000-01-01'", 1),
        ("TIMESTAMPTZ '12000-01-01 00:00:00+00'", 1),
        ("DATE '0044-03-15 (BC)'", 1),
        ("TIME '24:00:00'", 1),
        ("INTERVAL 9000000 YEARS", 1),
        ("'\\xff'::BLOB", 1),
        ("NULL::DATE", 0),
    ],
)
async def test_a_value_that_cannot_be_read_is_null_and_counted(
    tmp_path: Path, definition: str, unreadable: int
) -> None:
    """A file has no largest date that stands for infinity; neighbours keep their values."""
    rows = f"(VALUES ('ann', {definition}), ('bob', NULL)) t (customer_id, more)"
    url = write_database(tmp_path, f"FROM {rows}")
    async with opened(warehouse(url)) as found:
        table = await found.fetch(["ann", "bob"])
        assert table.columns["more"].tolist() == [None, None]
        assert found.unreadable_values.counts == ({"more": 1} if unreadable else {})


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("DATE '9999-12-31'", "9999-12-31"),
        ("INTERVAL 1 YEAR", 365 * 86_400.0),
        ("INTERVAL 5 MONTHS", 150 * 86_400.0),
        ("'{\"a\": [1, null]}'::JSON", {"a": [1, None]}),
        ("[1, 2]::INTEGER[2]", [1, 2]),
        ("'gold'::ENUM('gold')", "gold"),
        ("TIMESTAMP_NS '2011-12-09 12:50:00.123456789'", "2011-12-09T12:50:00.123456"),
    ],
)
async def test_values_of_a_database_become_json_values(tmp_path: Path, definition: str, value: Any) -> None:
    (row,) = await read(write_database(tmp_path, f"SELECT 'ann' AS customer_id, {definition} AS more"), "ann")
    assert row["more"] == value


async def test_a_view_of_a_database_is_computed_at_every_read(tmp_path: Path) -> None:
    """A view with the present date would otherwise keep the day of the worker's start. No lock stays either."""
    url = write_database(tmp_path, "SELECT 'ann' AS customer_id, 1 AS orders")
    async with opened(warehouse(url)) as found:
        for orders in (1, 2):
            assert (await found.fetch(["ann"])).row(0)["orders"] == orders
            with duckdb.connect(url.removeprefix("duckdb:")) as writer:
                writer.execute("UPDATE features SET orders = orders + 1")


async def test_a_file_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """An export that replaces it does not end the worker, and rows of the old file are not used meanwhile."""
    path = tmp_path / "x.csv"
    async with opened(warehouse(write(path, "customer_id,spend", "ann,1"))) as found:
        path.unlink()
        with pytest.raises(WarehouseUnavailableError, match=r"x\.csv is away"):
            await found.fetch(["ann"])
        path.write_text("", encoding="utf-8")
        with pytest.raises(WarehouseUnavailableError, match=r"x\.csv is empty"):
            await found.fetch(["ann"])
        write(path, "customer_id,spend", "ann,2")
        assert (await found.fetch(["ann"])).row(0)["spend"] == 2.0


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (b"bob,secret\n", "x.csv cannot be read: line 4: Expected Number of Columns: 3 Found: 2"),
        (b"bob,1,2,secret\n", "x.csv cannot be read: line 4: Expected Number of Columns: 3 Found: 4"),
        ("bob,1,sécret\n".encode("latin-1"), "x.csv cannot be read: line 4: Invalid unicode"),
    ],
)
async def test_a_wrong_line_is_named_and_never_left_out(tmp_path: Path, last: bytes, said: str) -> None:
    """Without the line itself, which has a customer's data."""
    path = tmp_path / "x.csv"
    path.write_bytes(b"customer_id,a,b\nann,1,2\ncid,1,2\n" + last)
    with pytest.raises(WarehouseUnavailableError, match=said) as raised:
        await warehouse(f"csv:{path}").open()
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_the_header_gives_the_delimiter(tmp_path: Path, delimiter: str) -> None:
    """Also of a file whose columns are all text, and behind a byte order mark."""
    lines = (
        delimiter.join(each) for each in (("\ufeffcustomer_id", '"a, b; c"', "plan"), ("ann", "x", '"gold\nplus"'))
    )
    assert await read(write(tmp_path / "x.csv", *lines), "ann") == [
        {"customer_id": "ann", "a, b; c": "x", "plan": "gold\nplus"}
    ]


@pytest.mark.parametrize(("stored", "customers"), [("'17.0'", {"17.0"}), ("17.0::DOUBLE", {"17"})])
async def test_only_a_number_loses_its_fraction(tmp_path: Path, stored: str, customers: set[str]) -> None:
    """Texts that differ are different customers."""
    url = write_database(tmp_path, f"SELECT {stored} AS customer_id")
    async with opened(warehouse(url)) as found:
        assert set((await found.fetch(["17", "17.0"])).customer_ids) == customers


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["true", "FALSE", ""], [True, False, None]),
        (["Yes", "No"], ["Yes", "No"]),
        (["F", "F"], ["F", "F"]),
        (["1", " 2.5", "-.5", "1e3", "  "], [1.0, 2.5, -0.5, 1000.0, None]),
        (["01234", "5"], ["01234", "5"]),
        (["0", "0.5"], [0.0, 0.5]),
        (["1", "n/a"], ["1", "n/a"]),
        (["NaN", "1"], ["NaN", "1"]),
        (['"1,5"', "2"], ["1,5", "2"]),
        (["01/02/2020", "03/04/2020"], ["01/02/2020", "03/04/2020"]),
        (["2020-05-01", ""], ["2020-05-01", None]),
        (["2020-05-01 10:00", "2020-05-01T10:00:00.5"], ["2020-05-01T10:00:00", "2020-05-01T10:00:00.500000"]),
        (["2020-05-01 10:00+02:00", "2020-05-01T10:00Z"], ["2020-05-01T08:00:00+00:00", "2020-05-01T10:00:00+00:00"]),
        (["", ""], [None, None]),
        ([".", "1"], [".", "1"]),
        (["9007199254740993", "1"], ["9007199254740993", "1"]),
        (["-9007199254740992", ""], ["-9007199254740992", None]),
        (["9007199254740991", "1e300"], [2.0**53 - 1, 1e300]),
    ],
)
async def test_a_csv_column_is_what_all_its_cells_are(tmp_path: Path, cells: list[str], values: list[Any]) -> None:
    """Nothing is guessed: what PostgreSQL would hold as text is text."""
    ids = [f"c{number}" for number in range(len(cells))]
    url = write(tmp_path / "x.csv", "customer_id,more", *map("{},{}".format, ids, cells))
    assert [row["more"] for row in await read(url, *ids)] == values


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("customer_id,a,b", "customer_id,b,a", r"2\.csv has other columns than .*1\.csv"),
        ("customer_id,Plan,plan", "customer_id,Plan,plan", "has columns 'Plan' and 'plan'; rename one of them"),
        ("customer_id,a,a", "customer_id,a,a", "has columns 'a' and 'a'; rename one of them"),
    ],
)
async def test_columns_that_could_be_mixed_up_are_refused(tmp_path: Path, first: str, second: str, said: str) -> None:
    for name, header in (("1.csv", first), ("2.csv", second)):
        write(tmp_path / name, header, f"{name},1,2")
    with pytest.raises(WarehouseLayoutError, match=said):
        await warehouse(f"csv:{tmp_path}/*.csv").open()
