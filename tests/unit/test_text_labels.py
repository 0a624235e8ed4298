"""Which rows of a file of labels are learned from, and what becomes of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.errors import TrainingDataError, TrainingSourceError
from training.text.labels import read_labels

if TYPE_CHECKING:
    from pathlib import Path


def test_every_row_is_used_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(
        "id,Label,text\n1,positive,Lovely mug\n2,POS,lovely  mug\n3,great,ok\n4,neutral,\n5,negative,  \n"
        "6,negative,late again\n7,positive,Late again!\n8,negative,late again!\n9,neutral,\U0001f600\n10,negative\n"
    )
    read = read_labels(path)
    assert list(zip(read.texts, read.labels.tolist(), strict=True)) == [
        ("Lovely mug", 2),
        ("late again", 0),
        ("\U0001f600", 1),
    ]
    assert read.counts == {
        "read": 10,
        "the text is there already": 1,
        "the label is unknown": 1,
        "the text is empty": 3,
        "the text has other labels, too": 2,
    }
    assert read.unknown == ["great"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_files_of_spreadsheets_are_read(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"text{delimiter}label\ncaf\u00e9 fermé{delimiter}negative\n", encoding=encoding)
    assert list(read_labels(path).texts) == ["caf\u00e9 fermé"]


def test_a_text_of_100_000_characters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"text,label\n{'never again ' * 9000},negative\n")
    assert read_labels(path).counts == {"read": 1}


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", TrainingSourceError, "no column text, label; the first line names: none"),
        (b"message,label\nx,positive\n", TrainingSourceError, "no column text; the first line names: 'message'"),
        (b"text,label\nx,1\n", TrainingDataError, "none of 1 rows can be used"),
        (b'text,label\ngood,positive\n"open,negative\nbad,negative\n', TrainingSourceError, "no CSV"),
        (b"text,label\n\x81\x8d,positive\n", TrainingSourceError, "neither UTF-8 nor Windows-1252"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(error, match=message):
        read_labels(path)
