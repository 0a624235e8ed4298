"""Reads labelled texts from a CSV file: what can be learned from is kept, everything else is counted."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.language import ALWAYS_READ, identify
from models.text_grams import normalise
from models.text_model import CLASSES
from training.errors import TrainingDataError, TrainingSourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

COLUMNS = ("text", "label")
FILE_BYTES = 2**30
FIELD_CHARACTERS = 2**24
SHOWN_LABELS = 5
SPOKEN_SHARE = 0.1
"""A model supports the languages that so many of its texts are in."""
_NAMES = {**{name: place for place, name in enumerate(CLASSES)}, "neg": 0, "neu": 1, "pos": 2}
_CONFLICT = -1


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Labelled texts, each once.

    Attributes:
        texts: as read.
        labels: shape [texts], places in `CLASSES`.
        counts: rows read, and rows left out by reason.
        encoding: of the file.
        unknown: the labels that are none of `CLASSES`, the most frequent first.
        sha256: of the file.
    """

    texts: Sequence[str]
    labels: NDArray[np.int64]
    counts: Mapping[str, int]
    encoding: str
    unknown: Sequence[str]
    sha256: str

    def find_languages(self) -> list[str]:
        """Return the languages that a fair share of the texts is in; English where none is certain."""
        spoken = Counter(language for language in map(identify, self.texts) if language not in ALWAYS_READ)
        total = sum(spoken.values())
        return sorted(each for each, count in spoken.items() if count >= SPOKEN_SHARE * total) or ["en"]

    def warn(self) -> list[str]:
        """Return what a person should know of the file, in sentences."""
        said = [f"{count:,} rows left out: {why}" for why, count in self.counts.items() if why != "read" and count]
        if self.unknown:
            said.append(f"labels that are not one of {', '.join(CLASSES)}: {', '.join(map(repr, self.unknown))}")
        if self.encoding == "cp1252":
            said.append("the file is not UTF-8; it was read as Windows-1252: look at letters with accents")
        return said


def read_labels(path: Path) -> LabelledTexts:
    """Read a CSV file with columns text and label, in UTF-8, UTF-16 with a byte order mark, or Windows-1252.

    Texts that say the same in other case or with other addresses and mentions count once. A text that has two
    labels is left out.

    Raises:
        TrainingSourceError: the file cannot be read, or lacks a column.
        TrainingDataError: no row can be used.
    """
    try:
        if path.stat().st_size > FILE_BYTES:
            raise TrainingSourceError(f"{path}: larger than {FILE_BYTES // 2**20} MiB; give a sample of the labels")
        content = path.read_bytes()
    except OSError as error:
        raise TrainingSourceError(f"{path}: cannot be read ({error.strerror}); name a CSV file in --labels") from error
    text, encoding = _decode(path, content)
    counts, unknown, found = Counter[str](), Counter[str](), dict[str, tuple[str, int]]()
    for said, label in _read_rows(path, text):
        counts["read"] += 1
        place = _NAMES.get(label.strip().lower())
        key = " ".join(normalise(said))
        if not key:
            counts["the text is empty"] += 1
        elif place is None:
            counts["the label is unknown"] += 1
            unknown[label.strip()[:40]] += 1
        elif key not in found:
            found[key] = said, place
        elif found[key][1] == place:
            counts["the text is there already"] += 1
        else:
            counts["the text has other labels, too"] += 1
            found[key] = said, _CONFLICT
    kept = [(said, place) for said, place in found.values() if place != _CONFLICT]
    if len(found) > len(kept):
        counts["the text has other labels, too"] += len(found) - len(kept)
    if not kept:
        raise TrainingDataError(
            f"{path}: none of {counts['read']:,} rows can be used; a row is a text and one of {', '.join(CLASSES)}"
        )
    return LabelledTexts(
        [said for said, _ in kept],
        np.array([place for _, place in kept], dtype=np.int64),
        dict(counts),
        encoding,
        [label for label, _ in unknown.most_common(SHOWN_LABELS)],
        hashlib.sha256(content).hexdigest(),
    )


def _decode(path: Path, content: bytes) -> tuple[str, str]:
    for encoding in ("utf-16",) if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding), encoding
        except ValueError:
            continue
    raise TrainingSourceError(f"{path}: neither UTF-8 nor Windows-1252; save it as UTF-8")


def _read_rows(path: Path, text: str) -> Iterable[tuple[str, str]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    before = csv.field_size_limit(FIELD_CHARACTERS)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [name.strip().lower() for name in next(rows, [])]
        if missing := [name for name in COLUMNS if name not in names]:
            shown = ", ".join(map(repr, names[:10])) or "none"
            raise TrainingSourceError(f"{path}: no column {', '.join(missing)}; the first line names: {shown}")
        places = [names.index(name) for name in COLUMNS]
        for row in rows:
            if row:
                said, label = (row[place] if place < len(row) else "" for place in places)
                yield said, label
    except csv.Error as error:
        raise TrainingSourceError(f"{path}: no CSV: {error}; quote texts with double quotes") from error
    finally:
        csv.field_size_limit(before)
