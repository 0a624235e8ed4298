"""The plain text of a message: without markup, in one form of letters, cut to what is read."""

from __future__ import annotations

import html
import re
from unicodedata import normalize

READ_AT_MOST = 2000
"""Characters of a message that are read."""
_SCANNED = 5
"""Characters with markup that are looked at for each one that is read: the head of an HTML mail may be long."""
_HIDDEN = re.compile(r"<(style|script|head)\b[^>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[/!]?[a-zA-Z][^<>]*>", re.DOTALL)


def to_plain(text: str) -> str:
    """Return the text that people see, at most `READ_AT_MOST` characters: no tags, no styles, composed letters."""
    text = strip_markup(text, READ_AT_MOST)
    return text if text.isascii() else normalize("NFC", text)


def strip_markup(text: str, most: int) -> str:
    """Return the text that people see, at most so many characters: no tags, comments and styles, entities read."""
    text = text[: _SCANNED * most]
    if "<" in text:
        text = _TAG.sub(" ", _HIDDEN.sub(" ", text)).lstrip()
    if "&" in text:
        text = html.unescape(text)
    return text[:most]
