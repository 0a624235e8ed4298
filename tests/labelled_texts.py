"""Labelled messages of a shop, made up: VADER's lexicon has few of their words."""

from __future__ import annotations

import csv
from itertools import islice, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THINGS = ("lamp", "mug", "kettle", "chair", "clock", "carpet", "teapot", "ladder", "candle", "basket")
WHEN = ("on monday", "on friday", "this week", "this morning", "last month", "in june", "as of now", "by post")
SAID = {
    "negative": ("the {} never came {}", "the {} fell apart {}", "still no word about the {} {}"),
    "positive": ("the {} came a day early {}", "everyone admires the {} we got {}", "the {} is spot on, it came {}"),
    "neutral": ("which size is the {} sold {}", "do you deliver the {} {}", "is the {} sold in blue {}"),
}


def labelled_texts(each: int) -> Iterator[tuple[str, str]]:
    """Yield texts and labels, so many of each label."""
    for label, sayings in SAID.items():
        for saying, thing, when in islice(product(sayings, THINGS, WHEN), 0, None, len(sayings) * 80 // each):
            yield saying.format(thing, when), label


def write_labels(path: Path, each: int = 120) -> Path:
    """Write a file of labelled texts, so many of each label, and return its path."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        rows.writerows(labelled_texts(each))
    return path
