"""`holdfast segments activate`, `history` and `reevaluate`: which rules count, since when, and for whom."""

from __future__ import annotations

import difflib
import json
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click
import msgspec

from console.cli.exit_codes import INTERRUPTED
from console.cli.progress_bar import ProgressBar
from console.printable import printable
from console.segment_views import describe_reevaluation
from console.use_cases.reevaluations import reevaluate
from console.use_cases.segments import activate_segment, read_history
from models.current_user import current_user
from segments.engine import MODES
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from campaigns.records import ActivationRecord
    from console.use_cases.segments import SegmentHistory
    from segments.engine import Mode

LINE = 100
"""A rule that has fewer characters is shown on one line."""
TAKEN_UP = "running workers take it up within seconds"
_BY = click.option("--by", default=current_user, help="Name recorded with it; default: the current user.")


@click.command("activate")
@click.argument("key")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default=MODES[0],
    show_default=True,
    help="Which entries at a customer's first evaluation may fire campaigns: none; those that the version before would "
    "have made, too; or all.",
)
@click.option("--why", default="", help="Reason recorded with the action, for `holdfast segments history`.")
@_BY
def activate(key: str, mode: Mode, why: str, by: str) -> None:
    """Set what the first evaluation of a customer under a segment's present rules may fire.

    Workers read this when they start, and within seconds with HOLDFAST_DEFINITIONS=ledger and --why. Run it before they
    have changed rules: what has been evaluated stays.
    """
    settings = load_settings()
    segment = activate_segment(settings, key, mode, by=by, why=why)
    # Workers look for modes that have a reason.
    is_taken_up = why and settings.definitions == "ledger"
    click.echo(f"{key} version {segment.version}: {mode}; {TAKEN_UP if is_taken_up else 'restart the workers'}")
    click.echo("then let them evaluate every customer: holdfast segments reevaluate")


@click.command("reevaluate")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Most customers in a second; default: HOLDFAST_REEVALUATION_RATE.",
)
@_BY
def reevaluate_customers(rate: float | None, by: str) -> None:
    """Let the workers evaluate every customer who was not evaluated under the present rules of all segments.

    Run it when the workers have started with the changed definitions. It ends when the customers are evaluated, and may
    be interrupted: the same command resumes it. Live events come first.
    """
    with ProgressBar() as bar:
        try:
            done = reevaluate(
                load_settings(),
                by=by,
                rate=rate,
                on_progress=lambda each: bar.show(f"re-evaluation {each.reevaluation_id}", each.customers),
            )
        except KeyboardInterrupt:
            bar.stop()
            click.echo("holdfast: interrupted; `holdfast segments reevaluate` goes on", err=True)
            sys.exit(INTERRUPTED)
    for sentence in describe_reevaluation(done):
        click.echo(sentence)


@click.command("history")
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def history(key: str, as_json: bool) -> None:
    """Show which versions of a segment were in force: who put each into force, when, why, and what it changed.

    The latest comes first.
    """
    found = read_history(load_settings(), key)
    if as_json:
        click.echo(msgspec.json.encode(history_as_object(found)))
        return
    for sentence in describe_history(found):
        click.echo(sentence)


def describe_history(found: SegmentHistory) -> Iterator[str]:
    """Yield the history of a segment, line by line."""
    segment, noted = found.segment, found.activations
    if not noted or noted[0].version != segment.version:
        yield f"{segment.key} version {segment.version} is defined and not in force yet: no worker has started with it"
    for later, earlier in pairwise([*noted, None]):
        if later is not None:
            yield from _describe_activation(later, earlier)
    yield f"{found.evaluated:,} of {found.known:,} known customers are evaluated under version {segment.version}"


def _describe_activation(noted: ActivationRecord, before: ActivationRecord | None) -> Iterator[str]:
    when = f"{noted.activated_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{when}  version {noted.version}  {noted.mode}  by {printable(noted.actor)}"
    if noted.why:
        yield f"    reason: {printable(noted.why)}"
    if before is not None and before.version == noted.version:
        return
    if noted.rules is None:
        yield "    its rules were not recorded"
        return
    lines = _lines(noted.rules)
    if before is not None and before.rules is not None:
        lines = list(difflib.unified_diff(_lines(before.rules), lines, n=len(lines), lineterm=""))[3:]
    for line in lines:
        yield f"    {printable(line)}"


def _lines(rules: Mapping[str, Any]) -> list[str]:
    """Return each rule as lines of JSON; an exit rule that is missing is left out."""
    given = {name: rule for name, rule in rules.items() if name == "rule" or rule is not None}
    return [line for name, rule in given.items() for line in _indent(f"{name}: ", rule, 0, "")]


def _indent(name: str, value: Any, depth: int, after: str) -> Iterator[str]:
    """Yield a value as lines of JSON, on one line where it is short enough."""
    margin, text = "  " * depth, json.dumps(value, ensure_ascii=False)
    if len(margin + name + text) <= LINE or not value or not isinstance(value, list | dict):
        yield f"{margin}{name}{text}{after}"
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    parts = (
        [(f"{json.dumps(key)}: ", each) for key, each in value.items()]
        if isinstance(value, dict)
        else [("", each) for each in value]
    )
    yield f"{margin}{name}{opening}"
    for place, (part, each) in enumerate(parts, 1):
        yield from _indent(part, each, depth + 1, "," if place < len(parts) else "")
    yield f"{margin}{closing}{after}"


def history_as_object(found: SegmentHistory) -> Mapping[str, Any]:
    """Return a history as JSON has it."""
    return {
        "segment": found.segment.key,
        "version": found.segment.version,
        "evaluated": found.evaluated,
        "known": found.known,
        "activations": found.activations,
    }
