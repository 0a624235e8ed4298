"""Vectors of texts, learned from the user's own texts: no weights from elsewhere, no network.

A text becomes the counts of its n-grams (text_grams.py), weighted by TF-IDF with a logarithmic count, and projected by
a truncated singular value decomposition: latent semantic analysis (Deerwester et al. 1990). Words and characters are
weighted as two families of the same length, so that a misspelt word still counts. The decomposition is the randomized
one of Halko et al. (2011), algorithms 4.4 and 5.1.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.errors import TextVectorsError
from intelligence.text_grams import BUCKET_BITS, FAMILIES, GramCounts, count_grams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

DIMENSIONS = 256
MOST_GRAMS = 20_000
"""Grams that are kept, the most frequent ones; with 256 dimensions they need 10 MB on disk."""
MOST_TEXTS = 30_000
"""Texts that the axes are learned from: a sample of those given."""
_FORMAT = 1
_BATCH = 2_048
_FEW_TEXTS = 200
"""With fewer texts, a gram that only one text has is kept, too."""
_OVERSAMPLING = 16
_NONE = -1


class TextVectors:
    """Turns texts into vectors of unit length.

    Args:
        buckets: the known buckets of text_grams.py, ascending.
        idf: the inverse document frequency of each.
        axes: the projection, float16 [buckets, dimensions].
    """

    def __init__(self, buckets: NDArray[np.int64], idf: NDArray[np.float32], axes: NDArray[np.float16]) -> None:
        self._buckets = buckets
        self._idf = idf
        self._axes = axes
        self._projection = axes.astype(np.float32)
        self._columns = np.full(FAMILIES << BUCKET_BITS, _NONE, dtype=np.int32)
        self._columns[buckets] = np.arange(len(buckets), dtype=np.int32)

    @classmethod
    def fit(cls, texts: Sequence[str], dimensions: int = DIMENSIONS, seed: int = 0) -> TextVectors:
        """Learn vectors from texts; the same texts and seed give the same vectors.

        Args:
            texts: any number; a sample of MOST_TEXTS is read.
            dimensions: of a vector. Where the texts have fewer, the others are zeros.
            seed: of the sample and of the decomposition.

        Raises:
            TextVectorsError: no text has a word, or SciPy is not installed.
        """
        random = np.random.default_rng(seed)
        if len(texts) > MOST_TEXTS:
            texts = [texts[at] for at in np.sort(random.choice(len(texts), MOST_TEXTS, replace=False))]
        batches = list(_count(texts))
        frequency = np.zeros(FAMILIES << BUCKET_BITS, dtype=np.int64)
        for batch in batches:
            np.add.at(frequency, batch.buckets, 1)
        buckets = _choose(frequency, len(texts))
        if not len(buckets):
            raise TextVectorsError("no text has a word to learn vectors from; give the texts of messages or products")
        idf = (np.log((1 + len(texts)) / (1 + frequency[buckets])) + 1).astype(np.float32)
        unprojected = cls(buckets, idf, np.zeros((len(buckets), 0), dtype=np.float16))
        weights = [unprojected._weigh(batch) for batch in batches]
        return cls(buckets, idf, _decompose(weights, len(texts), len(buckets), dimensions, random))

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return int(self._axes.shape[1])

    @cached_property
    def version(self) -> str:
        """A digest of what the vectors depend on: vectors of two versions cannot be compared."""
        parts = [np.int64(_FORMAT), self._buckets, self._idf, self._axes]
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors, float32 [texts, dimensions], each of length 1, or 0 for a text without known grams."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for start, batch in zip(range(0, len(texts), _BATCH), _count(texts), strict=True):
            rows, columns, weights = self._weigh(batch)
            bounds = np.searchsorted(rows, np.arange(start, min(start + _BATCH, len(texts)) + 1))
            for row, (begin, end) in enumerate(pairwise(bounds), start):
                if end > begin:
                    vectors[row] = weights[begin:end] @ self._projection[columns[begin:end]]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)

    def to_bytes(self) -> bytes:
        """Return the vectors as an .npz file, which holds arrays only."""
        file = io.BytesIO()
        np.savez(file, format=_FORMAT, buckets=self._buckets, idf=self._idf, axes=self._axes)
        return file.getvalue()

    def save(self, path: Path) -> None:
        """Write the vectors to one .npz file; it replaces a former one as a whole."""
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            file.write(self.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> TextVectors:
        """Read what `save` wrote.

        Raises:
            TextVectorsError: the file is missing, broken, or of another version of Holdfast.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise TextVectorsError(f"{path}: the text vectors cannot be read ({error}); learn them again") from error
        return cls.from_bytes(content, str(path))

    @classmethod
    def from_bytes(cls, content: bytes, place: str) -> TextVectors:
        """Read what `to_bytes` returned.

        Args:
            content: of the file.
            place: where it is from, for the error.

        Raises:
            TextVectorsError: it is broken, or of another version of Holdfast.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in ("format", "buckets", "idf", "axes")}
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise TextVectorsError(f"{place}: the text vectors cannot be read ({error}); learn them again") from error
        if found.pop("format") != _FORMAT or not _fits(found):
            raise TextVectorsError(f"{place}: these text vectors are of another version of Holdfast; learn them again")
        return cls(**found)

    def share_of_texts(self, words: Sequence[str]) -> list[float]:
        """Return the share of the texts that each word is in, 0 for one that is not known."""
        shares = []
        for word in words:
            columns = self._columns[count_grams([word]).buckets[:1]]
            known = len(columns) and columns[0] != _NONE
            shares.append(float(np.exp(1 - self._idf[columns[0]])) if known else 0.0)
        return shares

    def _weigh(self, batch: GramCounts) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Return text, column and weight of each known gram; the weights of a family have length 1 in each text."""
        columns = self._columns[batch.buckets]
        known = columns != _NONE
        rows, columns = batch.texts[known], columns[known]
        weights = (1 + np.log(batch.counts[known].astype(np.float32))) * self._idf[columns]
        families = rows * FAMILIES + (batch.buckets[known] >> BUCKET_BITS)
        firsts = np.flatnonzero(np.diff(families, prepend=_NONE))
        if len(firsts):
            lengths = np.sqrt(np.add.reduceat(weights * weights, firsts))
            weights /= np.repeat(lengths, np.diff(firsts, append=len(families)))
        return rows, columns, weights


def _count(texts: Sequence[str]) -> Iterator[GramCounts]:
    for start in range(0, len(texts), _BATCH):
        batch = count_grams(texts[start : start + _BATCH])
        yield batch._replace(texts=batch.texts + start)


def _choose(frequency: NDArray[np.int64], texts: int) -> NDArray[np.int64]:
    """Return the buckets to keep, ascending: in two texts or more, the most frequent ones."""
    found = np.flatnonzero(frequency >= (1 if texts < _FEW_TEXTS else 2))
    most = found[np.argsort(-frequency[found], kind="stable")[:MOST_GRAMS]]
    return np.sort(most)


def _decompose(
    weights: Sequence[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]],
    texts: int,
    grams: int,
    dimensions: int,
    random: np.random.Generator,
) -> NDArray[np.float16]:
    """Return the axes, [grams, dimensions], of the texts' weighted grams."""
    try:
        # Only to learn: the command line and a search run without the extra `training`.
        from scipy.sparse import csr_matrix  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise TextVectorsError(
            "SciPy is not installed: learning vectors of texts needs the extra `training`; run: pip install "
            "'holdfast[training]'"
        ) from error

    rows, columns, values = (np.concatenate(part) for part in zip(*weights, strict=True))
    matrix = csr_matrix((values, (rows, columns)), shape=(texts, grams), dtype=np.float32)
    rank = min(dimensions, texts, grams)
    width = min(rank + _OVERSAMPLING, texts, grams)
    sketch = np.linalg.qr(matrix @ random.standard_normal((grams, width), dtype=np.float32))[0]
    # One power iteration: a second one changed nothing that neighbours show.
    sketch = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ sketch)[0])[0]
    _, values, right = np.linalg.svd((matrix.T @ sketch).T, full_matrices=False)
    axes = np.zeros((grams, dimensions), dtype=np.float32)
    kept = min(rank, int(np.sum(values > values[0] * 1e-5)))
    axes[:, :kept] = right[:kept].T
    return axes.astype(np.float16)


def _fits(arrays: dict[str, Any]) -> bool:
    buckets, idf, axes = arrays["buckets"], arrays["idf"], arrays["axes"]
    return bool(
        (buckets.dtype, idf.dtype, axes.dtype) == (np.int64, np.float32, np.float16)
        and (buckets.ndim, idf.ndim, axes.ndim) == (1, 1, 2)
        and len(buckets) == len(idf) == len(axes)
        and np.all((buckets >= 0) & (buckets < FAMILIES << BUCKET_BITS))
    )
