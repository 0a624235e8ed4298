"""What a replay or a backtest is to be of, as requests and forms bring it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from pydantic import BaseModel, Field, model_validator

from console.use_cases.replay import Ledger, ReplayPlan
from console.web.inputs import Name
from console.web.job_desk import MOST_CUSTOMERS, REPLAY_ID, ModelName, ModelVersion
from segments.engine import Mode

if TYPE_CHECKING:
    from typing import Self

UNSET = datetime.fromtimestamp(0, UTC)
"""A replay that is resumed has its own period."""


class NewBacktest(BaseModel):
    """A past period to decide again, with the definitions as they are now."""

    begin: datetime | None = Field(
        default=None, description="Records of this time and later; without a zone it is UTC.", examples=["2026-03-01"]
    )
    end: datetime | None = Field(default=None, description="Records before this time.", examples=["2026-03-08"])
    models: dict[ModelName, ModelVersion] = Field(
        default={}, description="The version of each model that is not to be the promoted one.", max_length=20
    )
    resume: Annotated[str, Field(pattern=REPLAY_ID)] | None = Field(
        default=None, description="Go on with this interrupted replay, in place of a new one."
    )

    @model_validator(mode="after")
    def check_period(self) -> Self:
        """Refuse a period that is none."""
        if self.resume is None and (self.begin is None or self.end is None):
            raise ValueError("name the period with begin and end, or a replay to resume")
        if self.begin and self.end and in_utc(self.begin) >= in_utc(self.end):
            raise ValueError("begin is not before end")
        return self

    def as_plan(self) -> ReplayPlan:
        """Return what to decide again."""
        begin, end = (UNSET if each is None else in_utc(each) for each in (self.begin, self.end))
        return ReplayPlan(begin, end, models=self.models)


class NewReplay(NewBacktest):
    """A past period to decide again. Nothing live changes."""

    customers: list[Name] | None = Field(
        default=None, description="Whose events; null is every customer.", min_length=1, max_length=MOST_CUSTOMERS
    )
    ledger: Ledger = Field(default="snapshot", description="Begin with what the ledger held then, or with nothing.")
    first_evaluations: Mode = Field(
        default="emit", description="What first evaluations may fire under rules that were not in force then."
    )
    keep: bool = Field(default=False, description="Keep its decisions, for /replays/{replay_id}.")

    def as_plan(self) -> ReplayPlan:
        """Return what to decide again."""
        customers = None if self.customers is None else tuple(dict.fromkeys(self.customers))
        return msgspec.structs.replace(
            super().as_plan(), customers=customers, ledger=self.ledger, first_evaluations=self.first_evaluations
        )


def in_utc(at: datetime) -> datetime:
    """Return a time; without a zone it is UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)
