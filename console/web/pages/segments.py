"""The pages of segments: where each stands, and who is in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from campaigns.definition_versions import name_segment
from console.access.roles import Permission
from console.use_cases.definition_edits import read_versions
from console.use_cases.segment_overview import list_members_after, list_segment_states, read_segment
from console.use_cases.segment_sizes import DAY, RECENT_DAYS, read_sizes
from console.use_cases.segments import activate_segment
from console.web.authentication import CustomerViewer, Editor, Reader
from console.web.context import Context
from console.web.inputs import GivenReason, Name
from console.web.rendering import render
from console.web.size_charts import FRAME, SIZE, SPARK, draw_sizes, draw_sparkline
from segments.engine import MODES, Mode
from segments.rule_tree import draw_rule, write_json

router = APIRouter(prefix="/segments")
Key = Annotated[str, Path(max_length=64)]
Days = Annotated[int, Query(ge=1, le=3_650)]
PAGE = 50
MODE_WORDS = {
    "silent": "silent: the change itself contacts no customer",
    "new": "new only: contacts those whom the former version would not have had",
    "emit": "emit: contacts all who enter",
}
"""What first evaluations under a changed rule may fire, for people."""


@router.get("")
def list_segments(request: Request, context: Context, _: Reader) -> Response:
    """Show every segment and where it stands."""
    states = list_segment_states(context.settings)
    shown = {"states": [(each, draw_sparkline(each.sizes, DAY)) for each in states], "spark": SPARK}
    return render(request, "segments.html", shown)


@router.get("/{key}")
def show_segment(request: Request, key: Key, context: Context, principal: Reader, days: Days = RECENT_DAYS) -> Response:
    """Show a segment: its rule, where it stands, its sizes, its history, and members to those who may see customers."""
    detail, now = read_segment(context.settings, key), datetime.now(UTC)
    history = read_sizes(context.settings, key, since=now - days * DAY, until=now)
    rules = json.loads(detail.state.segment.rules)
    shown = {
        "state": detail.state,
        "activations": detail.activations,
        "days": days,
        "sizes": draw_sizes(history.sizes, history.step, detail.activations),
        "frame": FRAME,
        "size": SIZE,
        "versions": read_versions(context.settings, name_segment(key)),
        "rules": rules,
        "modes": MODE_WORDS,
        "may_view": principal.may(Permission.VIEW_CUSTOMERS),
        "draw": draw_rule,
        "write_json": write_json,
    }
    return render(request, "segment.html", shown)


@router.get("/{key}/members")
def show_members(
    request: Request,
    key: Key,
    context: Context,
    principal: CustomerViewer,
    after: Annotated[Name, Query()] = "",
) -> Response:
    """Show members of a segment, page by page."""
    found = list_members_after(context.settings, key, after=after, limit=PAGE + 1)
    context.accounts.record(principal.name, "list members", key)
    shown = {"key": key, "members": found[:PAGE], "next": found[PAGE - 1].customer_id if len(found) > PAGE else None}
    return render(request, "segment_members.html", shown)


@router.post("/{key}/activation")
def activate(
    key: Key,
    context: Context,
    principal: Editor,
    mode: Annotated[str, Form(pattern=f"^({'|'.join(MODES)})$")],
    why: Annotated[GivenReason, Form()],
) -> Response:
    """Say what first evaluations under the present rules may fire."""
    activate_segment(context.settings, key, cast("Mode", mode), by=principal.name, why=why)
    context.accounts.record(principal.name, f"activate segment as {mode}", key, detail={"why": why})
    return RedirectResponse(f"/segments/{key}", 303)
