"""Vectors of texts, learned from the texts themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from intelligence.errors import TextVectorsError
from intelligence.text_grams import READ_AT_MOST, count_grams, normalize
from intelligence.text_vectors import TextVectors

if TYPE_CHECKING:
    from pathlib import Path

LATE = [f"my parcel number {n} arrives late, the courier was slow" for n in range(20)]
PRICE = [f"invoice {n}: the price is too expensive, fees are high" for n in range(20)]


@pytest.fixture(scope="module")
def vectors() -> TextVectors:
    """Learned from complaints about delivery and about price."""
    return TextVectors.fit([*LATE, *PRICE], dimensions=8)


def test_texts_about_one_thing_are_closer(vectors: TextVectors) -> None:
    query, late, price = vectors.encode(["a slow courier, late again", LATE[3], PRICE[3]])
    assert query @ late > query @ price + 0.3


def test_a_misspelt_word_still_counts(vectors: TextVectors) -> None:
    query, late, price = vectors.encode(["my parcell arrivess", LATE[3], PRICE[3]])
    assert query @ late > query @ price


def test_vectors_have_length_one_and_the_dimensions_asked_for(vectors: TextVectors) -> None:
    found = TextVectors.fit(["red bag", "blue bag"], dimensions=16).encode(["red bag", "blue"])
    assert found.shape == (2, 16)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert vectors.encode([]).shape == (0, 8)


@pytest.mark.parametrize("text", ["", "   ", "\x00", "🎉🎉", "<br><p></p>", "ζωή", "\ud800"])
def test_a_text_without_known_grams_is_zero(vectors: TextVectors, text: str) -> None:
    assert not vectors.encode([text]).any()


def test_a_text_has_one_vector_whatever_is_encoded_with_it(vectors: TextVectors) -> None:
    together = vectors.encode(["", *LATE, "🎉", *PRICE])
    assert np.array_equal(together[5], vectors.encode([LATE[4]])[0])
    assert np.array_equal(together[-1], vectors.encode([PRICE[-1]])[0])


def test_a_long_text_is_read_in_part(vectors: TextVectors) -> None:
    text = "the courier was late. " * 5_000
    assert np.array_equal(*vectors.encode([text, text[:READ_AT_MOST]]))


def test_other_scripts_and_symbols_have_vectors_once_they_are_learned() -> None:
    texts = ["退款太慢了", "我要退款", "доставка опоздала", "где моя доставка", "🎉 🎉 great", "🎉"]
    found = TextVectors.fit(texts, dimensions=6).encode(["退款", "доставка", "🎉"])
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)


def test_the_same_texts_and_seed_give_the_same_vectors(vectors: TextVectors) -> None:
    again = TextVectors.fit([*LATE, *PRICE], dimensions=8)
    assert again.version == vectors.version
    assert TextVectors.fit(LATE, dimensions=8).version != vectors.version


def test_saved_vectors_encode_as_before(vectors: TextVectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "text_vectors.npz")
    loaded = TextVectors.load(tmp_path / "text_vectors.npz")
    assert loaded.version == vectors.version
    assert np.array_equal(loaded.encode(LATE), vectors.encode(LATE))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text_vectors.npz"
    for content in (b"", b"PK\x03\x04 cut", b"\x80\x04K\x01."):
        path.write_bytes(content)
        with pytest.raises(TextVectorsError, match="learn them again"):
            TextVectors.load(path)
    np.savez(path, format=99, buckets=[1], idf=[1.0], axes=[[1.0]])
    with pytest.raises(TextVectorsError, match="another version"):
        TextVectors.load(path)
    with pytest.raises(TextVectorsError, match="cannot be read"):
        TextVectors.load(tmp_path / "missing.npz")


def test_there_must_be_a_word_to_learn_from() -> None:
    with pytest.raises(TextVectorsError, match="no text has a word"):
        TextVectors.fit(["", "...", "<br>"])


def test_a_text_is_read_without_markup_case_and_variants() -> None:
    assert normalize("<b>\uff37ide</b> &amp; STRASSE \ufb01ne").split() == ["wide", "&", "strasse", "fine"]
    assert normalize("a < b and c > d") == "a < b and c > d"


def test_grams_are_counted_per_text() -> None:
    """Words, their pairs, and runs of four characters that may begin and end with a space."""
    found = count_grams(["late late", "", "late"])
    assert found.texts.tolist().count(1) == 0
    first = found.counts[found.texts == 0].tolist()
    assert sorted(first) == [1, 2, 2, 2, 2]  # a pair; the word, " lat", "late" and "ate "
    assert found.counts[found.texts == 2].tolist() == [1, 1, 1, 1]
