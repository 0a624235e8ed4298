"""Backtests of what is in the form of an editor, before it is saved."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from console.jobs.job import Kind, ReplayRequest
from console.use_cases.definition_edits import refuse_stale
from console.use_cases.replay import ReplayPlan
from console.web.errors import InvalidRequestError
from console.web.job_desk import begin_replay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from campaigns.definition_versions import DefinitionKey
    from console.access.roles import Principal
    from console.jobs.job import Job
    from console.web.context import WebContext

DAYS = 28
"""The usual period, with today."""
FIRST_DAY, LAST_DAY = "first_day", "last_day"


def today() -> date:
    """Return the present day, UTC."""
    return datetime.now(UTC).date()


def show_period(fields: Mapping[str, str], day: date) -> dict[str, str]:
    """Return the period as the form has it, or the usual one: its first and its last day."""
    first = day - timedelta(days=DAYS - 1)
    return {
        FIRST_DAY: fields.get(FIRST_DAY) or first.isoformat(),
        LAST_DAY: fields.get(LAST_DAY) or day.isoformat(),
    }


def read_period(fields: Mapping[str, str], day: date) -> tuple[datetime, datetime]:
    """Return the period in the form, whole days of UTC: its beginning, and its end, which is no part of it.

    Raises:
        InvalidRequestError: it is none.
    """
    shown = show_period(fields, day)
    try:
        begin, last = (datetime.combine(datetime.fromisoformat(each), time(), UTC) for each in shown.values())
        end = last + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise InvalidRequestError(f"the period of the backtest is no two days as 2026-03-01: {error}") from error
    if begin >= end:
        raise InvalidRequestError(
            f"the period of the backtest ends before it begins: {begin:%Y-%m-%d}, {last:%Y-%m-%d}"
        )
    return begin, end


def begin_draft_backtest(
    context: WebContext,
    principal: Principal,
    name: DefinitionKey,
    content: Mapping[str, Any],
    *,
    base_version: int | None,
    period: tuple[datetime, datetime],
) -> Job:
    """Let a backtest wait for its turn that decides with the definitions in force, and a draft of one of them.

    Args:
        context: of the console.
        principal: who asks.
        name: of the definition.
        content: of the draft.
        base_version: the number of the version that it is an edit of; None for a new definition, or files.
        period: from when until when.

    Raises:
        DefinitionExistsError, DefinitionChangedError: the draft could not be saved.
        DefinitionError, RuleError, WarehouseError, LedgerUnavailableError: see choose_definitions.
    """
    refuse_stale(context.settings, name, base_version)
    return begin_replay(context, principal, Kind.BACKTEST, ReplayRequest(ReplayPlan(*period)), edits={name: content})
