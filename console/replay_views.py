"""What became of a replay, in words, rows and JSON: the same on the terminal and on the page. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from campaigns.replay_differences import DecidedTrigger, Difference
    from console.use_cases.replay import Replayed

SENT = ("same", "changed", "added", "removed")
COUNT_HEADINGS = ("campaign", *SENT, "sent by neither")
REASON_HEADINGS = ("kind", "campaign", "differs in", "replay", "live", "decisions")


def headline(found: Replayed) -> str:
    """Return the result in one sentence."""
    period = f"{found.begin:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC"
    rate = f", {found.records / found.seconds:,.0f} a second" if found.seconds else ""
    read = f"replay {found.replay_id} of {period}: {found.records:,} records{rate}"
    if found.is_same:
        return f"{read}. It sends what was sent: {found.total('same'):,} triggers."
    counts = ", ".join(f"{found.total(kind):,} {kind}" for kind in SENT)
    return f"{read}. Triggers: {counts}."


def count_rows(found: Replayed) -> list[tuple[str, ...]]:
    """Return the differences of each campaign, and of all of them."""
    rows = [(campaign, *_cells(kinds)) for campaign, kinds in found.counts.items()]
    if len(rows) > 1:
        total = {kind: found.total(kind) for kind in (*SENT, "unsent")}
        rows.append(("all", *_cells(total)))
    return rows


def _cells(kinds: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{kinds.get(kind, 0):,}" for kind in (*SENT, "unsent"))


def reason_rows(found: Replayed) -> list[tuple[str, ...]]:
    """Return why triggers differ, the most frequent first."""
    return [
        (each.kind, each.campaign, each.changed, _readable(each.replayed), _readable(each.live), f"{each.count:,}")
        for each in found.reasons
    ]


def _readable(reason: str) -> str:
    return reason.replace("_", " ")


def describe_examples(found: Replayed) -> Iterator[str]:
    """Yield the examples, a line each."""
    for each in found.examples:
        sides = f"replay: {describe_side(each.replayed)}; live: {describe_side(each.live)}"
        yield f"{each.kind}  {each.campaign}  {each.customer_id}  {sides}"


def describe_side(decided: DecidedTrigger | None) -> str:
    """Return a decision of one side in words."""
    if decided is None:
        return "no decision"
    offer = f", offer {decided.offer_id} by {decided.channel}" if decided.offer_id is not None else ""
    return f"{decided.outcome} {decided.as_of:%Y-%m-%d %H:%M} ({_readable(decided.reason)}){offer}"


def sentences(found: Replayed) -> Iterator[str]:
    """Yield where facts came from, and what is not known exactly."""
    unsent, alike = found.unsent
    if unsent:
        yield f"{unsent:,} opportunities were sent by neither, {alike:,} of them with the same outcome and reason"
    if recorded := found.sources.get("recorded"):
        yield f"{recorded:,} decisions read the facts that the live decision had recorded"
    if history := found.sources.get("history"):
        yield f"{history:,} decisions read rows of the time of their events (DWH_HISTORY_QUERY)"
    yield from found.caveats
    if doubtful := sum(by_kind.get(kind, 0) for by_kind in found.uncertain.values() for kind in SENT[1:]):
        yield f"{doubtful:,} of the differences are of customers whose state at the beginning is not known exactly"


def as_object(found: Replayed) -> dict[str, Any]:
    """Return a replay as JSON has it."""
    return {
        "replay": found.replay_id,
        "from": found.begin,
        "to": found.end,
        "records": found.records,
        "seconds": round(found.seconds, 3),
        "counts": {kind: found.total(kind) for kind in (*SENT, "unsent")},
        "campaigns": found.counts,
        "uncertain": found.uncertain,
        "reasons": found.reasons,
        "days": [{"day": day, "kind": kind, "triggers": count} for day, kind, count in found.days],
        "facts_from": found.sources,
        "undecidable": found.rejects,
        "missing": found.missing,
        "examples": list(map(_example, found.examples)),
        "caveats": found.caveats,
    }


def _example(each: Difference) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "customer_id": each.customer_id,
        "trigger_id": each.trigger_id,
        "campaign": each.campaign,
        "occasion": each.occasion,
        "changed": each.changed,
        "replay": each.replayed,
        "live": each.live,
    }
