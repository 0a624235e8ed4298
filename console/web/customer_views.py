"""What a principal may see of a customer, and the record that they looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.access.roles import Permission

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from console.access.roles import Principal
    from console.web.context import WebContext

HIDDEN = "hidden"


def mask(facts: Mapping[str, Any], principal: Principal, personal: Collection[str]) -> dict[str, Any]:
    """Return facts, those that identify a customer hidden from who may not see them."""
    if principal.may(Permission.SEE_PERSONAL):
        return dict(facts)
    return {name: HIDDEN if name in personal and cell is not None else cell for name, cell in facts.items()}


def note_view(context: WebContext, principal: Principal, customer_id: str, what: str) -> None:
    """Record that somebody looked at a customer."""
    context.accounts.record(principal.name, f"view {what}", customer_id, customer_id=customer_id)
