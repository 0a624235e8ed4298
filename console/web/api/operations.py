"""Operations: partitions and what waits in them, replays, and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from console.replay_views import as_object
from console.use_cases.replay import drop_replay, find_replays
from console.use_cases.replay_results import read_replay
from console.web.authentication import Operator, Reader
from console.web.context import Context
from console.web.cursors import read_cursor, write_cursor
from console.web.customer_views import mask_replay
from console.web.errors import NotFoundError
from console.web.inputs import Cursor, Name, PageSize
from streams.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from campaigns.postgres_replays import ReplayRecord

router = APIRouter(tags=["operations"])
ReplayId = Annotated[str, Path(pattern="^[0-9a-f]{8}$", examples=["1f3a90c2"])]


class Partition(BaseModel):
    """A partition of an input topic, and how far the workers have come."""

    topic: str
    partition: int
    committed: int
    end: int
    lag: int = Field(description="Offsets that wait to be read.")


class Replay(BaseModel):
    """A replay that was interrupted or kept."""

    id: str
    state: str = Field(examples=["kept", "interrupted", "not begun"])
    begin: datetime | None
    end: datetime | None
    records: int | None
    by: str | None
    started_at: datetime | None


class AuditEntry(BaseModel):
    """A line of the audit log."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    customer_id: str | None
    detail: dict[str, Any]
    address: str | None


class AuditPage(BaseModel):
    """Lines of the audit log, the latest first."""

    entries: list[AuditEntry]
    next_cursor: str | None


@router.get("/partitions")
def list_partitions(context: Context, _: Reader) -> list[Partition]:
    """Return each partition of the input topics, and how far the workers have come in it."""
    status = context.status.read()
    if status.marks.positions is None:
        raise BrokerUnavailableError(status.lag.problem or "how far the workers have come is not known")
    return [
        Partition(topic=topic, partition=number, committed=each.committed, end=each.end, lag=each.lag)
        for (topic, number), each in sorted(status.marks.positions.by_partition.items())
    ]


@router.get("/replays")
def list_replays(context: Context, _: Operator) -> list[Replay]:
    """Return the replays that were interrupted or kept. POST begins one."""
    found = find_replays(context.settings)
    return [_describe_replay(replay_id, each) for replay_id, each in found.items()]


@router.get("/replays/{replay_id}")
def compare_replay(replay_id: ReplayId, context: Context, principal: Operator) -> dict[str, Any]:
    """Return what a kept replay would have sent, compared with what was sent."""
    found = read_replay(context.settings, replay_id)
    if found is None:
        raise NotFoundError(f"there is no replay {replay_id!r}")
    context.accounts.record(principal.name, "view replay", replay_id)
    return as_object(mask_replay(found, principal))


@router.delete("/replays/{replay_id}", status_code=204)
def remove_replay(replay_id: ReplayId, context: Context, principal: Operator) -> None:
    """Drop the decisions of a replay that was interrupted or kept."""
    if replay_id not in find_replays(context.settings):
        raise NotFoundError(f"there is no replay {replay_id!r}")
    drop_replay(context.settings, replay_id)
    context.accounts.record(principal.name, "drop replay", replay_id)


@router.get("/audit")
def list_audit(
    context: Context,
    _: Operator,
    actor: Name | None = None,
    customer_id: Name | None = None,
    limit: PageSize = 100,
    cursor: Cursor = None,
) -> AuditPage:
    """Return lines of the audit log, the latest first."""
    found = context.accounts.list_audit(before=read_cursor(cursor), limit=limit, actor=actor, customer_id=customer_id)
    entries = [
        AuditEntry(
            id=each.entry_id,
            at=each.at,
            actor=each.actor,
            action=each.action,
            subject=each.subject,
            customer_id=each.customer_id,
            detail=dict(each.detail),
            address=each.address,
        )
        for each in found
    ]
    return AuditPage(entries=entries, next_cursor=write_cursor(found[-1].entry_id if len(found) == limit else None))


def _describe_replay(replay_id: str, found: ReplayRecord | None) -> Replay:
    if found is None:
        return Replay(id=replay_id, state="not begun", begin=None, end=None, records=None, by=None, started_at=None)
    return Replay(
        id=replay_id,
        state="kept" if found.decided_at else "interrupted",
        begin=found.begin,
        end=found.end,
        records=found.records,
        by=found.actor,
        started_at=found.started_at,
    )
