"""How many parts a text message is sent in, by 3GPP TS 23.038 and 23.040.

Text of the GSM 7-bit default alphabet takes 160 characters in one part, or 153 in each of several; some characters, as
the euro sign, take two places. Other text is sent in UTF-16: 70 code units in one part, or 67 in each of several. A
character that takes two places is not divided between parts.
"""

from __future__ import annotations

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_GSM_PLACES, _UTF16_PLACES = (160, 153), (70, 67)
_FIRST_OF_TWO_UNITS = "\U00010000"


def count_segments(text: str) -> int:
    """Return the number of parts."""
    if all(letter in _BASIC or letter in _EXTENDED for letter in text):
        return _fill([2 if letter in _EXTENDED else 1 for letter in text], *_GSM_PLACES)
    return _fill([2 if letter >= _FIRST_OF_TWO_UNITS else 1 for letter in text], *_UTF16_PLACES)


def _fill(places: list[int], alone: int, together: int) -> int:
    if sum(places) <= alone:
        return 1
    parts, used = 1, 0
    for each in places:
        if used + each > together:
            parts, used = parts + 1, 0
        used += each
    return parts
