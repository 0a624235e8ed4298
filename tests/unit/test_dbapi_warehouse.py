"""A warehouse through a driver of DB-API 2.0, with the driver of SQLite."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from features.dbapi_warehouse import DbApiWarehouse
from features.errors import WarehouseLayoutError, WarehouseUnavailableError
from features.warehouses import opened

if TYPE_CHECKING:
    from pathlib import Path

KINDS: Any = {"spend": "number", "consent": "boolean", "customer_since": "other"}


def warehouse(path: Path, *rows: tuple[Any, ...], **options: Any) -> DbApiWarehouse:
    """Return a warehouse on a table of these rows."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE features (customer_id, spend, consent, customer_since)")
        connection.executemany("INSERT INTO features VALUES (?, ?, ?, ?)", rows)
    connection.close()
    connect = partial(sqlite3.connect, path, check_same_thread=False)
    named = {"errors": (sqlite3.ProgrammingError,), "layout_errors": (sqlite3.OperationalError,), **options}
    return DbApiWarehouse(connect, "features", KINDS, **named)


@pytest.mark.parametrize(
    ("row", "facts", "unreadable"),
    [
        ((12.5, 1, "2020-01-01"), (12.5, True, "2020-01-01"), {}),
        ((None, None, None), (None, None, None), {}),
        (("12.5", 0, None), (12.5, False, None), {}),
        (("many", "no", "soon"), (None, None, None), {"spend": 1, "consent": 1, "customer_since": 1}),
        ((1, "false", None), (1.0, None, None), {"consent": 1}),
        ((2**53 + 1, 1, None), (None, True, None), {"spend": 1}),
        ((1e300, 1, None), (1e300, True, None), {}),
        ((1, 2, None), (1.0, None, None), {"consent": 1}),
        ((1, b"\x01", None), (1.0, None, None), {"consent": 1}),
    ],
)
async def test_a_value_of_another_kind_is_null_and_counted(
    tmp_path: Path, row: tuple[Any, ...], facts: tuple[Any, ...], unreadable: dict[str, int]
) -> None:
    """Text in a column of truth values is never consent, and costs no other customer."""
    async with opened(warehouse(tmp_path / "x", ("ann", *row), ("bob", 1, 1, None))) as found:
        table = await found.fetch(["ann", "bob"])
        rows = {each["customer_id"]: each for each in map(table.row, range(2))}
        assert rows["ann"] == {"customer_id": "ann", **dict(zip(KINDS, facts, strict=True))}
        assert rows["bob"]["consent"] is True
        assert found.unreadable_values.counts == unreadable


async def test_more_customers_than_parameters_are_read_in_parts(tmp_path: Path) -> None:
    ids = [f"c{number}" for number in range(7)]
    async with opened(warehouse(tmp_path / "x", *((each, 1, 1, None) for each in ids), most_ids=3)) as found:
        assert sorted((await found.fetch(ids)).customer_ids) == ids


async def test_a_missing_table_is_refused_at_the_start(tmp_path: Path) -> None:
    connect = partial(sqlite3.connect, tmp_path / "x", check_same_thread=False)
    empty = DbApiWarehouse(connect, "features", KINDS, layout_errors=(sqlite3.OperationalError,))
    with pytest.raises(WarehouseLayoutError, match="features cannot be read: no such table"):
        await empty.open()
    await empty.close()


async def test_a_lost_connection_is_made_again(tmp_path: Path) -> None:
    found = warehouse(tmp_path / "x", ("ann", 1, 1, None))
    await found.open()
    assert found._connection is not None
    found._connection.close()
    with pytest.raises(WarehouseUnavailableError, match="Cannot operate on a closed database"):
        await found.fetch(["ann"])
    assert (await found.fetch(["ann"])).customer_ids == ("ann",)
    await found.close()
