"""What is looked for in messages: concerns and urgency, as words and phrases in a JSON or YAML file.

    {"languages": ["en"],
     "concerns": {"price": ["price", "expensive", "money back"]},
     "urgency": {"high": {"words": ["urgent"], "exclamation_marks": 4}, "normal": {"words": ["soon"]}}}

Words and phrases match in any case, as whole words; one word may stand for several concerns. The shipped file is
models/concerns.json. A file without `urgency` keeps the shipped rule of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from features.yaml_values import YamlError, read_yaml
from models.errors import TaxonomyError
from models.regular_file import read_regular_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHIPPED_FILE = Path(__file__).with_name("concerns.json")
FILE_BYTES = 2**20
# Letters that match i, s and k if case is ignored, but that lower() does not map to them.
CASE_FOLDED = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")

_Word = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^\w(?:.*\w)?\Z")]
_Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]
_Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")]
_Words = Annotated[list[_Word], Meta(min_length=1, max_length=1000)]


class UrgencyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a message is so urgent: it has one of the words, or so many exclamation marks; 0: whatever their number."""

    words: Annotated[list[_Word], Meta(max_length=1000)] = []
    exclamation_marks: Annotated[int, Meta(ge=0, le=100)] = 0


class Urgency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of urgency; the first that holds counts."""

    high: UrgencyRule = UrgencyRule()
    normal: UrgencyRule = UrgencyRule()


class TaxonomyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file: see the head of this module."""

    concerns: Annotated[dict[_Name, _Words], Meta(min_length=1, max_length=200)]
    languages: Annotated[tuple[_Language, ...], Meta(min_length=1)] = ("en",)
    urgency: Urgency | None = None


@dataclass(frozen=True)
class Taxonomy:
    """Concerns and urgency, compiled.

    Attributes:
        concerns: their names, in the order of the file.
        words: what a lowercased message is searched for; found words are keys of `labels`.
        labels: what each word stands for: names of concerns, and labels that `compile_taxonomy` was given.
        urgent: the words of each level of urgency, compiled.
        marks: from how many exclamation marks on a message has each level; 0: whatever their number.
        languages: of the words, as ISO 639 codes.
    """

    concerns: tuple[str, ...]
    words: re.Pattern[str]
    labels: Mapping[str, frozenset[str]]
    urgent: Mapping[str, re.Pattern[str] | None]
    marks: Mapping[str, int]
    languages: frozenset[str]

    @cached_property
    def fingerprint(self) -> str:
        """Eight hex digits of a digest of all that readings depend on."""
        labels = sorted((word, *sorted(named)) for word, named in self.labels.items())
        urgent = [(level, words and words.pattern, self.marks[level]) for level, words in self.urgent.items()]
        return sha256(repr((self.concerns, labels, urgent, sorted(self.languages))).encode()).hexdigest()[:8]

    def describe(self, lowered: str) -> frozenset[str]:
        """Return the concerns, and the other labels, of the words of a lowercased message."""
        found = self.words.findall(lowered)
        return frozenset().union(*map(self.labels.__getitem__, found)) if found else frozenset()

    def urgency(self, lowered: str) -> str:
        """Return `high`, `normal` or `none` for a lowercased message."""
        exclaimed = lowered.count("!")
        for level, words in self.urgent.items():
            if (0 < self.marks[level] <= exclaimed) or (words is not None and words.search(lowered)):
                return level
        return "none"


def load_taxonomy(path: Path | None, others: Mapping[str, Iterable[str]] | None = None) -> Taxonomy:
    """Read a file of concerns, the shipped one where no path is given.

    Args:
        path: a .json, .yaml or .yml file.
        others: more words to look for, by label.

    Raises:
        TaxonomyError: the file cannot be read or is not as the head of this module says.
    """
    if path is None or path == SHIPPED_FILE:
        return compile_taxonomy(_shipped(), others)
    return compile_taxonomy(read_taxonomy(path), others)


@cache
def _shipped() -> TaxonomyFile:
    return read_taxonomy(SHIPPED_FILE)


def read_taxonomy(path: Path) -> TaxonomyFile:
    """Return the content of a file of concerns.

    Raises:
        TaxonomyError: as for `load_taxonomy`.
    """
    try:
        content = read_regular_file(path, FILE_BYTES, follow=True)
        raw = msgspec.json.decode(content) if path.suffix == ".json" else read_yaml(content.decode()).value
        return msgspec.convert(raw, TaxonomyFile)
    except OSError as error:
        raise TaxonomyError(
            f"{path}: cannot be read ({error.strerror or error}); see HOLDFAST_CONCERNS_FILE"
        ) from error
    except (ValueError, RecursionError, YamlError, msgspec.ValidationError) as error:
        said = " ".join(str(error).split())
        raise TaxonomyError(
            f"{path}: no file of concerns: {said}; write lowercase names with lists of words, as "
            '{"concerns": {"price": ["expensive", "too much"]}}'
        ) from error


def compile_taxonomy(file: TaxonomyFile, others: Mapping[str, Iterable[str]] | None = None) -> Taxonomy:
    """Return a taxonomy ready for use."""
    labels: dict[str, set[str]] = {}
    for name, words in (*file.concerns.items(), *(others or {}).items()):
        for word in words:
            labels.setdefault(_fold(word), set()).add(name)
    for phrase in [each for each in labels if " " in each]:
        # A phrase hides the words in it from the search.
        for word, named in labels.items():
            if word != phrase and re.search(rf"\b{re.escape(word)}\b", phrase):
                labels[phrase] |= named
    shipped = _shipped().urgency if file.urgency is None else None
    rule = file.urgency or shipped or Urgency()
    levels = {"high": rule.high, "normal": rule.normal}
    return Taxonomy(
        tuple(file.concerns),
        _compile(labels),
        {word: frozenset(named) for word, named in labels.items()},
        {level: _compile(map(_fold, each.words)) if each.words else None for level, each in levels.items()},
        {level: each.exclamation_marks for level, each in levels.items()},
        frozenset(file.languages),
    )


def _fold(word: str) -> str:
    return word.translate(CASE_FOLDED).lower()


def _compile(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{_branch(sorted(set(words)))})\b")


def _branch(words: list[str]) -> str:
    """Return an expression for words, the longest first, in which words with the same first letter share it."""
    by_letter: dict[str, list[str]] = {}
    for word in words:
        by_letter.setdefault(word[:1], []).append(word[1:])
    parts = [re.escape(letter) + _tail(rest) for letter, rest in by_letter.items() if letter]
    return "|".join([*parts, *([""] if "" in by_letter else [])])


def _tail(rest: list[str]) -> str:
    return re.escape(rest[0]) if len(rest) == 1 else f"(?:{_branch(rest)})"
