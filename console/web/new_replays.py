"""What a replay or a backtest is to be of, as requests and forms bring it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import BaseModel, Field, model_validator

from campaigns.definition_versions import DefinitionKey, DefinitionKind
from console.use_cases.replay import Ledger, ReplayPlan
from console.web.inputs import Name, in_utc
from console.web.job_desk import MOST_CUSTOMERS, REPLAY_ID, ModelName, ModelVersion
from segments.engine import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

UNSET = datetime.fromtimestamp(0, UTC)
"""A replay that is resumed has its own period."""
MOST_DRAFTS = 50
_KEYED = {DefinitionKind.SEGMENT, DefinitionKind.CAMPAIGN}


class NewDraft(BaseModel):
    """A definition that takes the place of the one in force."""

    kind: DefinitionKind
    key: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")] = Field(
        description="Of the segment or the campaign; for offers, channels and limits the kind again."
    )
    content: dict[str, Any] | list[Any] = Field(description="As a definition file has it.")

    @model_validator(mode="after")
    def check_key(self) -> Self:
        """Refuse a key of what has none."""
        if self.kind not in _KEYED and self.key != self.kind:
            raise ValueError(f"the key of {self.kind} is {self.kind.value!r}")
        return self

    @property
    def name(self) -> DefinitionKey:
        """Its kind and key."""
        return DefinitionKey(self.kind, self.key)


class NewBacktest(BaseModel):
    """A past period to decide again; with the definitions as they are when it starts, unless others are named."""

    begin: datetime | None = Field(
        default=None, description="Records of this time and later; without a zone it is UTC.", examples=["2026-03-01"]
    )
    end: datetime | None = Field(default=None, description="Records before this time.", examples=["2026-03-08"])
    models: dict[ModelName, ModelVersion] = Field(
        default={}, description="The version of each model that is not to be the promoted one.", max_length=20
    )
    definitions_revision: Annotated[int, Field(ge=1, le=2**31)] | None = Field(
        default=None,
        description="Decide with the definitions of this revision of the ledger; null is the latest.",
    )
    drafts: list[NewDraft] = Field(
        default=[],
        description="Definitions that take the place of those of the same kind and key.",
        max_length=MOST_DRAFTS,
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

    @model_validator(mode="after")
    def check_definitions(self) -> Self:
        """Refuse two drafts of one definition, and other definitions than a replay began with."""
        if len({each.name for each in self.drafts}) < len(self.drafts):
            raise ValueError("two drafts have the same kind and key")
        if self.resume is not None and (self.drafts or self.definitions_revision is not None):
            raise ValueError("a replay that is resumed goes on with the definitions that it began with: name no others")
        return self

    @property
    def edits(self) -> Mapping[DefinitionKey, Any]:
        """The content of each draft."""
        return {each.name: each.content for each in self.drafts}

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
