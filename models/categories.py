"""Columns of text as inputs of a model: each value known from training has a code, its place in the manifest's list.

Values are compared in Unicode's NFC, without white space at the ends, with one space for each run of it inside, and in
lower case by Unicode's case folding. Numbers and truth values count as their text, 3.0 as 3. Null is an input of its
own, and an empty text is null. Every value that is not in the list is `OTHER`, which is none of the known ones to a
model; so are values too rare to learn from. Training and serving both go through `encode`.
"""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from features.table import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.table import Column

OTHER = -1.0


def normalise(cell: Any) -> str | None:
    """Return a cell as it is compared; None for null and for text without characters."""
    if not isinstance(cell, str):
        cell = plain(cell)
        if cell is None:
            return None
        # As the cache would give it back; a column with nulls holds whole numbers as floats, too.
        cell = float(cell) if isinstance(cell, Decimal) else cell
        cell = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    # Folding may take a text out of NFC.
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", cell).casefold()).split()) or None


def encode(cells: Column, known: Sequence[str]) -> NDArray[np.float64]:
    """Return the code of each cell, shape [rows]: its place in `known`, `OTHER`, or NaN for null.

    Args:
        cells: shape [rows].
        known: as `normalise` returns them.
    """
    places: dict[str | None, float] = {text: float(place) for place, text in enumerate(known)} | {None: np.nan}
    codes = np.empty(len(cells))
    seen: dict[str, float] = {}
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            code = seen.get(cell)
            if code is None:
                code = seen[cell] = places.get(normalise(cell), OTHER)
            codes[row] = code
        else:
            codes[row] = places.get(normalise(cell), OTHER)
    return codes


def decode(codes: NDArray[Any], known: Sequence[str]) -> Column:
    """Return cells that have these codes, shape [rows]; what is no code is some other value."""
    values = {float(place): text for place, text in enumerate(known)}
    # No category has a control character at its end: `normalise` leaves no white space there, and this is none.
    other = max(known, key=len, default="") + "\x00"
    cells = [None if np.isnan(code) else values.get(float(code), other) for code in codes]
    return np.array(cells, dtype=object)
