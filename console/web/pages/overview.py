"""The first page: what needs attention, and the state of everything."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from console.web.authentication import Reader
from console.web.context import Context
from console.web.rendering import render

router = APIRouter()


@router.get("/")
def show_overview(request: Request, context: Context, _: Reader) -> Response:
    """Show the state of the deployment."""
    return render(request, "overview.html", {"status": context.status.read()})


@router.get("/parts/overview")
def show_state(request: Request, context: Context, _: Reader) -> Response:
    """Return the part of the first page that changes, for the page to replace."""
    return render(request, "overview_state.html", {"status": context.status.read()})
