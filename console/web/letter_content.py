"""What a principal may see of a dead letter's content, which may be anything that a producer sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from console.access.roles import Permission
from console.dead_letter_views import read_text, render
from console.web.customer_views import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Collection

    from console.access.roles import Principal

SHOWN_BYTES = 4_096
WORDS = frozenset({"text", "message", "body", "subject"})
"""Fields that hold what a customer wrote or was written."""


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
    shown = json.dumps(_hide(content, WORDS | set(personal)), indent=2, ensure_ascii=False)
    return render(shown.encode(errors="replace"), SHOWN_BYTES)


def _hide(content: Any, names: Collection[str]) -> Any:
    if isinstance(content, dict):
        return {
            name: HIDDEN if name.lower() in names and part is not None else _hide(part, names)
            for name, part in content.items()
        }
    return [_hide(part, names) for part in content] if isinstance(content, list) else content
