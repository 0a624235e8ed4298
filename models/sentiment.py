"""Reads messages: language, sentiment, concerns, urgency, and the wish to cancel.

Sentiment is from the trained model where one serves (models/text_model.py), and from VADER otherwise: Hutto and
Gilbert (2014), a lexicon with rules for negation, emphasis and punctuation. VADER is a baseline: on short complaints
about a service it is right about half the time. Concerns, urgency and cancellation are found by words; see
models/taxonomy.py.

A message in a language that the sentiment reader does not support is neutral and has no concerns.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from features.signals import MessageReading
from models.language import ALWAYS_READ, identify
from models.plain_text import to_plain
from models.taxonomy import CASE_FOLDED, load_taxonomy
from models.vader import CompoundScore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Protocol

    from models.taxonomy import Taxonomy

    class SentimentModel(Protocol):
        """Scores many texts at once; `languages` are those that it was trained on."""

        version: str
        languages: frozenset[str]

        def read_sentiments(self, texts: Sequence[str]) -> list[float | None]:
            """Return the sentiment of each text from -1 to 1, None where the model gives no usable score."""
            ...


VADER = "vader"
VADER_LANGUAGES = frozenset({"en"})

_ENDED = r"(?:account|subscription|membership|contract|plan|service)"
_CANCELS = re.compile(
    rf"\b(?:cancel|close|delete|terminate|end)\s+(?:my|our|the|this)\s+{_ENDED}"
    r"|\b(?:want|wish|need|like|going|decided)\s+to\s+(?:cancel|leave|quit|unsubscribe)\b"
    r"(?!\s+(?:my|our|the|this|that|an?|one|part)\b)"
    r"|\bstop\s+(?:ordering|buying|shopping)\b"
    r"|\b(?:not|never|won't)\s+(?:be\s+)?(?:order|buy|shop)(?:ing)?\s+(?:\w+\s+){0,3}again\b"
    r"|\bswitch(?:ing)?\s+to\s+(?:another|a different|your competitor)\b"
    r"|^\s*(?:please\s+)?cancel[.!]*\s*$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|never|n't|don't|without)\s+(?:want\w*|wish\w*|going|like|planning)?\s*(?:to\s+)?"
    r"(?:cancel\w*|clos(?:e|ing)|leave|quit|unsubscribe|stop\s+\w+)[^.!?;,]*",
    re.IGNORECASE,
)
# Every cancellation request contains one of these. In capitals: no concern of a file can have this name.
_LEAVING = "LEAVING"
_LEAVING_WORDS = (
    *("cancel", "close", "delete", "terminate", "end", "leave", "quit", "unsubscribe", "stop", "again"),
    *("switch", "switching"),
)


class MessageReader:
    """Reads messages in batches.

    Args:
        taxonomy: concerns and urgency.
        model: what reads sentiment; VADER where None.
    """

    def __init__(self, taxonomy: Taxonomy | None = None, model: SentimentModel | None = None) -> None:
        self._taxonomy = taxonomy or shipped_taxonomy()
        self._model = model
        self._languages = (VADER_LANGUAGES if model is None else model.languages) | ALWAYS_READ
        self._named_languages = self._taxonomy.languages | ALWAYS_READ

    @property
    def version(self) -> str:
        """What a reading depends on: the version of the model, and the concerns."""
        return f"{VADER if self._model is None else self._model.version} {self._taxonomy.fingerprint}"

    def read(self, texts: Sequence[str]) -> list[MessageReading]:
        """Return the reading of each text, of which the first 2,000 characters without markup are read."""
        read = list(map(to_plain, texts))
        languages = list(map(identify, read))
        supported = [language in self._languages for language in languages]
        sentiments = iter(self._read_sentiments([text for text, known in zip(read, supported, strict=True) if known]))
        return [
            self._read_words(text, next(sentiments), language)
            if known
            else MessageReading(sentiment=0.0, language=language, is_supported=False)
            for text, language, known in zip(read, languages, supported, strict=True)
        ]

    def _read_sentiments(self, texts: Sequence[str]) -> list[float]:
        by_vader = _vader()
        if self._model is None:
            return list(map(by_vader.score, texts))
        found = self._model.read_sentiments(texts)
        return [by_vader.score(text) if each is None else each for text, each in zip(texts, found, strict=True)]

    def _read_words(self, text: str, sentiment: float, language: str) -> MessageReading:
        taxonomy = self._taxonomy
        if language not in self._named_languages:
            return MessageReading(sentiment=sentiment, language=language)
        lowered = (text if text.isascii() else text.translate(CASE_FOLDED)).lower()
        described = taxonomy.describe(lowered)
        return MessageReading(
            sentiment=sentiment,
            concerns=tuple(each for each in taxonomy.concerns if each in described) if described else (),
            wants_to_cancel=_LEAVING in described and _wants_to_cancel(text),
            language=language,
            urgency=taxonomy.urgency(lowered),
        )


def read_message(text: str) -> MessageReading:
    """Read one message by VADER and the shipped concerns."""
    return _shipped_reader().read([text])[0]


def load_concerns(path: Path | None) -> Taxonomy:
    """Return the concerns of a file, those that are shipped where None, with the words of a wish to cancel.

    Raises:
        TaxonomyError: see `load_taxonomy`.
    """
    return load_taxonomy(path, {_LEAVING: _LEAVING_WORDS})


@cache
def shipped_taxonomy() -> Taxonomy:
    """Return the concerns that are shipped."""
    return load_concerns(None)


def _wants_to_cancel(text: str) -> bool:
    return _CANCELS.search(_DENIED.sub(" ", text)) is not None


@cache
def _shipped_reader() -> MessageReader:
    return MessageReader()


@lru_cache(maxsize=1)
def _vader() -> CompoundScore:
    return CompoundScore()
