"""What happens now: rates, decisions and alerts as they come."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from console.use_cases.live import read_latest
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.rendering import render

router = APIRouter()
SHOWN = 50


@router.get("/live")
def show_live(request: Request, context: Context, principal: CustomerViewer) -> Response:
    """Show the latest decisions and alerts; the browser adds those that come."""
    context.accounts.record(principal.name, "watch decisions", "live")
    return render(
        request, "live.html", {"live": read_latest(context.settings, limit=SHOWN), "status": context.status.read()}
    )


@router.get("/parts/live")
def show_rates(request: Request, context: Context, _: CustomerViewer) -> Response:
    """Return the rates, for the page to replace."""
    shown = {"live": read_latest(context.settings, limit=1), "status": context.status.read()}
    return render(request, "live_rates.html", shown)
