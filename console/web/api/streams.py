"""Decisions and alerts as Server-Sent Events."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from console.use_cases.live import ALERTS, DECISION
from console.web.authentication import CustomerViewer
from console.web.context import Context
from console.web.customer_views import mask_event

if TYPE_CHECKING:
    from console.access.roles import Principal
    from console.web.context import WebContext

router = APIRouter(tags=["live"])
LastEventId = Annotated[
    int | None, Header(ge=0, lt=2**63, description="The id of the last event that was received: later ones follow.")
]


def _check_room(context: Context, principal: CustomerViewer) -> None:
    context.live.check_room()
    context.accounts.record(principal.name, "watch decisions", "live")


@router.get("/decisions/stream", response_class=EventSourceResponse, dependencies=[Depends(_check_room)])
async def stream_decisions(
    context: Context, principal: CustomerViewer, last_event_id: LastEventId = None
) -> AsyncIterable[ServerSentEvent]:
    """Send each decision as an event `decision` when it is made; a stream ends after ten minutes, then come again."""
    async for each in _stream(context, principal, frozenset({DECISION}), last_event_id):
        yield each


@router.get("/alerts/stream", response_class=EventSourceResponse, dependencies=[Depends(_check_room)])
async def stream_alerts(
    context: Context, principal: CustomerViewer, last_event_id: LastEventId = None
) -> AsyncIterable[ServerSentEvent]:
    """Send `hot_lead`, `churn_warning` and `campaign_stopped` as they come."""
    async for each in _stream(context, principal, ALERTS, last_event_id):
        yield each


async def _stream(
    context: WebContext, principal: Principal, kinds: frozenset[str], last_event_id: int | None
) -> AsyncIterable[ServerSentEvent]:
    # At once, so that the client knows that it listens.
    yield ServerSentEvent(comment="listening", retry=2_000)
    async for event in context.live.listen(kinds, last_event_id):
        each = mask_event(event, principal)
        yield ServerSentEvent(
            event=each.kind, id=str(each.sequence), data={"at": each.at.isoformat(), "kind": each.kind, **each.body}
        )
