"""Dead letters: records that could not be decided, and messages that could not be published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator

from campaigns.dead_letters import Resolution, refuse_requeue
from campaigns.postgres_dead_letters import NO_NUMBER
from console.dead_letter_views import build_filter, inline, letter_object
from console.use_cases.dead_letters import (
    describe_resolution,
    discard_dead_letters,
    list_dead_letters,
    read_dead_letter,
    requeue,
)
from console.web.authentication import Operator
from console.web.context import Context
from console.web.cursors import read_cursor, write_cursor
from console.web.inputs import Cursor, GivenReason, Name, PageSize, Since
from console.web.letter_content import show_content, show_detail, show_headers

if TYPE_CHECKING:
    from campaigns.dead_letters import DeadLetter as Letter
    from console.access.roles import Principal

router = APIRouter(prefix="/dead-letters", tags=["operations"])
MOST_AT_ONCE = 10_000
Status = Literal["open", "requeueing", "requeued", "discarded", "all"]


class DeadLetter(BaseModel):
    """A dead letter without its content."""

    id: str
    status: str = Field(examples=["open", "requeued", "discarded"])
    reason: str = Field(examples=["not_json", "unknown_customer"])
    stage: str
    detail: str
    topic: str
    partition: int | None = Field(description="None for a message that its topic refused.")
    offset: int | None
    key: str | None
    bytes: int | None = Field(description="The size of the original value.")
    truncated: str | None = Field(description="What was cut because it was too large to keep.")
    written_at: str
    settled_at: str | None
    settled_by: str | None
    why: str | None


class DeadLetterPage(BaseModel):
    """Dead letters, the newest first; the counts are of all that match."""

    matching: int
    by_reason: dict[str, int]
    letters: list[DeadLetter]
    next_cursor: str | None


class Header(BaseModel):
    """A header of the producer's."""

    name: str
    value: str


class DeadLetterContent(DeadLetter):
    """A dead letter with its content, as far as the role may see it."""

    headers: list[Header]
    value: str
    cannot_be_requeued: str | None = Field(description="Why it cannot be requeued; none where it can.")


class RequeueRequest(BaseModel):
    """Which open letters are sent back to their topics: those of ids, or all that match the filter."""

    ids: list[Name] | None = Field(None, min_length=1, max_length=1_000)
    all_matching: bool = False
    reason: Name | None = None
    topic: Name | None = Field(None, description="With or without the prefix of the topics.")
    customer: Name | None = Field(None, description="The key of the records.")
    since: Since = None
    limit: int = Field(1_000, ge=1, le=MOST_AT_ONCE, description="The most letters, the oldest first.")
    dry_run: bool = Field(False, description="Only count.")

    @model_validator(mode="after")
    def check_choice(self) -> Self:
        """Reject what says neither which letters, nor that all are meant."""
        is_filtered = any(each is not None for each in (self.reason, self.topic, self.customer, self.since))
        if (self.ids is not None) == self.all_matching or (self.ids is not None and is_filtered):
            raise ValueError("give ids, or all_matching with filters")
        return self


class RequeueResult(BaseModel):
    """What a requeue did, or would take."""

    dry_run: bool
    matching: int = Field(description="Open letters that matched before.")
    by_reason: dict[str, int]
    sent: list[str]
    left_out: dict[str, str] = Field(description="Why letters that match were not sent, by id.")
    others: list[str] = Field(description="Letters that were named and resolved before.")


class DiscardRequest(BaseModel):
    """Which letters are never to be sent again, and why."""

    ids: list[Name] = Field(min_length=1, max_length=1_000)
    why: GivenReason


class DiscardResult(BaseModel):
    """What was discarded."""

    discarded: list[str]
    others: list[str] = Field(description="Letters that were resolved before.")


@router.get("")
def list_letters(  # noqa: PLR0913, PLR0917 - one parameter for each filter
    context: Context,
    principal: Operator,
    status: Status = "open",
    reason: Name | None = None,
    topic: Name | None = None,
    customer: Name | None = None,
    since: Since = None,
    limit: PageSize = 100,
    cursor: Cursor = None,
) -> DeadLetterPage:
    """Return dead letters, the newest first."""
    resolution = None if status == "all" else Resolution(status)
    more = {"reason": reason, "customer": customer, "resolution": resolution}
    wanted = build_filter(context.settings.topic_prefix, topic=topic, since=since, **more)
    before = read_cursor(cursor)
    found = list_dead_letters(context.settings, wanted, limit=limit, before=NO_NUMBER if before is None else before)
    last = found.letters[-1].number if len(found.letters) == limit else None
    return DeadLetterPage(
        matching=found.matching,
        by_reason=dict(found.by_reason),
        letters=[DeadLetter(**_describe_letter(each, principal)) for each in found.letters],
        next_cursor=write_cursor(last),
    )


@router.post("/requeue")
def requeue_letters(wanted: RequeueRequest, context: Context, principal: Operator) -> RequeueResult:
    """Send open letters back to their topics and partitions, each once; or count them."""
    prefix = context.settings.topic_prefix
    chosen = build_filter(
        prefix, topic=wanted.topic, since=wanted.since, ids=wanted.ids, reason=wanted.reason, customer=wanted.customer
    )
    before = list_dead_letters(context.settings, chosen, limit=0)
    answer = RequeueResult(
        dry_run=wanted.dry_run,
        matching=before.matching,
        by_reason=dict(before.by_reason),
        sent=[],
        left_out={},
        others=[],
    )
    if wanted.dry_run:
        return answer
    limit = None if wanted.ids is not None else wanted.limit
    done = requeue(context.settings, chosen, by=principal.name, limit=limit)
    context.accounts.record(
        principal.name, "requeue dead letters", f"{len(done.sent)} letters", detail=_describe(wanted)
    )
    others = [describe_resolution(each) for each in done.others]
    return answer.model_copy(update={"sent": list(done.sent), "left_out": dict(done.left_out), "others": others})


@router.post("/discard")
def discard_letters(wanted: DiscardRequest, context: Context, principal: Operator) -> DiscardResult:
    """Mark open letters as never to be sent again; they are kept."""
    done = discard_dead_letters(context.settings, wanted.ids, by=principal.name, why=wanted.why)
    context.accounts.record(
        principal.name, "discard dead letters", f"{len(done.ids)} letters", detail={"why": wanted.why}
    )
    return DiscardResult(discarded=list(done.ids), others=[describe_resolution(each) for each in done.others])


@router.get("/{letter_id:path}")
def read_letter(
    letter_id: Annotated[Name, Path(min_length=1)], context: Context, principal: Operator
) -> DeadLetterContent:
    """Return a dead letter with its headers and content."""
    letter, value = read_dead_letter(context.settings, letter_id)
    personal = context.settings.personal_columns
    customer = None if letter.key is None else inline(letter.key)
    context.accounts.record(principal.name, "view dead letter", letter_id, customer_id=customer)
    return DeadLetterContent(
        **_describe_letter(letter, principal),
        headers=[Header(name=name, value=text) for name, text in show_headers(letter.headers, principal, personal)],
        value=show_content(value, principal, personal),
        cannot_be_requeued=refuse_requeue(letter),
    )


def _describe_letter(letter: Letter, principal: Principal) -> dict[str, Any]:
    return letter_object(letter) | {"detail": show_detail(letter.detail, principal)}


def _describe(wanted: RequeueRequest) -> dict[str, Any]:
    """Return what was asked for without the customer, whom the audit log keeps in a column of its own."""
    return wanted.model_dump(mode="json", exclude_none=True, include={"ids", "reason", "topic", "since", "limit"})
