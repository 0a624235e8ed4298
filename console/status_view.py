"""The status of a deployment as a page of a terminal, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from console.printable import printable
from console.tables import build_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from console.use_cases.models_status import ModelStatus
    from console.use_cases.status import Status

UNKNOWN = "unknown"
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
HEADING, ALARM = "bold", "bold red"


def render_status(status: Status) -> Group:
    """Return the page of a look."""
    return Group(*_render(status))


def status_object(status: Status) -> Mapping[str, Any]:
    """Return a look as JSON has it."""
    found = asdict(status)
    del found["marks"]
    return found


def _render(status: Status) -> Iterator[RenderableType]:
    yield Text(_headline(status), style=ALARM if status.attention else HEADING)
    yield from (Text(f"  ! {printable(sentence)}", style=ALARM) for sentence in status.attention)
    yield Text("")
    services = [
        (each.name, each.address, each.version, "away" if each.seconds is None else f"{1000 * each.seconds:.1f} ms")
        for each in status.services
    ]
    yield build_table(("service", "address", "version", "round trip"), services)
    yield Text("")
    yield from _render_workers(status)
    yield from _render_flow(status)
    yield build_table(("model", "version", "added", "promoted", "monitored"), _model_rows(status.models, status.at))
    yield Text("")
    yield from map(Text, _describe_definitions(status))


def _headline(status: Status) -> str:
    count = len(status.attention)
    verdict = "all is fine" if not count else f"{count} thing{' needs' if count == 1 else 's need'} attention"
    return f"{status.at:%Y-%m-%d %H:%M:%S} UTC: {verdict}"


def _render_workers(status: Status) -> Iterator[RenderableType]:
    found = status.workers.value
    if found is None:
        yield Text(f"workers: {UNKNOWN}")
    else:
        rows = [
            (
                printable(each.name),
                each.host,
                describe_ranges(each.partitions),
                each.health or UNKNOWN,
                "" if each.commit_age_s is None else f"{each.commit_age_s:.0f} s",
            )
            for each in found.workers
        ]
        yield Text(f"workers: {len(rows)}, group {found.group_state}", style=HEADING)
        if rows:
            yield build_table(("worker", "host", "partitions", "health", "commit age"), rows)
    yield Text("")


def _render_flow(status: Status) -> Iterator[RenderableType]:
    lag = status.lag.value
    if lag is None:
        yield Text(f"lag: {UNKNOWN}")
    else:
        ages = [status.at - each.oldest for each in lag if each.oldest is not None]
        total = (
            "total",
            f"{sum(each.events for each in lag):,}",
            describe_seconds(max(ages).total_seconds()) if ages else "",
        )
        rows = [(each.topic, f"{each.events:,}", _age(each.oldest, status.at)) for each in lag]
        yield build_table(("topic", "lag", "oldest"), [*rows, total])
    rate = status.rate
    yield Text(f"rate: {_number(rate.events)} events/s, {_number(rate.triggers)} triggers/s, over {rate.over_s:.1f} s")
    yield Text(f"outbox: {_describe_outbox(status)}")
    letters = status.dead_letters.value
    by_reason = UNKNOWN if letters is None else ", ".join(f"{count:,} {why}" for why, count in letters.items())
    yield Text(f"open dead letters: {by_reason or 'none'}")
    yield Text("")


def _describe_outbox(status: Status) -> str:
    unsent = status.outbox.value
    if unsent is None:
        return UNKNOWN
    age = f", the oldest {_age(unsent.oldest, status.at)}" if unsent.oldest else ""
    return f"{unsent.messages:,} messages are not published{age}"


def _model_rows(models: Iterable[ModelStatus], now: datetime) -> Iterator[tuple[str, ...]]:
    for each in models:
        monitored = each.monitored
        drift = "" if monitored is None or monitored.largest_drift is None else f", PSI {monitored.largest_drift:.2f}"
        said = "never" if monitored is None else f"{monitored.verdict}{drift}, {_age(_parse(monitored.at), now)} ago"
        yield (each.task, each.version, _age(_parse(each.added_at), now), _age(_parse(each.promoted_at), now), said)


def _describe_definitions(status: Status) -> Iterator[str]:
    stops = status.stops.value
    if not stops:
        yield f"stopped campaigns: {UNKNOWN if stops is None else 'none'}"
    for stop in stops or ():
        since = f"{stop.stopped_at.astimezone(UTC):%Y-%m-%d %H:%M}"
        yield printable(f"stopped: campaign {stop.campaign} since {since} UTC by {stop.actor}: {stop.reason}")
    definitions = status.definitions.value
    if definitions is None:
        yield f"definitions: {UNKNOWN}"
    for kind, group in groupby(definitions or (), key=lambda each: each.kind):
        of_kind = list(group)
        agreeing = sum(each.agrees for each in of_kind)
        yield f"{kind}s: {agreeing} of {len(of_kind)} are in force as the folder defines them"
        for each in of_kind:
            if not each.agrees:
                yield f"  {each.key}: {each.defined} is defined, {each.in_force or 'no version'} is in force"
    waiting = status.waiting.value
    if waiting is None:
        yield f"customers who wait for an evaluation: {UNKNOWN}"
        return
    for key, (count, known) in waiting.by_segment.items():
        yield f"segment {key}: {count:,} of {known:,} known customers wait for an evaluation under its version"
    for begun in waiting.unfinished:
        since = f"{begun.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        yield f"re-evaluation {begun.reevaluation_id}: begun {since}, over for {begun.customers:,} customers so far"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.1f}"


def _parse(moment: str | None) -> datetime | None:
    return datetime.fromisoformat(moment) if moment else None


def _age(moment: datetime | None, now: datetime) -> str:
    return "" if moment is None else describe_seconds((now - moment).total_seconds())


def describe_seconds(seconds: float) -> str:
    """Return a duration in its largest unit."""
    for unit, name in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{max(seconds, 0.0):.1f} s"


def describe_ranges(numbers: Sequence[int]) -> str:
    """Return numbers in ascending order as ranges, as 0-3, 7."""
    ranges = [
        [number for _, number in group] for _, group in groupby(enumerate(numbers), key=lambda each: each[1] - each[0])
    ]
    return ", ".join(str(each[0]) if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in ranges)
