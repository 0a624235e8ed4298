"""The process of a job: it does the work, says that it lives, and stores what came of it.

It is a fresh interpreter, so neither a crash nor a large replay takes the console with it; its memory is given back.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, cast

import msgspec
import psycopg

from campaigns.errors import LedgerUnavailableError
from console import backtest_views, replay_views
from console.errors import FOR_PEOPLE
from console.jobs.job import HOW_IT_GOES_ON, Kind, LaunchRequest, ReplayRequest, Result, State, Table
from console.jobs.postgres_jobs import HEARTBEAT_LIFE, PostgresJobs
from console.segment_views import describe_reevaluation, number
from console.use_cases.backtests import backtesting
from console.use_cases.definition_drafts import write_chosen
from console.use_cases.launches import launch_campaign
from console.use_cases.reevaluations import reevaluate
from console.use_cases.replay import replaying
from streams.observability.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from console.jobs.job import Job
    from console.use_cases.replay import ReplayPlan
    from streams.settings import Settings

BEAT_S = 1.0
MISSED_BEATS = HEARTBEAT_LIFE.total_seconds() / BEAT_S / 2
"""After so many the job ends: a console may think soon that it is lost."""
NICE = 10
CUT = f"its process was stopped from outside while it ran, as when the console stops; {HOW_IT_GOES_ON}"


def run_job(settings: Settings, job_id: str, runner: str) -> None:
    """Do a job that this runner has claimed, and store what came of it.

    Args:
        settings: those of the console.
        job_id: which one.
        runner: who has claimed it.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    configure_logs("error")
    os.nice(NICE)
    jobs = PostgresJobs(settings.ledger_url, size=1)
    jobs.open()
    progress = _Progress(jobs, job_id, runner)
    try:
        job = jobs.find(job_id)
        with progress:
            result = _do(settings, job, progress)
        jobs.end(job_id, runner, State.DONE, result=result)
    except KeyboardInterrupt:
        is_asked = jobs.find(job_id).stop_requested_by is not None
        jobs.end(job_id, runner, State.STOPPED if is_asked else State.FAILED, error=None if is_asked else CUT)
    except FOR_PEOPLE as error:
        jobs.end(job_id, runner, State.FAILED, error=str(error))
    except psycopg.OperationalError as error:
        first = str(error).strip().splitlines()[0]
        jobs.end(job_id, runner, State.FAILED, error=f"PostgreSQL cannot be used: {first}")
    except BaseExceptionGroup as group:
        known, unknown = group.split(FOR_PEOPLE)
        if unknown or known is None:
            raise
        jobs.end(job_id, runner, State.FAILED, error=str(_first(known)))
    finally:
        jobs.close()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


class _Progress:
    """How far a job is, written once a second while it is done; interrupts it when it must not go on."""

    def __init__(self, jobs: PostgresJobs, job_id: str, runner: str) -> None:
        self._jobs, self._job_id, self._runner = jobs, job_id, runner
        self._done, self._total, self._subject = 0, cast("int | None", None), cast("str | None", None)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def begin(self, subject: str) -> None:
        """Note the id of what was begun, at once: it can go on by it."""
        self._subject = subject
        self._beat()

    def note(self, done: int, total: int | None = None, *, subject: str | None = None) -> None:
        """Note how much is done, and the id of what was begun where it is known only now."""
        self._done, self._total = done, total
        if subject is not None and self._subject is None:
            self.begin(subject)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._beat()

    def _beat(self) -> bool:
        return self._jobs.beat(self._job_id, self._runner, done=self._done, total=self._total, subject=self._subject)

    def _run(self) -> None:
        missed = 0
        while not self._ends.wait(BEAT_S):
            try:
                may_go_on = self._beat()
                missed = 0
            except LedgerUnavailableError:
                missed += 1
                may_go_on = missed < MISSED_BEATS
            if not may_go_on:
                os.kill(os.getpid(), signal.SIGINT)
                return


def _do(settings: Settings, job: Job, progress: _Progress) -> Result:
    if job.kind is Kind.REPLAY:
        return _replay(settings, job, progress)
    if job.kind is Kind.BACKTEST:
        return _backtest(settings, job, progress)
    return _launch(settings, job, progress) if job.kind is Kind.LAUNCH else _reevaluate(settings, job, progress)


def _replay(settings: Settings, job: Job, progress: _Progress) -> Result:
    asked = cast("ReplayRequest", job.parameters)
    with replaying(
        settings,
        _plan(settings, asked),
        by=job.actor,
        resume=asked.resume,
        keep=asked.keep,
        on_begin=progress.begin,
        on_progress=progress.note,
    ) as done:
        found = done.summary
    figures = replay_views.as_object(found)
    del figures["examples"]  # they name customers; the result outlives an erasure
    return Result(
        replay_views.headline(found),
        _tables(
            ("Triggers by campaign", replay_views.COUNT_HEADINGS, replay_views.count_rows(found)),
            ("Why they differ, the most frequent first", replay_views.REASON_HEADINGS, replay_views.reason_rows(found)),
        ),
        [*_describe_chosen(asked), *replay_views.sentences(found)],
        _plain(figures),
    )


def _backtest(settings: Settings, job: Job, progress: _Progress) -> Result:
    asked = cast("ReplayRequest", job.parameters)
    with backtesting(
        settings,
        _plan(settings, asked),
        by=job.actor,
        resume=asked.resume,
        on_begin=progress.begin,
        on_progress=progress.note,
    ) as found:
        estimates, sent = backtest_views.estimate_rows(found), backtest_views.sent_rows(found)
        return Result(
            backtest_views.headline(found),
            _tables(
                (
                    "The effect, estimated from the record",
                    backtest_views.ESTIMATE_HEADINGS,
                    estimates,
                ),
                (
                    "What it would have sent, and at what cost",
                    backtest_views.SENT_HEADINGS,
                    sent,
                ),
                (
                    "Where no estimate is possible",
                    ("reason", "opportunities", "share"),
                    backtest_views.unsupported_rows(found.estimate),
                ),
            ),
            [*_describe_chosen(asked), *backtest_views.sentences(found)],
            _plain(backtest_views.as_object(found)),
        )


def _plan(settings: Settings, asked: ReplayRequest) -> ReplayPlan:
    """Return what is to be decided again, with the definitions themselves where they are chosen."""
    if asked.resume or asked.definitions is None:
        return asked.plan
    return msgspec.structs.replace(asked.plan, definitions=write_chosen(settings, asked.definitions))


def _describe_chosen(asked: ReplayRequest) -> Iterator[str]:
    """Yield which definitions were chosen, in a sentence."""
    if (chosen := asked.definitions) is None:
        return
    drafts = ", ".join(f"the draft of {each.name}" for each in chosen.drafts)
    rest = (
        "the definitions in the files" if chosen.revision is None else f"revision {chosen.revision} of the definitions"
    )
    yield f"decided with {drafts}, and {rest} otherwise" if drafts else f"decided with {rest}"


def _reevaluate(settings: Settings, job: Job, progress: _Progress) -> Result:
    done = reevaluate(
        settings, by=job.actor, on_progress=lambda each: progress.note(each.customers, subject=each.reevaluation_id)
    )
    headline, *sentences = describe_reevaluation(done)
    return Result(headline, (), sentences, _plain(done))


def _launch(settings: Settings, job: Job, progress: _Progress) -> Result:
    asked = cast("LaunchRequest", job.parameters)
    done = launch_campaign(
        settings,
        asked.campaign,
        by=job.actor,
        launch_id=asked.launch_id,
        again=asked.again,
        on_progress=lambda each: progress.note(each.members, each.total, subject=each.launch_id),
    )
    unchecked = [f"the facts that {asked.campaign} reads were not checked: {done.unchecked}"] if done.unchecked else []
    figures = {"campaign": asked.campaign, "launch_id": done.launch_id, "members": done.members}
    members = f"{number(done.members, 'member')} of {done.segment}"
    headline = f"Launch {done.launch_id} asked for {members}; the workers decide them."
    return Result(headline, (), unchecked, figures)


def _tables(*parts: tuple[str, tuple[str, ...], list[tuple[str, ...]]]) -> list[Table]:
    return [Table(caption, headings, rows) for caption, headings, rows in parts if rows]


def _plain(figures: Any) -> Mapping[str, Any]:
    """Return figures as JSON has them."""
    return cast("Mapping[str, Any]", msgspec.json.decode(msgspec.json.encode(figures)))
