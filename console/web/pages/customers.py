"""The pages of single customers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from console.explanation_views import describe_decision, describe_rule, describe_value
from console.feedback_views import what
from console.timeline_views import describe_entry
from console.use_cases.customer_search import find_customers
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.customer_reading import name_offer, read_customer
from console.web.customer_views import note_view
from console.web.rendering import render
from intelligence.customer_vectors import describe_feature

router = APIRouter(prefix="/customers")
FOUND = 20
ENTRIES = 30
WORDS = {
    "describe_decision": describe_decision,
    "describe_rule": describe_rule,
    "describe_value": describe_value,
    "describe_entry": describe_entry,
    "describe_feature": describe_feature,
    "what": what,
    "name_offer": name_offer,
}


@router.get("")
def find_customer(
    request: Request,
    context: Context,
    _: CustomerViewer,
    beginning: Annotated[str, Query(alias="id", max_length=200)] = "",
) -> Response:
    """Show the search, and the customers whose ids begin as entered."""
    wanted = beginning.replace("\0", "").strip()
    found = find_customers(context.settings, wanted, limit=FOUND + 1)
    shown = {"wanted": wanted, "found": found[:FOUND], "is_cut": len(found) > FOUND}
    template = "customer_found.html" if "HX-Request" in request.headers else "customer_search.html"
    return render(request, template, shown)


@router.get("/{customer_id:path}")
def show_customer(
    request: Request,
    customer_id: str,
    context: Context,
    principal: CustomerViewer,
    entries: Annotated[int, Query(ge=1, le=5_000)] = ENTRIES,
    done: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show what is known of a customer, what was decided, and why."""
    view = read_customer(context, principal, customer_id.replace("\0", ""), entries=entries)
    note_view(context, principal, customer_id, "customer")
    return render(request, "customer.html", {"view": view, "entries": entries, "done": done, **WORDS})
