"""What holds for every file of concepts or labels."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from intelligence.analytics.concept_space import learn_space
from intelligence.analytics.errors import InputFileError
from intelligence.analytics.labels import read_labels
from intelligence.analytics.mentions import Mentions, fold_name, read_mentions
from tests.examples import examples

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
LABELS = st.tuples(st.sampled_from("abc "), st.sampled_from(["0", "1", "yes", "?", ""]), st.sampled_from(["5", "x"]))


def write(folder: Path, rows: list[tuple[str, ...]], separator: str = ",", encoding: str = "utf-8") -> Path:
    written = io.StringIO()
    csv.writer(written, delimiter=separator).writerows(rows)
    path = folder / "file.csv"
    path.write_bytes(written.getvalue().encode(encoding))
    return path


@examples(40)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_program_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], separator: str, encoding: str
) -> None:
    path = write(tmp_path_factory.mktemp("csv"), [("client_id", "concept"), *rows], separator, encoding)
    mentions, account = read_mentions(path)
    found = [
        (mentions.clients[c], mentions.concepts[k]) for c, k in zip(mentions.client, mentions.concept, strict=True)
    ]
    assert found == [(client, fold_name(concept)) for client, concept in rows]
    assert account.used == len(rows)


@examples(40)
@given(st.lists(LABELS, min_size=1, max_size=8))
def test_every_row_of_labels_is_used_or_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    path = write(tmp_path_factory.mktemp("csv"), [("client_id", "churned", "lifetime_value"), *rows])
    try:
        labels, account = read_labels(path)
    except InputFileError as error:
        assert "no label that can be read" in str(error)  # noqa: PT017 - most files have one
        return
    left_out = sum(len(lines) for why, lines in account.problems.items() if "unknown" not in why)
    assert account.rows == len(rows) == len(labels.values) + left_out


@examples(30)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), CELLS), min_size=1, max_size=12), st.lists(CELLS, max_size=3))
def test_vectors_are_of_length_one_or_nothing(rows: list[tuple[str, str]], texts: list[str]) -> None:
    """And a client's vector is the sum over its concepts."""
    space = learn_space(Mentions.of(rows), texts)
    for vectors in (space.clients, space.products):
        lengths = np.linalg.norm(vectors, axis=1)
        assert np.all(np.isclose(lengths, 1.0) | (lengths == 0.0))
    assert np.allclose(space.weights @ space.concepts, space.clients * space.lengths[:, None])
