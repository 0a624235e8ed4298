"""Whether the rules of segments fit the columns and types of the warehouse's view."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from campaigns.unknown_facts import find_unknown_facts
from console.use_cases.segment_choice import choose_segment
from console.use_cases.segment_facts import facts_of, find_missing_columns
from console.use_cases.warehouse_check import describe_view, read_sample
from features.signals import as_columns
from features.table import find_kind
from features.times import EVENT_TIME, event_times
from models.rfm import SEGMENTS
from models.scores import score_customers
from segments.expression import Array, BoolOp, Condition, Fact, LiteralValue, Negation, Operation
from segments.null_safety import find_null_holds
from streams.definitions import read_definitions
from streams.known_facts import SAMPLED_ROWS, known_facts
from streams.runtime.model_reload import load_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from features.table import FeatureTable, Kind
    from models.registry import Scorers
    from segments.definition import Segment
    from segments.jsonlogic import Rule
    from segments.nodes import Node
    from streams.settings import Settings

VALUES: Mapping[str, Sequence[str]] = {
    "churn_risk": ("low", "medium", "high"),
    "churn_risk_level": ("low", "medium", "high", "critical"),
    "value_segment": ("low", "medium", "high"),
    "decision_basis": ("model", "rules", "mock"),
    "rfm_segment": SEGMENTS,
}
"""Every text that a fact of the models may be."""
COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!=", "===", "!=="})
KIND_WORDS: Mapping[Kind, str] = {"number": "a number", "boolean": "true or false", "other": "text, time or JSON"}
_ADVICE: Mapping[Kind, str] = {
    "number": "write a number without quotes",
    "boolean": "write true or false without quotes",
    "other": "write text in quotes, or let the view return a number",
}


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """A segment, and what is wrong with its rules on this view, in sentences; nothing where it fits.

    `notes` are about customers without a value whom a rule would admit, which may be meant.
    """

    segment: Segment
    problems: Sequence[str]
    notes: Sequence[str] = ()


def check_segments(settings: Settings, name: str | Segment | None = None) -> Sequence[SegmentVerdict]:
    """Return a verdict on each segment, or on the one named.

    Args:
        settings: where the view, the models and the definitions are.
        name: a segment, the key of one, or a definition file; None for all segments.

    Raises:
        WarehouseError: the warehouse cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    definitions = read_definitions(settings)
    segments = definitions.segments if name is None else [choose_segment(definitions.segments, name)]
    scorers = load_models(settings, definitions.offers)
    sample = asyncio.run(read_sample(settings, SAMPLED_ROWS))
    facts = add_silent_facts(sample, scorers, datetime.now(UTC))
    problems = {each.key: find_problems(each, sample, scorers, settings) for each in segments}
    return [
        SegmentVerdict(each, problems[each.key], () if problems[each.key] else find_null_holds(each, facts))
        for each in segments
    ]


def find_problems(segment: Segment, view: FeatureTable, scorers: Scorers, settings: Settings) -> list[str]:
    """Return what is wrong with a segment's rules on a view: unknown facts, scores that lack columns, types.

    Args:
        segment: the segment.
        view: the view's columns; it needs no rows.
        scorers: the models.
        settings: they say whether rows have a time of change, and what the view is called.
    """
    known = known_facts(view, scorers, marks_stale=settings.updated_at_column is not None)
    missing = find_missing_columns(facts_of(segment.pin(known)), view, scorers)
    kinds = find_kinds(view, scorers)
    rules = {"rule": segment.rule, "exit_rule": segment.exit_rule}
    return [
        *find_unknown_facts([segment], [], known, describe_view(settings)),
        *([f"{segment.file}: {missing}"] if missing else []),
        *(
            f"{segment.file}: $.{field} {problem}"
            for field, rule in rules.items()
            if rule is not None
            for problem in find_mismatches(rule, kinds)
        ),
    ]


def find_kinds(view: FeatureTable, scorers: Scorers) -> Mapping[str, Kind]:
    """Return the kind of each fact of the view, of the models and of conversations."""
    empty = add_silent_facts(view.take([]), scorers, datetime.now(UTC))
    return {name: find_kind(column) for name, column in empty.columns.items()}


def add_silent_facts(view: FeatureTable, scorers: Scorers, as_of: datetime) -> FeatureTable:
    """Return the facts of customers who have said nothing, as of a time."""
    signals = as_columns({}, view.customer_ids, as_of)
    return score_customers(view, scorers).with_columns({**signals, EVENT_TIME: event_times([as_of] * len(view))})


def find_mismatches(rule: Rule, kinds: Mapping[str, Kind]) -> list[str]:
    """Return a sentence for each comparison of a fact with a value, or with a fact, that it cannot be equal to.

    JavaScript compares values of different types after a conversion that seldom is what the author means: a text that
    is no number is neither less nor greater than any number. A part of a JSON column, null and a computed value fit
    everything, and a truth value fits a number.
    """
    return [
        sentence
        for node in _walk(rule.program)
        for left, right in _pairs(node)
        if (sentence := _describe_mismatch(left, right, kinds) or _describe_never(left, right))
    ]


def _walk(node: Node) -> Iterator[Operation]:
    """Yield every operation of a rule, in the order of the rule."""
    match node:
        case Operation():
            yield node
            parts: Sequence[Node] = node.args
        case BoolOp() | Array():
            parts = node.parts
        case Negation():
            parts = (node.part,)
        case Condition():
            parts = (node.test, node.then, node.otherwise)
        case _:
            parts = ()
    for part in parts:
        yield from _walk(part)


def _pairs(operation: Operation) -> Iterator[tuple[Node, Node]]:
    """Yield what an operation compares with each other."""
    if operation.operator in COMPARISONS:
        yield from pairwise(operation.args)
    elif operation.operator == "in":
        needle, haystack = operation.args
        if isinstance(haystack, LiteralValue) and isinstance(haystack.value, list):
            yield from ((needle, LiteralValue(each)) for each in haystack.value)
        elif isinstance(haystack, Array):
            yield from ((needle, part) for part in haystack.parts)


def _describe_never(left: Node, right: Node) -> str:
    """Return a sentence where a fact of the models is compared with a text that it never is, empty otherwise."""
    if isinstance(left, LiteralValue):
        left, right = right, left
    if not isinstance(left, Fact) or not isinstance(right, LiteralValue) or not isinstance(right.value, str):
        return ""
    name, values = left.names[0], VALUES.get(left.names[0], (right.value,))
    if right.value in values:
        return ""
    others = [each for each, known in VALUES.items() if right.value in known]
    hint = f"; {' and '.join(others)} may be" if others else ""
    return f"compares {name!r} with {right.value!r}, which it never is: it is {', '.join(values)}{hint}"


def _describe_mismatch(left: Node, right: Node, kinds: Mapping[str, Kind]) -> str:
    """Return a sentence, empty where two sides fit."""
    if isinstance(left, LiteralValue):
        left, right = right, left
    kind = _kind_of(left, kinds)
    if kind is None or not isinstance(left, Fact):
        return ""
    subject = f"compares {left.names[0]!r}, which is {KIND_WORDS[kind]}, with"
    if isinstance(right, LiteralValue):
        wrong = _mistyped(right.value, kind)
        return f"{subject} {wrong}; {_ADVICE[kind]}" if wrong else ""
    other = _kind_of(right, kinds)
    if other is None or not isinstance(right, Fact) or (kind == "other") == (other == "other"):
        return ""
    return f"{subject} {right.names[0]!r}, which is {KIND_WORDS[other]}; let the view return one type for both"


def _mistyped(value: Any, kind: Kind) -> str:
    """Return a value in words if it does not fit a kind, else an empty text."""
    if isinstance(value, str):
        return "" if kind == "other" else f"the text {value!r}"
    return f"the number {value:.15g}" if isinstance(value, float) and kind == "other" else ""


def _kind_of(node: Node, kinds: Mapping[str, Kind]) -> Kind | None:
    """Return the kind of a fact, None of a part of one and of all else."""
    return kinds.get(node.names[0]) if isinstance(node, Fact) else None
