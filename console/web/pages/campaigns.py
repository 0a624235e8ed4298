"""The pages of campaigns: where each stands, its messages, its effect, and who was not contacted and why."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from campaigns.definition import Launch
from campaigns.definition_versions import name_campaign
from campaigns.exposures import TREATED
from campaigns.guardrails import Reason
from console.access.roles import Permission
from console.performance_page import FRAME, HEIGHT, WIDTH, draw_chart
from console.performance_views import (
    CONTACT_HEADINGS,
    EFFECT_HEADINGS,
    LEVEL,
    VARIANT_HEADINGS,
    VERSION_HEADINGS,
    comparison_headings,
    comparison_rows,
    contact_rows,
    describe_measured,
    effect_rows,
    find_tone,
    headline,
    key_figures,
    sentences,
    variant_rows,
    version_rows,
)
from console.use_cases.campaign_overview import (
    count_decided,
    list_campaign_states,
    list_decided,
    measure_caps,
    plan_launch,
    read_campaign,
)
from console.use_cases.campaign_stops import resume_campaign, stop_campaign
from console.use_cases.definition_edits import read_versions
from console.use_cases.message_preview import preview_messages
from console.use_cases.performance import find_campaign, measure_campaign
from console.web.authentication import CustomerViewer, Editor, Reader, Stopper
from console.web.context import Context
from console.web.customer_views import hide_quoted
from console.web.funnel import draw_funnel
from console.web.inputs import GivenReason, Name
from console.web.job_desk import begin_launch
from console.web.rendering import render
from streams.definitions import read_definitions

router = APIRouter(prefix="/campaigns")
Key = Annotated[str, Path(max_length=64)]
Why = Annotated[GivenReason, Form()]
Days = Annotated[int, Query(ge=1, le=3_650)]
PAGE = 50
REASON_WORDS = {
    Reason.ENTERED_SEGMENT: "entered the segment",
    Reason.LEFT_SEGMENT: "left the segment",
    Reason.EVENT_OCCURRED: "an event of a member",
    Reason.LAUNCHED: "launched",
    Reason.HOLDOUT: "held out, to measure the effect",
    Reason.FIRST_EVALUATION: "first evaluation under a changed rule or model",
    Reason.NOT_A_MEMBER: "no longer a member when the launch came",
    Reason.EXPIRED: "the event was too old",
    Reason.DO_NOT_CONTACT: "asked not to be contacted",
    Reason.NO_CONSENTED_CHANNEL: "no consent for any channel",
    Reason.UNREADABLE_CONSENT: "consent could not be read",
    Reason.COOLDOWN: "contacted by this campaign before (cooldown)",
    Reason.CONTACT_LIMIT: "a limit on contacts was reached",
    Reason.NO_ELIGIBLE_OFFER: "no offer may be made to them",
    Reason.MESSAGE_FAILED: "the message could not be written",
    Reason.NEGATIVE_VALUE: "costs more than it brings",
    Reason.NEGATIVE_UPLIFT: "contact would do harm",
    Reason.OUTRANKED: "another campaign came first",
    Reason.STOPPED: "the campaign was stopped",
}

LAUNCH_WORDS = {
    Launch.ON_ENTER: "when they enter",
    Launch.ON_LEAVE: "when they leave",
    Launch.ON_EVENT: "at an event",
    Launch.BY_OPERATOR: "when launched",
}


@router.get("")
def list_campaigns(request: Request, context: Context, _: Reader) -> Response:
    """Show every campaign and where it stands."""
    return render(
        request, "campaigns.html", {"states": list_campaign_states(context.settings), "LAUNCH_WORDS": LAUNCH_WORDS}
    )


@router.get("/{key}")
def show_campaign(request: Request, key: Key, context: Context, _: Reader) -> Response:
    """Show a campaign: its definition, where it stands, and what can be done."""
    state = read_campaign(context.settings, key)
    definition = state.campaign.model_dump(mode="json", exclude_defaults=True)
    plan = plan_launch(context.settings, state.campaign)
    shown = {"state": state, "definition": definition, "plan": plan, "new_launch": uuid.uuid4().hex[:12]}
    shown |= {"LAUNCH_WORDS": LAUNCH_WORDS, "versions": read_versions(context.settings, name_campaign(key))}
    return render(request, "campaign.html", shown)


@router.get("/{key}/messages")
def show_messages(request: Request, key: Key, context: Context, principal: CustomerViewer) -> Response:
    """Show the campaign's messages as some customers would get them."""
    hidden = () if principal.may(Permission.SEE_PERSONAL) else context.settings.personal_columns
    found = preview_messages(context.settings, key, hidden=hidden)
    for each in found.customers:
        context.accounts.record(
            principal.name, "preview message", key, customer_id=each.customer_id, detail={"campaign": key}
        )
    return render(request, "campaign_messages.html", {"found": found})


@router.get("/{key}/performance")
def show_performance(request: Request, key: Key, context: Context, principal: Reader, days: Days = 90) -> Response:
    """Show what the campaign has achieved, and whom it did not contact and why."""
    settings = context.settings
    campaign = find_campaign(read_definitions(settings).campaigns, key)
    kept = context.figures.find(
        (key, campaign.version, days),
        lambda: (measure_campaign(settings, key), count_decided(settings, key, days=days), measure_caps(settings, key)),
    )
    shown: dict[str, Any] = {"campaign": campaign, "days": days, "kept": kept}
    if kept.value is None:
        return render(request, "campaign_performance_pending.html", shown)
    found, decided, caps = kept.value
    shown |= {
        "described": describe_measured(found),
        "tone": find_tone(found),
        "headline": headline(found),
        "sentences": sentences(found),
        "tiles": key_figures(found),
        "chart": draw_chart(found.days),
        "frame": FRAME,
        "width": WIDTH,
        "height": HEIGHT,
        "level": LEVEL,
        "funnel": draw_funnel(found.contacts[TREATED]),
        "contacts": (CONTACT_HEADINGS, contact_rows(found)) if found.customers else None,
        "effect": (EFFECT_HEADINGS, effect_rows(found.effect)) if found.effect else None,
        "variants": (VARIANT_HEADINGS, variant_rows(found)) if found.variants else None,
        "comparison": (comparison_headings(found), rows) if (rows := comparison_rows(found)) else None,
        "versions": (VERSION_HEADINGS, version_rows(found)) if len(found.versions) > 1 else None,
        "caps": [(each, Reason.COOLDOWN if each.limit is None else Reason.CONTACT_LIMIT) for each in caps],
        "decided": [each for each in decided if each.outcome != "fired"],
        "reason_words": REASON_WORDS,
        "may_view": principal.may(Permission.VIEW_CUSTOMERS),
    }
    return render(request, "campaign_performance.html", shown)


@router.get("/{key}/decided")
def show_decided(
    request: Request,
    key: Key,
    context: Context,
    principal: CustomerViewer,
    outcome: Annotated[str, Query(pattern="^(fired|control|withheld)$")],
    reason: Annotated[Reason, Query()],
    after: Annotated[Name, Query()] = "",
    days: Days = 90,
) -> Response:
    """Show the customers behind a figure of the performance page."""
    found = list_decided(context.settings, key, outcome, reason, days=days, after=after, limit=PAGE + 1)
    context.accounts.record(principal.name, "list customers by decision", key, detail={"reason": reason})
    shown = {
        "key": key,
        "outcome": outcome,
        "reason": reason,
        "words": REASON_WORDS[reason],
        "days": days,
        "customers": [replace(each, detail=hide_quoted(reason, each.detail, principal)) for each in found[:PAGE]],
        "next": found[PAGE - 1].customer_id if len(found) > PAGE else None,
    }
    return render(request, "campaign_decided.html", shown)


@router.post("/{key}/stop")
def stop(key: Key, context: Context, principal: Stopper, why: Why) -> Response:
    """Stop a campaign until it is resumed."""
    stop_campaign(context.settings, key, reason=why, actor=principal.name)
    context.accounts.record(principal.name, "stop campaign", key, detail={"why": why})
    return RedirectResponse(f"/campaigns/{key}", 303)


@router.post("/{key}/resume")
def resume(key: Key, context: Context, principal: Stopper, why: Why) -> Response:
    """Let a stopped campaign contact customers again."""
    resume_campaign(context.settings, key, reason=why, actor=principal.name)
    context.accounts.record(principal.name, "resume campaign", key, detail={"why": why})
    return RedirectResponse(f"/campaigns/{key}", 303)


@router.post("/{key}/launch")
def launch(
    key: Key,
    context: Context,
    principal: Editor,
    launch_id: Annotated[str, Form(pattern="^[0-9A-Za-z_-]{1,100}$")],
) -> Response:
    """Ask for all members of the campaign's segment; the id of the form keeps a second press from a second launch."""
    return RedirectResponse(f"/jobs/{begin_launch(context, principal, key, launch_id).job_id}", 303)
