"""CSV files as people have them: each row is used or accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from intelligence.analytics.catalogue import read_catalogue, read_purchases
from intelligence.analytics.csv_rows import read_number
from intelligence.analytics.errors import InputFileError
from intelligence.analytics.labels import CHURNED, LIFETIME_VALUE, PURCHASED, read_labels
from intelligence.analytics.mentions import read_mentions

if TYPE_CHECKING:
    from pathlib import Path

    from intelligence.analytics.csv_rows import Account


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def problems(account: Account) -> dict[str, list[int]]:
    return {each["what"]: each["lines"] for each in account.as_json()["problems"]}


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("client_id,concept\nCA1,Été\nCA1,art\n", "utf-8"),
        ("client_id,concept\nCA1,Été\nCA1,art\n", "utf-8-sig"),
        ("client_id,concept\nCA1,Été\nCA1,art\n", "utf-16"),
        ("client_id,concept\r\nCA1,Été\r\n\r\nCA1,art", "latin-1"),
        ("Client ID;Concept\nCA1;Été\nCA1; ART \n", "cp1252"),
        ('customer-id\ttag\nCA1\t"été"\nCA1\tart\n', "utf-8"),
        ('client,"concept"\n"CA1","Été"\n"CA1",art\n', "utf-8"),
    ],
)
def test_usual_files_are_read_the_same(file: Path, content: str, encoding: str) -> None:
    file.write_bytes(content.encode(encoding))
    mentions, account = read_mentions(file)
    assert (mentions.clients, mentions.concepts) == (("CA1",), ("art", "été"))
    assert (account.rows, account.used, problems(account)) == (2, 2, {})


def test_a_file_that_is_not_utf_8_is_noted(file: Path) -> None:
    file.write_bytes("client_id,concept\n1,caf\u00e9\n".encode("latin-1"))
    assert read_mentions(file)[1].sentences() == [f"{file} is not UTF-8 and was read as cp1252 (Latin-1)"]
    file.write_bytes(b"client_id,concept\n1,\x81\xe9\n")
    assert "latin-1" in read_mentions(file)[1].sentences()[0]


def test_a_name_may_contain_separators_quotes_and_lines(file: Path) -> None:
    file.write_text('client_id,concept\n1,"likes ""gold"", silver;\nbronze"\n2,art\n', encoding="utf-8")
    mentions, _ = read_mentions(file)
    assert mentions.concepts == ("art", 'likes "gold", silver; bronze')


@pytest.mark.parametrize("name", ["x" * 200_000, "\U0001f60a", "<b>gold</b>", "\u6642\u8a08", "a\x00b"])
def test_odd_names_are_names(file: Path, name: str) -> None:
    file.write_text(f"client_id,concept\n1,{name}\n", encoding="utf-8")
    assert read_mentions(file)[0].concepts == (name,)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; its first line must name the columns client_id, concept"),
        ("\n  \n", "is empty"),
        ("client_id,concept\n", "has no row with a client and a concept"),
        ("client_id,concept\n,art\n", "has no row with a client and a concept"),
        ("name,concept\n1,art\n", r"has no column client_id \(nor customer_id, .*\); its columns are name, concept"),
        ("client_id\n1\n", "has no column concept"),
        ("client_id,concept,concept\n1,a,b\n", "has the column concept twice"),
        ('client_id,concept\n1,"art\n', "the row of line 2 cannot be read: unexpected end of data; check its quotes"),
        ('client_id,concept\n1,a\n2,"a"b\n', "the row of line 3 cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(file: Path, content: str, sentence: str) -> None:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputFileError, match=sentence):
        read_mentions(file)


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(InputFileError, match="cannot be read: No such file"):
        read_mentions(file)
    file.write_bytes(b"\xff\xfea")
    with pytest.raises(InputFileError, match="begins as UTF-16 and is not"):
        read_mentions(file)


def test_rows_without_what_is_needed_are_left_out_and_counted(file: Path) -> None:
    rows = ["1,art,2,2026-03-01", ",art,1,", "1,,1,", "1,art,none,", "1,art,-1,", "1,art,1,soon", "1,art", "1,a,1,,,"]
    file.write_text("client_id,concept,weight,date\n" + "\n".join(rows) + "\n", encoding="utf-8")
    mentions, account = read_mentions(file)
    assert problems(account) == {
        "have more cells than the header and are left out": [9],
        "without a client id are left out": [3],
        "without a concept are left out": [4],
        "whose weight is no positive number are left out": [5, 6],
        "have a date that cannot be read; the date is ignored": [7],
    }
    assert (account.rows, account.used) == (8, 3)
    assert mentions.weight.tolist() == [2.0, 1.0, 1.0]
    assert mentions.period == ("2026-03-01", "2026-03-01")


def test_days_are_read_in_three_forms(file: Path) -> None:
    file.write_text("client_id;concept;date\n1;a;31.12.2025\n1;b;02/01/2026\n1;c;2026-01-01T10:00\n", encoding="utf-8")
    mentions, _ = read_mentions(file)
    assert mentions.period == ("2025-12-31", "2026-01-02")


def test_notes_of_two_clients_with_one_number_are_two(file: Path) -> None:
    file.write_text("client_id,concept,note\n1,a,n\n1,b,n\n2,a,n\n2,b,\n", encoding="utf-8")
    assert read_mentions(file)[0].note.tolist() == [0, 0, 1, -1]


@pytest.mark.parametrize(
    ("cell", "separator", "number"),
    [
        ("25000", ",", 25000.0),
        ("25,000.50", ",", 25000.5),
        ("1,5", ";", 1.5),
        ("€ 1 500,20", ";", 1500.2),
        ("-3", ",", -3.0),
        ("1e3", ",", 1000.0),
        ("1,5", ",", None),
        ("nan", ",", None),
        ("inf", ",", None),
        ("9" * 40, ",", None),
        ("", ",", None),
        ("many", ",", None),
    ],
)
def test_numbers_are_read_or_unknown(cell: str, separator: str, number: float | None) -> None:
    assert read_number(cell, separator) == number


def test_labels_are_read_repeated_and_contradicted(file: Path) -> None:
    rows = ["1,1,0,25000", "1,1,0,25000", "2,yes,no,", "3,1,0,5", "3,0,0,5", "4,maybe,,x", ",1,1,1"]
    file.write_text("client_id,purchased,churned,lifetime_value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    labels, account = read_labels(file)
    assert labels.values.keys() == {"1", "2", "4"}
    assert problems(account) == {
        "without a client id are left out": [8],
        "have a purchased that cannot be read; it is unknown": [7],
        "have a lifetime_value that cannot be read; it is unknown": [7],
        "repeat another row": [3],
        "contradict another row of the same client and are left out": [5, 6],
    }
    assert np.array_equal(labels.of(PURCHASED, ("1", "2", "3", "9")), [1, 1, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(labels.of(LIFETIME_VALUE, ("1", "2")), [25000, np.nan], equal_nan=True)


def test_labels_may_lack_columns_but_not_all(file: Path) -> None:
    file.write_text("client_id,churned\n1,0\n", encoding="utf-8")
    assert read_labels(file)[0].columns == [CHURNED]
    file.write_text("client_id,loyal\n1,0\n", encoding="utf-8")
    with pytest.raises(InputFileError, match="has none of the columns purchased, churned, lifetime_value"):
        read_labels(file)
    file.write_text("client_id,churned\n1,perhaps\n", encoding="utf-8")
    with pytest.raises(InputFileError, match="has no label that can be read"):
        read_labels(file)


def test_a_catalogue_is_read_with_what_it_lacks(file: Path) -> None:
    rows = [
        '1,Watch,"Swiss, gold",Watches,"5,500"',
        "2,Scarf,,Accessories,call us",
        "1,Other watch,,Watches,1",
        '1,Watch,"Swiss, gold",Watches,"5,500"',
        ",Nameless,,,",
        "3,,A bag,,",
    ]
    file.write_text("product_id,name,description,category,price\n" + "\n".join(rows) + "\n", encoding="utf-8")
    products, account = read_catalogue(file)
    assert [(each.product_id, each.name, each.price) for each in products] == [
        ("1", "Watch", 5500.0),
        ("2", "Scarf", None),
        ("3", "3", None),
    ]
    assert problems(account) == {
        "have no description; name and category are used": [3],
        "have a price that cannot be read; it is unknown": [3],
        "have the id of an earlier row and are left out": [4],
        "repeat another row": [5],
        "without a product id are left out": [6],
    }
    assert account.rows == account.used + 3
    assert account.sentences()[0] == f"{file}: 1 row have no description; name and category are used (line 3)"


def test_purchases_of_unknown_products_are_counted(file: Path, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_text("product_id,name\n1,Watch\n", encoding="utf-8")
    products, _ = read_catalogue(catalogue)
    file.write_text("client_id,product_id\na,1\na,1\nb,9\n,1\n", encoding="utf-8")
    purchases, account = read_purchases(file, products)
    assert purchases == {"a": frozenset({"1"})}
    assert (account.rows, account.used, len(account.problems)) == (4, 2, 2)
    catalogue.write_text("product_id,name\n,\n,Watch\n", encoding="utf-8")
    with pytest.raises(InputFileError, match="has no product"):
        read_catalogue(catalogue)


def test_mentions_from_the_day_of_a_label_on_are_hidden(file: Path, tmp_path: Path) -> None:
    """Of clients whose label has a day; mentions without a day stay."""
    rows = ["1,a,2026-01-01", "1,b,2026-02-01", "1,c,", "2,a,2026-03-01"]
    file.write_text("client_id,concept,date\n" + "\n".join(rows) + "\n", encoding="utf-8")
    path = tmp_path / "labels.csv"
    path.write_text("client_id,churned,as_of\n1,1,2026-02-01\n2,1,someday\n", encoding="utf-8")
    labels, account = read_labels(path)
    earlier = labels.hide_later(read_mentions(file)[0])
    assert [earlier.concepts[place] for place in earlier.concept] == ["a", "c", "a"]
    assert earlier.clients == ("1", "2")
    assert problems(account) == {"have an as_of that cannot be read; it is ignored": [3]}
