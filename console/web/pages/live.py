"""What happens now: rates, decisions and alerts as they come."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from console.use_cases.live import read_latest
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.customer_views import mask_event
from console.web.rendering import render

router = APIRouter()
SHOWN = 50


@router.get("/live")
def show_live(request: Request, context: Context, principal: CustomerViewer) -> Response:
    """Show the latest decisions and alerts; the browser adds those that come."""
    context.accounts.record(principal.name, "watch decisions", "live")
    found = read_latest(context.settings, limit=SHOWN)
    shown = replace(found, decisions=[mask_event(each, principal) for each in found.decisions])
    return render(request, "live.html", {"live": shown, "status": context.status.read()})


@router.get("/parts/live")
def show_rates(request: Request, context: Context, _: CustomerViewer) -> Response:
    """Return the rates, for the page to replace."""
    shown = {"live": read_latest(context.settings, limit=1), "status": context.status.read()}
    return render(request, "live_rates.html", shown)
