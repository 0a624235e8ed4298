"""Jobs: what is asked for, how far each is, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from console.use_cases.definition_drafts import ChosenDefinitions
from console.use_cases.replay import ReplayPlan

if TYPE_CHECKING:
    from datetime import datetime


class Kind(StrEnum):
    """What a job does."""

    REPLAY = "replay"
    BACKTEST = "backtest"
    REEVALUATION = "re-evaluation"
    LAUNCH = "launch"


class State(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_over(self) -> bool:
        """Whether it changes no more."""
        return self not in {State.WAITING, State.RUNNING}


LANES = ((Kind.REPLAY, Kind.BACKTEST), (Kind.REEVALUATION,), (Kind.LAUNCH,))
"""Of each of these a console runs one job at a time: a launch does not wait for a replay that takes hours."""


class ReplayRequest(msgspec.Struct, frozen=True):
    """A replay or a backtest.

    Attributes:
        plan: what to replay; of no account with `resume`.
        keep: whether to keep its decisions; a backtest drops them.
        resume: the id of the replay to go on with.
        definitions: those to decide with; None is those in force when it starts. With `resume`, what it began with.
    """

    plan: ReplayPlan
    keep: bool = False
    resume: str | None = None
    definitions: ChosenDefinitions | None = None


class ReevaluationRequest(msgspec.Struct, frozen=True):
    """A re-evaluation of every customer; `segment` is the one whose change asks for it."""

    segment: str


class LaunchRequest(msgspec.Struct, frozen=True):
    """A launch; see console/use_cases/launches.py."""

    campaign: str
    launch_id: str | None = None
    again: bool = False


HOW_IT_GOES_ON = (
    "a replay or a backtest goes on with its id, a launch with its launch id, and a re-evaluation that is started "
    "again goes on where it was"
)
Parameters = ReplayRequest | ReevaluationRequest | LaunchRequest
PARAMETERS: Mapping[Kind, type[Parameters]] = {
    Kind.REPLAY: ReplayRequest,
    Kind.BACKTEST: ReplayRequest,
    Kind.REEVALUATION: ReevaluationRequest,
    Kind.LAUNCH: LaunchRequest,
}


class Table(msgspec.Struct, frozen=True):
    """A table of a result."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


class Result(msgspec.Struct, frozen=True):
    """What came of a job, as people read it. It names no customer.

    Attributes:
        headline: in one or two sentences.
        tables: the figures.
        sentences: what to know about them.
        figures: the same for programs, as the command prints it with --json.
    """

    headline: str
    tables: Sequence[Table] = ()
    sentences: Sequence[str] = ()
    figures: Mapping[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the ledger has it.

    Attributes:
        number: counts jobs, in the order in which they were asked for.
        parameters: what is asked for.
        actor: who asked.
        stop_requested_by: who wants it to stop; None where it may go on.
        heartbeat_at: when its process last said that it lives.
        done: how much is done: records, customers or members.
        total: of how many; None where it is not known.
        subject: the id of the replay, the re-evaluation or the launch, when it has begun.
        result: what came of it; None while it is not done, and in lists.
        error: why it failed and what to do.
    """

    number: int
    job_id: str
    kind: Kind
    parameters: Parameters
    actor: str
    created_at: datetime
    state: State
    stop_requested_by: str | None
    started_at: datetime | None
    heartbeat_at: datetime | None
    ended_at: datetime | None
    done: int
    total: int | None
    subject: str | None
    result: Result | None
    error: str | None

    @property
    def resumes(self) -> str | None:
        """The id of the replay that can go on; None where there is none."""
        is_cut = self.state in {State.FAILED, State.STOPPED}
        return self.subject if is_cut and self.kind in {Kind.REPLAY, Kind.BACKTEST} else None
