"""`holdfast segments`: what rules can read, whether they fit the view, whom they hold for, and who is a member."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
import msgspec

from console.cli.segment_versions import activate, history, reevaluate_customers
from console.printable import printable
from console.segment_views import describe_change, describe_diff, describe_preview, number, percent
from console.tables import print_table
from console.use_cases.segment_check import check_segments
from console.use_cases.segment_columns import list_fact_columns
from console.use_cases.segment_diff import compare_segment
from console.use_cases.segment_preview import preview_segment
from console.use_cases.segments import list_members, measure_segments
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.use_cases.segment_columns import FactColumn, FactColumns
    from console.use_cases.segment_diff import Movement, SegmentDiff
    from console.use_cases.segment_preview import Example, SegmentPreview
    from console.use_cases.segments import SegmentMembers

WRONG = 1
EXAMPLES = 10
MEMBERS = 20
CUT = 60
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_EXAMPLES = click.option(
    "--limit", type=click.IntRange(0, 10_000), default=EXAMPLES, show_default=True, help="Maximum number of examples."
)


@click.group()
def segments() -> None:
    """Show, check and preview segments, and activate their rules."""


segments.add_command(activate)
segments.add_command(history)
segments.add_command(reevaluate_customers)


@segments.command("list")
def list_segments() -> None:
    """Show every segment, its version, its size, and how that has changed in 7 days."""
    print_table(
        ("segment", "name", "version", "members", "7-day change"),
        [
            (
                each.segment.key,
                each.segment.name,
                each.segment.version,
                f"{each.members:,}",
                describe_change(each.members, each.week_ago),
            )
            for each in measure_segments(load_settings())
        ],
    )


@segments.command("columns")
@_JSON
def list_columns(as_json: bool) -> None:
    """Show every fact that rules can read: type, group, coverage and some values.

    Coverage and values are of the first 1,000 customers that the warehouse gives. Columns that identify customers show
    no values.
    """
    found = list_fact_columns(load_settings())
    if as_json:
        click.echo(encode(found))
        return
    print_table(("fact", "type", "group", "coverage", "values"), map(describe_fact, found.facts))
    for sentence in describe_facts_read(found):
        click.echo(sentence)


@segments.command("check")
@click.argument("segment", required=False, metavar="[KEY|FILE]")
def check(segment: str | None) -> None:
    """Check that the rules of all segments, or of one, fit the columns and types of the view.

    A note names the facts without which a rule would hold, and for how many of 1,000 customers. FILE may be a
    definition that is not in the folder of definitions yet. Exit code 1 if something is wrong.
    """
    verdicts = check_segments(load_settings(), segment)
    print_table(
        ("segment", "version", "verdict"),
        [(each.segment.key, each.segment.version, describe_problems(each.problems)) for each in verdicts],
    )
    for note in (note for each in verdicts for note in each.notes):
        click.echo(f"note: {note}")
    problems = [problem for each in verdicts for problem in each.problems]
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    sys.exit(WRONG if problems else 0)


@segments.command("preview")
@click.argument("segment", metavar="KEY|FILE")
@_EXAMPLES
@_JSON
def preview(segment: str, limit: int, as_json: bool) -> None:
    """Show for how many customers a segment's rule holds now, with examples.

    Every customer of the view is read, with the columns that the rule needs. FILE may be a definition that is not in
    the folder of definitions yet. Nothing is changed.
    """
    found = preview_segment(load_settings(), segment, limit=limit)
    if as_json:
        click.echo(encode(preview_as_object(found)))
        return
    click.echo(describe_preview(found))
    show_examples(found.examples, found.matching)
    show_models(found.scored_by, found.substitutions)


@segments.command("diff")
@click.argument("segment", metavar="KEY|FILE")
@_EXAMPLES
@_JSON
def diff(segment: str, limit: int, as_json: bool) -> None:
    """Show who would enter and who would leave a segment if every customer were evaluated now.

    FILE may be a definition that is not in the folder of definitions yet; its key says which members it is compared
    with. Nothing is changed.
    """
    found = compare_segment(load_settings(), segment, limit=limit)
    if as_json:
        click.echo(encode(diff_as_object(found)))
        return
    for sentence in describe_diff(found):
        click.echo(sentence)
    for heading, movement in (("would enter:", found.entering), ("would leave:", found.leaving)):
        if movement.examples:
            click.echo(heading)
            show_examples(movement.examples, movement.customers)
    show_models(found.scored_by, found.substitutions)


@segments.command("members")
@click.argument("key")
@click.option(
    "--limit", type=click.IntRange(0), default=MEMBERS, show_default=True, help="Maximum number shown, by customer id."
)
@_JSON
def members(key: str, limit: int, as_json: bool) -> None:
    """Show the members of a segment, and since when each is one."""
    found = list_members(load_settings(), key, limit=limit)
    if as_json:
        click.echo(encode(members_as_object(found)))
        return
    if found.members:
        print_table(
            ("customer", "member since", "version", "entry"),
            [
                (
                    printable(each.customer_id),
                    f"{each.entered_at:%Y-%m-%d %H:%M} UTC",
                    each.version,
                    "silent" if each.suppressed else "may fire",
                )
                for each in found.members
            ],
        )
    show_rest(len(found.members), found.count)
    click.echo(f"{found.segment.key}: {number(found.count, 'member')}")


def show_value(value: Any) -> str:
    """Return a fact's value in a few characters, safe on a terminal."""
    match value:
        case None:
            return "null"
        case float() | int() if not isinstance(value, bool):
            return f"{value:,.10g}"
        case str():
            text = printable(value)
        case _:
            text = printable(msgspec.json.encode(value).decode())
    return text if len(text) <= CUT else f"{text[:CUT]}..."


def describe_fact(fact: FactColumn) -> tuple[str, ...]:
    """Return the cells of a fact in a table."""
    coverage = "" if fact.coverage is None else percent(fact.coverage)
    return (printable(fact.name), fact.type, fact.group, coverage, ", ".join(map(show_value, fact.values)))


def describe_facts_read(found: FactColumns) -> list[str]:
    """Return what the coverage and values of facts are of."""
    said = (
        f"{found.view}: {number(len(found.facts), 'fact')}; coverage and values of {found.sampled:,} sampled customers"
    )
    if found.unsampled is None:
        return [said]
    return [said, f"the facts of conversations were not sampled: {found.unsampled}"]


def describe_problems(problems: Sequence[str]) -> str:
    """Return how many problems there are."""
    return number(len(problems), "problem") if problems else "fits"


def show_examples(examples: Sequence[Example], count: int) -> None:
    """Print customers with the facts that the rules read, and how many more there are."""
    if examples:
        names = list(examples[0].facts)
        rows = [(printable(each.customer_id), *map(show_value, each.facts.values())) for each in examples]
        print_table(("customer", *map(printable, names)), rows)
    show_rest(len(examples), count)


def show_rest(shown: int, count: int) -> None:
    """Print how many more there are, where some are not shown."""
    if shown < count:
        click.echo(f"{count - shown:,} more")


def show_models(scored_by: Mapping[str, str], substitutions: Sequence[str]) -> None:
    """Print what gave the scores that the rules read."""
    if scored_by:
        click.echo(f"scores: {', '.join(f'{name} {version}' for name, version in scored_by.items())}")
    for sentence in islice(substitutions, EXAMPLES):
        click.echo(sentence)


def encode(value: Any) -> str:
    """Return a value as JSON; a number that JSON cannot have is null."""
    return msgspec.json.encode(value).decode()


def preview_as_object(found: SegmentPreview) -> Mapping[str, Any]:
    """Return a preview as JSON has it."""
    return {
        "segment": found.segment.key,
        "version": found.segment.version,
        "view": found.view,
        "matching": found.matching,
        "customers": found.customers,
        "share": found.share,
        "examples": found.examples,
        "scored_by": found.scored_by,
        "substitutions": found.substitutions,
    }


def diff_as_object(found: SegmentDiff) -> Mapping[str, Any]:
    """Return a comparison as JSON has it."""
    return {
        "segment": found.segment.key,
        "version": found.segment.version,
        "view": found.view,
        "customers": found.customers,
        "members": found.members,
        "entering": found.entering,
        "leaving": _leaving(found.leaving),
        "kept_by_exit_rule": found.kept,
        "not_in_view": found.absent,
        "scored_by": found.scored_by,
        "substitutions": found.substitutions,
    }


def _leaving(movement: Movement) -> Mapping[str, Any]:
    # Nothing fires when a customer leaves, silent or not.
    return {"customers": movement.customers, "examples": movement.examples}


def members_as_object(found: SegmentMembers) -> Mapping[str, Any]:
    """Return members as JSON has them."""
    return {
        "segment": found.segment.key,
        "version": found.segment.version,
        "members": found.count,
        "shown": found.members,
        "more": found.count - len(found.members),
    }
