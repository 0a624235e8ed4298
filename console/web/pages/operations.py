"""The pages of operators: the deployment, stopped campaigns, dead letters, replays and the audit log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from campaigns.dead_letters import Resolution, refuse_requeue
from campaigns.postgres_dead_letters import NO_NUMBER
from console.dead_letter_views import build_filter, describe_source, inline, report
from console.replay_views import COUNT_HEADINGS, REASON_HEADINGS, count_rows, headline, reason_rows, sentences
from console.status_view import describe_ranges, describe_seconds
from console.use_cases.campaign_stops import find_stops, resume_campaign, stop_campaign
from console.use_cases.dead_letters import (
    describe_resolution,
    discard_dead_letters,
    list_dead_letters,
    read_dead_letter,
    requeue,
)
from console.use_cases.replay import find_replays
from console.use_cases.replay_results import read_replay
from console.web.authentication import Operator, Stopper
from console.web.context import Context, WebContext
from console.web.cursors import read_cursor, write_cursor
from console.web.errors import NotFoundError
from console.web.inputs import Cursor, GivenReason, Name
from console.web.letter_content import show_content, show_detail, show_headers
from console.web.rendering import render
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from console.access.roles import Principal

router = APIRouter(prefix="/operations")
IN_A_PAGE = 50
REQUEUED_AT_ONCE = 1_000
STATUSES = (*(each.value for each in Resolution), "all")
Filled = Annotated[Name, Form()]


@router.get("")
def show_operations(request: Request, context: Context, _: Operator) -> Response:
    """Show partitions, workers, services and campaigns."""
    return render(request, "operations.html", _find_operations(context))


@router.get("/parts/state")
def show_state(request: Request, context: Context, _: Operator) -> Response:
    """Return the part of the page that changes, for the page to replace."""
    return render(request, "operations_state.html", _find_operations(context))


def _find_operations(context: WebContext) -> dict[str, object]:
    campaigns = read_definitions(context.settings).campaigns
    return {
        "status": context.status.read(),
        "campaigns": campaigns,
        "stops": find_stops(context.settings),
        "describe_seconds": describe_seconds,
        "describe_ranges": describe_ranges,
    }


@router.post("/campaigns/stop")
def stop(campaign: Filled, why: Annotated[GivenReason, Form()], context: Context, principal: Stopper) -> Response:
    """Stop a campaign until it is resumed."""
    if stop_campaign(context.settings, campaign, reason=why, actor=principal.name) is None:
        context.accounts.record(principal.name, "stop campaign", campaign, detail={"why": why})
    return RedirectResponse("/operations#campaigns", 303)


@router.post("/campaigns/resume")
def resume(campaign: Filled, why: Annotated[GivenReason, Form()], context: Context, principal: Stopper) -> Response:
    """Let a stopped campaign contact customers again."""
    if resume_campaign(context.settings, campaign, reason=why, actor=principal.name):
        context.accounts.record(principal.name, "resume campaign", campaign, detail={"why": why})
    return RedirectResponse("/operations#campaigns", 303)


@router.get("/dead-letters")
def list_letters(
    request: Request,
    context: Context,
    principal: Operator,
    status: Name = "open",
    reason: Name = "",
    topic: Name = "",
    customer: Name = "",
    cursor: Cursor = None,
) -> Response:
    """Show dead letters, the newest first, and how many there are for each reason."""
    chosen = {
        "status": status if status in STATUSES else "open",
        "reason": reason,
        "topic": topic,
        "customer": customer,
    }
    return _show_letters(request, context, principal, chosen, cursor, notices=[])


@router.post("/dead-letters/requeue")
def requeue_letters(
    request: Request,
    context: Context,
    principal: Operator,
    letter: Filled = "",
    reason: Filled = "",
    topic: Filled = "",
    customer: Filled = "",
) -> Response:
    """Send a letter back to its topic, or all open ones that match the filter."""
    ids = [letter] if letter else None
    wanted = build_filter(
        context.settings.topic_prefix, topic=topic or None, ids=ids, reason=reason or None, customer=customer or None
    )
    done = requeue(context.settings, wanted, by=principal.name, limit=None if ids else REQUEUED_AT_ONCE)
    detail = {name: each for name, each in {"id": letter, "reason": reason, "topic": topic}.items() if each}
    context.accounts.record(principal.name, "requeue dead letters", f"{len(done.sent)} letters", detail=detail)
    chosen = {"status": "open", "reason": reason, "topic": topic, "customer": customer}
    return _show_letters(request, context, principal, chosen, None, notices=report(done))


@router.post("/dead-letters/discard")
def discard_letter(
    request: Request, context: Context, principal: Operator, letter: Filled, why: Annotated[GivenReason, Form()]
) -> Response:
    """Mark an open letter as never to be sent again."""
    done = discard_dead_letters(context.settings, [letter], by=principal.name, why=why)
    context.accounts.record(principal.name, "discard dead letters", letter, detail={"why": why})
    chosen = {"status": "open", "reason": "", "topic": "", "customer": ""}
    notices = [f"discarded {len(done.ids)}", *map(describe_resolution, done.others)]
    return _show_letters(request, context, principal, chosen, None, notices=notices)


@router.get("/dead-letters/{letter_id:path}")
def show_letter(
    request: Request, letter_id: Annotated[Name, Path(min_length=1)], context: Context, principal: Operator
) -> Response:
    """Show a dead letter: why it is one, where its record was, and its content."""
    letter, value = read_dead_letter(context.settings, letter_id)
    personal = context.settings.personal_columns
    customer = None if letter.key is None else inline(letter.key)
    context.accounts.record(principal.name, "view dead letter", letter_id, customer_id=customer)
    shown = {
        "letter": letter,
        "detail": show_detail(letter.detail, principal),
        "key": customer,
        "content": show_content(value, principal, personal),
        "headers": show_headers(letter.headers, principal, personal),
        "source": describe_source(letter),
        "resolution": describe_resolution(letter),
        "refusal": refuse_requeue(letter),
    }
    return render(request, "dead_letter.html", shown)


@router.get("/replays")
def list_replays(request: Request, context: Context, _: Operator) -> Response:
    """Show the replays that are left, and how to begin one."""
    return render(request, "replays.html", {"replays": find_replays(context.settings)})


@router.get("/replays/{replay_id}")
def show_replay(
    request: Request,
    replay_id: Annotated[str, Path(pattern="^[0-9a-f]{8}$")],
    context: Context,
    principal: Operator,
) -> Response:
    """Show what a kept replay would have sent, compared with what was sent."""
    found = read_replay(context.settings, replay_id)
    if found is None:
        raise NotFoundError(f"there is no replay {replay_id!r}")
    context.accounts.record(principal.name, "view replay", replay_id)
    shown = {
        "replay": found,
        "headline": headline(found),
        "counts": (COUNT_HEADINGS, count_rows(found)),
        "reasons": (REASON_HEADINGS, reason_rows(found)),
        "sentences": list(sentences(found)),
    }
    return render(request, "replay.html", shown)


@router.get("/audit")
def show_audit(
    request: Request, context: Context, _: Operator, actor: Name = "", customer: Name = "", cursor: Cursor = None
) -> Response:
    """Show the audit log, the latest entry first."""
    found = context.accounts.list_audit(
        before=read_cursor(cursor), limit=IN_A_PAGE, actor=actor or None, customer_id=customer or None
    )
    following = write_cursor(found[-1].entry_id) if len(found) == IN_A_PAGE else None
    shown = {"entries": found, "actor": actor, "customer": customer, "following": following}
    return render(request, "audit.html", shown)


def _show_letters(
    request: Request,
    context: WebContext,
    principal: Principal,
    chosen: dict[str, str],
    cursor: str | None,
    *,
    notices: list[str],
) -> Response:
    status, topic = chosen["status"], chosen["topic"] or None
    wanted = build_filter(
        context.settings.topic_prefix,
        topic=topic,
        resolution=None if status == "all" else Resolution(status),
        reason=chosen["reason"] or None,
        customer=chosen["customer"] or None,
    )
    before = read_cursor(cursor)
    found = list_dead_letters(context.settings, wanted, limit=IN_A_PAGE, before=NO_NUMBER if before is None else before)
    shown = {
        "found": found,
        "letters": [replace(each, detail=show_detail(each.detail, principal)) for each in found.letters],
        "chosen": chosen,
        "statuses": STATUSES,
        "notices": notices,
        "following": write_cursor(found.letters[-1].number) if len(found.letters) == IN_A_PAGE else None,
        "requeued_at_once": REQUEUED_AT_ONCE,
        "describe_source": describe_source,
    }
    return render(request, "dead_letters.html", shown)
