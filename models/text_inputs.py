"""The inputs of a text model: hashed n-grams, and the tone of the text by VADER's lexicon and by its marks.

Training and serving both go through here. `SCHEME` names this way of reading: a model's manifest holds it, and a model
of another scheme is refused. Change it with anything that changes an input.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from models.plain_text import to_plain
from models.text_grams import SLOTS, hash_texts
from models.vader import CompoundScore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCHEME = 1
SENTIMENT_CUTS = (-0.6, -0.3, -0.05, 0.05, 0.3, 0.6)
TONES = 5 + len(SENTIMENT_CUTS) + 7
INPUTS = SLOTS + TONES

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")


def read_inputs(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the inputs of texts, shape [texts, INPUTS]: buckets in the first `SLOTS` columns, then `TONES` numbers."""
    rows = np.empty((len(texts), INPUTS), dtype=np.float32)
    rows[:, :SLOTS] = hash_texts(texts)
    for row, text in enumerate(texts):
        rows[row, SLOTS:] = measure_tone(text)
    return rows


def measure_tone(text: str) -> list[float]:
    """Return what the lexicon and the marks say of a text, `TONES` numbers from -1 to about 1.

    VADER's compound score of the text, of its last and first sentence, and the least and greatest of a sentence;
    which of the cuts the first exceeds; length, marks, words in capitals, an address, sentences, a question at the end.
    """
    text = to_plain(text)
    score = _vader().score
    sentences = [each for each in _SENTENCE_END.split(text) if each and not each.isspace()]
    whole = score(text)
    scores = [score(each) for each in sentences] if len(sentences) > 1 else [whole]
    words = text.split()
    capitals = sum(each.isupper() and len(each) > 2 for each in words)  # noqa: PLR2004 - shorter ones are initials
    return [
        *(whole, scores[-1], scores[0], min(scores), max(scores)),
        *(float(whole > cut) for cut in SENTIMENT_CUTS),
        math.log(len(words) + 1) / 4,
        min(text.count("!"), 4) / 4,
        min(text.count("?"), 3) / 3,
        min(capitals, 5) / 5,
        float("http" in text),
        min(len(sentences), 6) / 6,
        float(text.rstrip().endswith("?")),
    ]


@cache
def _vader() -> CompoundScore:
    return CompoundScore()
