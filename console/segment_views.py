"""Previews and comparisons of segments in words, for the terminal and the console's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.reevaluations import Reevaluated
    from console.use_cases.segment_diff import SegmentDiff
    from console.use_cases.segment_preview import SegmentPreview


def number(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def describe_change(now: int, before: int | None) -> str:
    """Return by how much a size has changed; nothing where the size before is unknown."""
    return "" if before is None else f"{now - before:+,}"


def percent(share: float) -> str:
    """Return a share in percent; one that is not 0 does not look like it."""
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.0005 else "below 0.1 %"  # noqa: PLR2004 - half of the last digit


def describe_preview(found: SegmentPreview) -> str:
    """Return for how many customers the rule holds."""
    holds = f"{found.matching:,} of {number(found.customers, 'customer')} of {found.view} ({percent(found.share)})"
    return f"{found.segment.key} version {found.segment.version}: holds for {holds}"


def describe_diff(found: SegmentDiff) -> list[str]:
    """Return what an evaluation of every customer would change, in sentences."""
    segment, entering = found.segment, found.entering
    customers = f"{number(found.customers, 'customer')} of {found.view}"
    moves = f"{entering.customers:,} would enter and {found.leaving.customers:,} would leave"
    now = number(found.members, "member")
    sentences = [f"{segment.key} version {segment.version}: {now} now; of {customers}, {moves}"]
    if entering.silent:
        sentences.append(
            f"{entering.silent:,} of those who enter would fire no campaign: their first evaluation is suppressed"
        )
    if found.kept:
        sentences.append(f"{found.kept:,} of those who stay do so because the exit rule does not hold")
    if found.absent:
        absent = number(found.absent, "member")
        sentences.append(f"{absent} not in the view: nothing evaluates them, so they stay")
    return sentences


def describe_reevaluation(done: Reevaluated) -> Iterator[str]:
    """Yield what became of a re-evaluation, in sentences."""
    earlier = f", {done.earlier:,} of them in earlier attempts" if done.earlier else ""
    yield f"re-evaluation {done.reevaluation_id}: {done.customers:,} customers{earlier}, in {done.seconds:,.1f} s"
    yield f"{done.evaluated:,} were evaluated; {done.current:,} had been evaluated under these rules before"
    if done.duplicates:
        yield f"{done.duplicates:,} have several rows in the warehouse: none evaluates them (holdfast warehouse check)"
    if done.passed_over:
        yield (
            f"{done.passed_over:,} were not evaluated: run it again; their rows may be gone, or their requests dead "
            "letters (holdfast dead-letters list --topic evaluations)"
        )
