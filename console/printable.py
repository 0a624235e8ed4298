"""Text that is safe on a terminal."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Escape what a terminal might obey: the author of an event is not trusted with it.

    Args:
        text: any text.
        keep: characters that are left as they are.
    """
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text
    )
