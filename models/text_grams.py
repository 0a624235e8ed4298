"""From texts to hashed n-grams of words and characters: the inputs of a text model, the same in training and serving.

A text is normalised (`normalise`), then cut into words, pairs of neighbouring words, and runs of 2 to 5 characters.
Each distinct n-gram becomes the number of its bucket, from 1 on; 0 fills the rest of a row. Whole batches are hashed at
once with numpy: a polynomial hash of every run of characters, in 32 bits.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from models.plain_text import to_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Owners = NDArray[np.int64]
    Hashes = NDArray[np.uint32]

WORD_SLOTS, CHARACTER_SLOTS = 192, 832
"""Distinct n-grams of words, and of characters, that a row has room for."""
SLOTS = WORD_SLOTS + CHARACTER_SLOTS
BUCKETS_BITS = 17
BUCKETS = 2**BUCKETS_BITS
"""Buckets of each kind."""
SHORTEST, LONGEST = 2, 5

_FACTOR, _MIX, _PAIR = np.uint32(0x01000193), np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B)
_URL = re.compile(r"(?:https?://|www\.)\S+")
_MENTION = re.compile(r"@\w+")
_NUMBER = re.compile(r"\d+")
_ELONGATED = re.compile(r"(\w)\1{2,}")
_SMILE = re.compile(r"[:;=8xX]['`]?-?[)\]DpP3]+(?!\w)|<3+|\(:")
_FROWN = re.compile(r"[:;=]['`]?-?[(\[/\\|]+(?!\w)|\):|</3")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HASHTAG = re.compile(r"#(\w+)")
_SHOUTED = re.compile(r"\b[A-Z]{3,}\b")
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?|<\w+>|[^\w\s]")
_DENIALS = frozenset(("not", "no", "never", "cannot", "nothing", "nobody", "without", "hardly", "cant", "dont", "wont"))
_DENIED_WORDS = 3
SHOUTING = 3
_REPEATED = re.compile(r"([!?.])(?:\s?[!?.])+")


def normalise(text: str) -> list[str]:
    """Return the words and marks of a text as tokens.

    HTML is unescaped and its tags dropped; addresses, mentions, numbers, smiles and frowns become tokens of their own;
    hashtags are split at capitals; letters repeated more than twice are cut to two.
    """
    text = to_plain(text)
    if "://" in text or "www." in text:
        text = _URL.sub(" <url> ", text)
    if "@" in text:
        text = _MENTION.sub(" <user> ", text)
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    if ":" in text or ";" in text or "=" in text or "<3" in text or "(" in text:
        text = _FROWN.sub(" <frown> ", _SMILE.sub(" <smile> ", text))
    shouted = len(_SHOUTED.findall(text))
    if "#" in text:
        text = _HASHTAG.sub(lambda found: "# " + _CAMEL.sub(" ", found[1]), text)
    text = _ELONGATED.sub(r"\1\1", _NUMBER.sub("0", text.lower()))
    repeated = _REPEATED.search(text) is not None
    tokens = _TOKEN.findall(_REPEATED.sub(r" \1 ", text))
    if repeated:
        tokens.append("<repeated>")
    if shouted:
        tokens.append("<shouted>" if shouted < SHOUTING else "<shouting>")
    return tokens


def mark_denied(tokens: Sequence[str]) -> list[str]:
    """Return the words after a denial, up to three or the next mark, with a mark of their own."""
    marked, left = [], 0
    for token in tokens:
        if token in _DENIALS or token.endswith("n't"):
            left = _DENIED_WORDS
        elif not token[0].isalnum():
            left = 0
        elif left:
            left -= 1
            marked.append(f"not {token}")
    return marked


@lru_cache(maxsize=50_000)
def _hash_word(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass"))


def hash_texts(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the n-grams of texts, shape [texts, SLOTS], as buckets 1 to `BUCKETS`; 0 where a text has no more.

    The first `WORD_SLOTS` columns are of words, the others of characters. Where a text has more distinct n-grams than
    there is room for, those with the lowest buckets are kept, which is a sample of all of it.
    """
    tokens = [normalise(text) for text in texts]
    rows = np.zeros((len(texts), SLOTS), dtype=np.float32)
    _fill(rows[:, :WORD_SLOTS], *_hash_words(tokens))
    _fill(rows[:, WORD_SLOTS:], *_hash_characters(tokens))
    return rows


def _hash_words(tokens: Sequence[Sequence[str]]) -> tuple[Owners, Hashes]:
    lengths = [len(each) for each in tokens]
    hashes = np.fromiter((_hash_word(word) for each in tokens for word in each), np.uint32, sum(lengths))
    owners = np.repeat(np.arange(len(tokens)), lengths)
    denied = [mark_denied(each) for each in tokens]
    marked = [_hash_word(word) for each in denied for word in each]
    of_denied = np.repeat(np.arange(len(tokens)), [len(each) for each in denied])
    same = owners[1:] == owners[:-1]
    pairs = (hashes[:-1] * _PAIR + hashes[1:])[same]
    grams = np.concatenate([hashes, np.array(marked, dtype=np.uint32), pairs])
    return np.concatenate([owners, of_denied, owners[:-1][same]]), grams


def _hash_characters(tokens: Sequence[Sequence[str]]) -> tuple[Owners, Hashes]:
    # A text begins and ends with a space, as each of its words does.
    texts = [f" {' '.join(each)} " for each in tokens]
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    owners = np.repeat(np.arange(len(texts)), list(map(len, texts)))
    hashes, found, of_whom = codes + np.uint32(1), [], []
    for length in range(2, LONGEST + 1):
        hashes = hashes[:-1] * _FACTOR + codes[length - 1 :]
        inside = owners[length - 1 :] == owners[: len(hashes)]
        found.append((hashes ^ np.uint32(length))[inside])
        of_whom.append(owners[: len(hashes)][inside])
    return np.concatenate(of_whom), np.concatenate(found)


def _fill(rows: NDArray[np.float32], owners: Owners, hashes: Hashes) -> None:
    mixed = (hashes ^ (hashes >> np.uint32(15))) * _MIX
    buckets = (mixed >> np.uint32(32 - BUCKETS_BITS)).astype(np.int64)
    distinct = np.unique((owners << BUCKETS_BITS) | buckets)
    owner, bucket = distinct >> BUCKETS_BITS, distinct & (BUCKETS - 1)
    begins = np.searchsorted(owner, np.arange(len(rows)))
    places = np.arange(len(owner)) - begins[owner]
    kept = places < rows.shape[1]
    rows[owner[kept], places[kept]] = bucket[kept] + 1
