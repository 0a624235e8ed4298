"""The pages of single customers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from console.explanation_views import describe_decision, describe_rule
from console.feedback_views import describe_feedback
from console.use_cases.explanations import explain_customer
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.customer_views import mask, note_view
from console.web.links import customer_address
from console.web.rendering import render

router = APIRouter(prefix="/customers")


@router.get("")
def find_customer(
    request: Request, _: CustomerViewer, customer_id: Annotated[str, Query(alias="id", max_length=200)] = ""
) -> Response:
    """Show the search, or go to the customer whose id was entered."""
    if wanted := customer_id.strip():
        return RedirectResponse(customer_address(wanted), 303)
    return render(request, "customer_search.html")


@router.get("/{customer_id:path}")
def show_customer(request: Request, customer_id: str, context: Context, principal: CustomerViewer) -> Response:
    """Show what is known of a customer, what was decided, and why."""
    found = explain_customer(context.settings, customer_id)
    note_view(context, principal, customer_id, "customer")
    shown = {
        "customer": found,
        "facts": mask(found.facts, principal, context.settings.personal_columns),
        "describe_decision": describe_decision,
        "describe_rule": describe_rule,
        "describe_feedback": describe_feedback,
    }
    return render(request, "customer.html", shown)
