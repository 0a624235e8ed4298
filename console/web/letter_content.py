"""What a principal may see of a dead letter's content, which may be anything that a producer sent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from console.access.roles import Permission
from console.dead_letter_views import inline, read_text, render
from console.web.customer_views import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Collection

    from campaigns.triggers import Headers
    from console.access.roles import Principal

SHOWN_BYTES = 4_096
WORDS = frozenset({"text", "message", "body", "subject"})
"""Fields that hold what a customer wrote or was written."""
_QUOTING = re.compile(r"(raises \w+|fit schema \d+): .*", re.DOTALL)
"""What comes of an exception may quote the record."""


def show_content(value: bytes | None, principal: Principal, personal: Collection[str]) -> str:
    """Return a letter's value as text.

    Who may not see personal columns sees JSON without the personal columns and without words of customers, and of
    anything else only its size: it is not known what in it is personal.
    """
    if not value or principal.may(Permission.SEE_PERSONAL):
        return render(value, SHOWN_BYTES)
    text = read_text(value)
    try:
        content = json.loads(text or "")
    except (ValueError, RecursionError):
        return f"{HIDDEN}: {len(value):,} bytes that are no JSON, so what in them is personal is not known"
    shown = json.dumps(_hide(content, _fold(personal)), indent=2, ensure_ascii=False)
    return render(shown.encode(errors="replace"), SHOWN_BYTES)


def show_detail(detail: str, principal: Principal) -> str:
    """Return why a record is a dead letter, what it quotes of it hidden from who may not see personal columns."""
    return detail if principal.may(Permission.SEE_PERSONAL) else _QUOTING.sub(rf"\1: {HIDDEN}", detail)


def show_headers(headers: Headers, principal: Principal, personal: Collection[str]) -> list[tuple[str, str]]:
    """Return the producer's headers as text, those named as personal columns hidden from who may not see them."""
    names = frozenset[str]() if principal.may(Permission.SEE_PERSONAL) else _fold(personal)
    return [(name, HIDDEN if name.casefold() in names and cell is not None else inline(cell)) for name, cell in headers]


def _fold(personal: Collection[str]) -> frozenset[str]:
    return WORDS | {name.casefold() for name in personal}


def _hide(content: Any, names: Collection[str]) -> Any:
    if isinstance(content, dict):
        return {
            name: HIDDEN if name.casefold() in names and part is not None else _hide(part, names)
            for name, part in content.items()
        }
    return [_hide(part, names) for part in content] if isinstance(content, list) else content
