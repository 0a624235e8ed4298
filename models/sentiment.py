"""Reads a customer's message: sentiment by VADER, concerns and cancellation by keywords.

VADER: Hutto and Gilbert (2014), a lexicon with rules for negation, emphasis and punctuation. It is a baseline: on
short complaints about a service it is right about half the time.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from features.signals import MessageReading
from models.vader import CompoundScore

if TYPE_CHECKING:
    from collections.abc import Mapping

READ_AT_MOST = 2000

CONCERNS: Mapping[str, str] = {
    "price": r"prices?|pric(?:ey|ing)|expensive|costs?|costly|charged?|overcharged|fees?",
    "delivery": r"deliver(?:y|ed|ies|ing)?|shipping|shipped|parcels?|courier|late|arrived?",
    "quality": r"quality|broken?|damaged?|defective|faulty|cracked|scratched",
    "service": r"service|support|rude|unhelpful|ignor(?:e|es|ed|ing)|nobody (?:answers|has replied)",
    "refund": r"refund(?:s|ed)?|return(?:s|ed|ing)?|money back",
    "website": r"web ?site|app|checkout|log ?in|password|crash(?:ed|es)?",
}
"""Regular expression of each concern's words, matched as whole words in any case; concerns share no words."""

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
# Every cancellation request contains one of these.
_LEAVING = r"cancel|close|delete|terminate|end|leave|quit|unsubscribe|stop|again|switch(?:ing)?"
# All of them in one pass over the lowercased text.
_NAMED = "|".join(f"(?P<{name}>{words})" for name, words in {**CONCERNS, "leaving": _LEAVING}.items())
_KEYWORDS = re.compile(rf"\b(?:{_NAMED})\b")
# Letters that match i, s and k if case is ignored, but that lower() does not map to them.
_CASE_FOLDED = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")


def read_message(text: str) -> MessageReading:
    """Read one message in English.

    Sentiment is VADER's compound score from -1 to 1. Only the first 2,000 characters are read.
    """
    read = text[:READ_AT_MOST]
    plain = read if read.isascii() else read.translate(_CASE_FOLDED)
    described = {match.lastgroup for match in _KEYWORDS.finditer(plain.lower())}
    return MessageReading(
        sentiment=_sentiment().score(read),
        concerns=tuple(concern for concern in CONCERNS if concern in described),
        wants_to_cancel="leaving" in described and _wants_to_cancel(read),
    )


def _wants_to_cancel(text: str) -> bool:
    return _CANCELS.search(_DENIED.sub(" ", text)) is not None


@lru_cache(maxsize=1)
def _sentiment() -> CompoundScore:
    return CompoundScore()
