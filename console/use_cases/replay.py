"""A replay: a past period decided again by the same pipeline, and compared with what was sent.

It changes nothing that is live, see streams/replays.py. Its decisions are kept in a schema of their own, from which an
interrupted replay resumes; the schema is dropped after the comparison unless it is to be kept.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import uvloop

from campaigns.definition import load_definitions
from campaigns.definition_versions import build_definitions
from campaigns.postgres_connections import connect_ledger
from campaigns.postgres_replays import PostgresReplay, list_replays, open_replay
from console.use_cases.definition_drafts import WrittenDefinition
from models.registry import load_version
from segments.definition import fingerprint
from segments.engine import Mode
from streams.definitions import read_definitions
from streams.errors import ReplayError
from streams.kafka.connection import describe_security
from streams.kafka.history import Period, count_undecided
from streams.kafka.replay_requests import ReplayRequestProducer
from streams.kafka.topics import verify_topics
from streams.replays import ReplayRun, decode_positions, encode_positions, find_period, refold_signals, run_replay
from streams.runtime.history_batches import TOGETHER_MS
from streams.runtime.model_reload import load_models
from streams.topic_descriptions import SHADOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from campaigns.definition import DefinitionSet
    from campaigns.postgres_replays import ReplayRecord
    from campaigns.replay_differences import Difference, Exposure
    from models.registry import Scorers
    from streams.settings import Settings

Ledger = Literal["snapshot", "empty"]
EXAMPLES = 3
"""Examples of each kind and campaign."""


class ReplayPlan(msgspec.Struct, frozen=True):
    """What to replay.

    Attributes:
        begin: records of this time and later, by their Kafka timestamps.
        end: records before this time.
        customers: whose events; None is every customer.
        definitions_dir: the folder of the definitions to decide with; None is those of the settings.
        definitions: the definitions to decide with themselves, in place of a folder's; none is those of the folder.
        models: the version of each model that is not to be the promoted one.
        ledger: what the scratch ledger begins with: what the live one held at `begin`, or nothing.
        first_evaluations: what first evaluations may fire under rules that were not in force at `begin`.
        together_ms: records of a customer that arrived within this time are decided together.
    """

    begin: datetime
    end: datetime
    customers: tuple[str, ...] | None = None
    definitions_dir: str | None = None
    models: Mapping[str, str] = msgspec.field(default_factory=dict)
    ledger: Ledger = "snapshot"
    first_evaluations: Mode = "emit"
    together_ms: int = TOGETHER_MS
    definitions: tuple[WrittenDefinition, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many differences of a kind and campaign have the same decisions on both sides.

    Attributes:
        replayed: outcome and reason in the replay, or that there is no decision.
        live: the same of the live ledger.
        changed: which of offer, channel and message differ, separated by commas.
    """

    kind: str
    campaign: str
    replayed: str
    live: str
    changed: str
    count: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """A complete replay, compared with the live ledger.

    Attributes:
        records: offsets read.
        seconds: how long deciding them took, over all runs.
        counts: differences by campaign and kind.
        uncertain: those of `counts` whose customers' state at the beginning is not known exactly, in the same form.
        reasons: the most frequent first.
        days: differences sent by the day of their event time and by kind.
        sources: decisions of the replay by where their facts came from: recorded, history or today.
        unsent: opportunities that neither side sent, and how many of them have the same outcome and reason.
        rejects: records that cannot be decided, by reason.
        missing: triggers that `--live` would let the workers decide, by campaign.
        examples: differences, some of each kind and campaign.
        caveats: what is not known exactly, in sentences.
    """

    replay_id: str
    begin: datetime
    end: datetime
    records: int
    seconds: float
    counts: Mapping[str, Mapping[str, int]]
    uncertain: Mapping[str, Mapping[str, int]]
    reasons: Sequence[ReasonCount]
    days: Sequence[tuple[str, str, int]]
    sources: Mapping[str, int]
    unsent: tuple[int, int]
    rejects: Mapping[str, int]
    missing: Mapping[str, int]
    examples: Sequence[Difference]
    caveats: Sequence[str]

    def total(self, kind: str) -> int:
        """Return the differences of a kind, over all campaigns."""
        return sum(by_kind.get(kind, 0) for by_kind in self.counts.values())

    @property
    def is_same(self) -> bool:
        """Whether the replay sends what was sent."""
        return not any(self.total(kind) for kind in ("added", "removed", "changed"))


@dataclass(frozen=True, slots=True)
class FinishedReplay:
    """A replay whose decisions can be read: what became of it, and each opportunity on both sides."""

    summary: Replayed
    _replay: PostgresReplay

    def differences(self, kinds: Sequence[str] | None = None) -> Iterator[Difference]:
        """Yield every opportunity that the replay or the live ledger decided in the period, in order of trigger ids.

        Args:
            kinds: those of `campaigns.replay_differences.KINDS`; all without it.
        """
        return self._replay.differences(kinds)

    def exposures(self) -> Iterator[Exposure]:
        """Yield each opportunity that either side contacts or holds out, with what became of the live one."""
        return self._replay.exposures()

    def missing(self) -> Iterator[list[tuple[str, str, str, str]]]:
        """Yield the triggers that `--live` would let the workers decide: id, customer, campaign, occasion; in pages."""
        return self._replay.missing()

    def send_missing(self, settings: Settings, *, by: str, why: str, at: datetime) -> int:
        """Let the workers decide what is missing, under today's consent and limits, and return how much that is.

        A trigger keeps the id that it would have had, so a second time changes nothing.

        Args:
            settings: where Kafka and the ledger are.
            by: the operator's name, kept in the ledger.
            why: the reason, kept in the ledger.
            at: event time of the requests.

        Raises:
            BrokerUnavailableError: not every request was acknowledged; send again.
        """
        send_id, found, sent = secrets.token_hex(6), self.summary, 0
        values = {"replay_id": found.replay_id, "begin": found.begin, "end": found.end, "by": by, "why": why}
        self._replay.note_send("begin_send", send_id=send_id, **values)
        producer = ReplayRequestProducer(settings)
        for page in self.missing():
            producer.publish(page, as_of=at)
            self._replay.note_send("advance_send", send_id=send_id, triggers=len(page))
            sent += len(page)
        self._replay.note_send("finish_send", send_id=send_id)
        return sent


@contextmanager
def replaying(
    settings: Settings,
    plan: ReplayPlan,
    *,
    by: str,
    resume: str | None = None,
    keep: bool = False,
    on_begin: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Iterator[FinishedReplay]:
    """Replay a period and lend what came of it; its schema is dropped afterwards unless it is kept.

    Interrupted while it decides, it is kept, and may be resumed.

    Args:
        settings: those of the workers.
        plan: what to replay; of no account with `resume`.
        by: the operator's name.
        resume: the id of an interrupted or kept replay.
        keep: whether to leave the schema.
        on_begin: called with the id of the replay when it can be resumed.
        on_progress: called with the records decided, and how many there are.
        on_wait: called with a sentence when it waits for a service.

    Raises:
        ReplayError: it is refused; the message says what to do.
        CampaignError, FeaturesError, HoldfastStreamError, ModelError, SegmentsError: it cannot run.
    """
    replay_id = resume or secrets.token_hex(4)
    busy = ReplayError(f"replay {replay_id} runs in another process; wait until it ends")
    with open_replay(settings.ledger_url, replay_id) as replay, replay.alone(busy):
        if resume is None:
            _begin(settings, plan, replay, by)
        found = _find(replay)
        on_begin(replay_id)
        plan = msgspec.json.decode(found.plan, type=_StoredPlan).plan
        if found.decided_at is None:
            _decide(settings, plan, replay, found, on_progress, on_wait)
            replay.finish()
            found = replay.find()
        with replay.without_erasures():
            replay.compare(found, plan.customers)
        yield FinishedReplay(summarise(replay, found), replay)
        if not keep:
            replay.drop()


def _find(replay: PostgresReplay) -> ReplayRecord:
    """Return what is stored of a replay.

    Raises:
        ReplayError: there is none, or it ended before it could be resumed.
    """
    name = replay.replay_id
    if not replay.exists:
        raise ReplayError(f"there is no replay {name!r}; `holdfast replay list` shows those that are left")
    if not (found := replay.records()):
        raise ReplayError(f"replay {name} ended before it could be resumed; drop it: holdfast replay drop {name}")
    return found[0]


def find_replays(settings: Settings) -> Mapping[str, ReplayRecord | None]:
    """Return the replays whose schemas are left, by id; None for one that ended before it could be resumed, or begins.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached.
    """
    with connect_ledger(settings.ledger_url) as connection:
        replays = [PostgresReplay(connection, each) for each in list_replays(connection)]
        return {each.replay_id: next(iter(each.records()), None) for each in replays}


def drop_replay(settings: Settings, replay_id: str) -> None:
    """Drop what a replay has left.

    Raises:
        ReplayError: there is no such replay.
    """
    with open_replay(settings.ledger_url, replay_id) as replay:
        if not replay.exists:
            raise ReplayError(f"there is no replay {replay_id!r}; `holdfast replay list` shows those that are left")
        replay.drop()


class _StoredPlan(msgspec.Struct, frozen=True):
    """A plan as its replay keeps it.

    Attributes:
        versions: of the definitions and models that it began with.
        caveats: what was found when it began, in sentences.
        has_history: whether facts that no decision recorded come from past rows of the warehouse.
    """

    plan: ReplayPlan
    versions: str
    caveats: tuple[str, ...]
    has_history: bool


def _begin(settings: Settings, plan: ReplayPlan, replay: PostgresReplay, by: str) -> None:
    """Create a replay's schema and fill its ledger.

    Raises:
        ReplayError: the period is none.
    """
    if plan.begin >= plan.end:
        raise ReplayError(f"--from {plan.begin:%Y-%m-%dT%H:%M:%S%z} is not before --to {plan.end:%Y-%m-%dT%H:%M:%S%z}")
    verify_topics(settings.broker, [settings.topic_prefix + SHADOW], security=describe_security(settings))
    definitions, scorers = _load(settings, plan)
    period = asyncio.run(find_period(settings, plan.begin, plan.end))
    stored = _StoredPlan(
        plan,
        _versions(definitions, scorers),
        tuple(_describe_period(settings, plan, period)),
        settings.history_query is not None,
    )
    try:
        with replay.without_erasures():
            _fill(settings, plan, replay, definitions, scorers, by)
        replay.begin(
            begin=plan.begin,
            end=plan.end,
            by=by,
            plan=msgspec.json.encode(stored).decode(),
            ends=msgspec.json.encode([[*place, end] for place, end in period.ends.items()]).decode(),
            positions=encode_positions(dict(period.begins)),
        )
    except BaseException:
        replay.drop()
        raise


def _fill(
    settings: Settings,
    plan: ReplayPlan,
    replay: PostgresReplay,
    definitions: DefinitionSet,
    scorers: Scorers,
    by: str,
) -> None:
    """Create the schema, and let its ledger hold what the live one held."""
    replay.create(settings.ledger_url)
    replay.copy_definitions(plan.begin)
    replay.activate_otherwise(definitions.segments, plan.first_evaluations, at=plan.begin, by=by)
    if plan.ledger == "snapshot":
        replay.copy_state(plan.begin, plan.end, plan.customers)
        asyncio.run(refold_signals(settings, replay, plan.begin, scorers))


def _decide(
    settings: Settings,
    plan: ReplayPlan,
    replay: PostgresReplay,
    found: ReplayRecord,
    on_progress: Callable[[int, int], None],
    on_wait: Callable[[str], None],
) -> None:
    stored = msgspec.json.decode(found.plan, type=_StoredPlan)
    definitions, scorers = _load(settings, plan)
    if _versions(definitions, scorers) != stored.versions:
        raise ReplayError(
            f"replay {replay.replay_id} began with other definitions or models; put them back to resume it, or begin a "
            f"new one and drop this one: holdfast replay drop {replay.replay_id}"
        )
    ends = msgspec.json.decode(found.ends, type=list[tuple[str, int, int]])
    run = ReplayRun(
        replay.replay_id,
        found.begin,
        found.end,
        Period(decode_positions(found.positions), {(topic, number): end for topic, number, end in ends}),
        None if plan.customers is None else frozenset(plan.customers),
        definitions,
        scorers,
        plan.together_ms,
        found.records,
        found.seconds,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_replay(settings, run, on_progress, on_wait))


def _load(settings: Settings, plan: ReplayPlan) -> tuple[DefinitionSet, Scorers]:
    """Load the definitions and models of a plan.

    Raises:
        DefinitionError, RuleError, ModelError: they cannot be used.
    """
    definitions = _load_definitions(settings, plan)
    scorers = load_models(settings, definitions.offers)
    for name, version in plan.models.items():
        if name not in scorers.by_name:
            raise ReplayError(f"--models {name}={version}: there is no model {name!r}; {', '.join(scorers.by_name)}")
        home = (settings.models_dir or Path()) / name
        scorer = load_version(home, version, settings.feature_mapping, len(definitions.offers))
        scorers = scorers.with_scorer(name, scorer)
    return definitions, scorers


def _load_definitions(settings: Settings, plan: ReplayPlan) -> DefinitionSet:
    if plan.definitions:
        return build_definitions({each.name: each.read() for each in plan.definitions})
    return load_definitions(Path(plan.definitions_dir)) if plan.definitions_dir else read_definitions(settings)


def _versions(definitions: DefinitionSet, scorers: Scorers) -> str:
    keys = {f"segment {each.key}": each.version for each in definitions.segments}
    keys |= {f"campaign {each.key}": each.version for each in definitions.campaigns}
    return fingerprint({**keys, **{f"model {name}": version for name, version in scorers.versions.items()}})


def _describe_period(settings: Settings, plan: ReplayPlan, period: Period) -> Iterator[str]:
    if period.shortened:
        places = ", ".join(f"{topic}/{number}" for topic, number in period.shortened)
        yield (
            f"the records of {places} begin in the period: if earlier ones were deleted, what they did in it is missing"
        )
    if undecided := count_undecided(settings, period):
        yield f"the workers had not decided {undecided:,} records of the period when it began: they may be added"
    if plan.ledger == "empty":
        yield "the ledger began empty: no customer was a member, and none had been contacted"
    if not settings.withhold_expired:
        yield "triggers that had expired when their events arrived count as sent (HOLDFAST_WITHHOLD_EXPIRED=false)"


def summarise(replay: PostgresReplay, found: ReplayRecord) -> Replayed:
    """Return what came of a replay that was compared."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    uncertain: dict[str, dict[str, int]] = defaultdict(dict)
    for campaign, kind, count, unknown in replay.count("count_differences"):
        counts[campaign][kind] = count
        if unknown:
            uncertain[campaign][kind] = unknown
    ((alike, unsent),) = replay.count("count_unsent_alike")
    other = "history" if msgspec.json.decode(found.plan, type=_StoredPlan).has_history else "today"
    sources = {("recorded" if recorded else other): count for recorded, count in replay.count("count_sources")}
    rejects = dict(replay.count("count_rejects"))
    return Replayed(
        found.replay_id,
        found.begin,
        found.end,
        found.records,
        found.seconds,
        dict(counts),
        dict(uncertain),
        [ReasonCount(*row) for row in replay.count("count_reasons")],
        [(f"{day}", kind, count) for day, kind, count in replay.count("count_days")],
        sources,
        (unsent, alike),
        rejects,
        dict(replay.count("count_missing")),
        replay.examples(EXAMPLES),
        tuple(_describe_doubts(replay, found, sources, rejects)),
    )


def _describe_doubts(
    replay: PostgresReplay, found: ReplayRecord, sources: Mapping[str, int], rejects: Mapping[str, int]
) -> Iterator[str]:
    """Yield what is not known exactly, in sentences."""
    yield from msgspec.json.decode(found.plan, type=_StoredPlan).caveats
    if today := sources.get("today"):
        yield f"{today:,} decisions read today's rows of the warehouse: what the rows held then is not recorded"
    for what, customers in replay.count("count_uncertain"):
        yield f"{customers:,} customers: {_DOUBTS[what]}"
    if stops := replay.count_stops_between(found.begin, found.end):
        yield f"campaigns were stopped or resumed {stops:,} times in the period: the replay does not"
    ((messages,),) = replay.count("count_uncompared_messages")
    if messages:
        yield f"{messages:,} messages are not compared: the ledger has the triggers no longer"
    if rejects:
        yield f"{sum(rejects.values()):,} records cannot be decided: " + ", ".join(
            f"{count:,} {reason}" for reason, count in rejects.items()
        )


_DOUBTS = {
    "first evaluation": "whether they had been evaluated before the period is not recorded; taken as yes",
    "membership": "an episode that had begun before the period is known by its number only; taken as over",
    "signals": "earlier messages are no longer in the topic; their signals begin with what is left",
}
