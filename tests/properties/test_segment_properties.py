"""Memberships follow from the sequence of facts alone, however the customers are put into batches."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from features.table import FeatureTable
from segments.definition import build_segment
from segments.engine import Activation, Episode, MembershipState, Transition, classify
from segments.explanation import explain_rule
from tests.examples import examples

SETTINGS = examples(150)
SEGMENTS = [
    build_segment(
        {"key": "risk", "name": "R", "rule": {">=": [{"var": "p"}, 7]}, "exit_rule": {"<": [{"var": "p"}, 4]}},
        where="t",
    ),
    build_segment({"key": "even", "name": "E", "rule": {"==": [{"%": [{"var": "p"}, 2]}, 0]}}, where="t"),
]
ACTIVATIONS = {each.key: Activation(each.version, datetime(2011, 1, 1, tzinfo=UTC)) for each in SEGMENTS}
VALUES = st.one_of(st.none(), st.integers(0, 10))
HISTORIES = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12)


def step(held: dict[str, MembershipState], values: dict[str, Any]) -> tuple[Transition, ...]:
    """Evaluate the customers given and write the outcome into `held`, as the ledger does."""
    table = FeatureTable.from_rows(list(values), ["p"], [[value] for value in values.values()])
    outcome = classify(SEGMENTS, table, held, activations=ACTIVATIONS, joined_at={})
    for customer_id in outcome.versions_changed:
        held[customer_id] = MembershipState(
            held.get(customer_id, MembershipState()).members, outcome.evaluated_versions
        )
    for change in outcome.changes:
        before = held[change.customer_id]
        episode = Episode(change.episode, is_member=change.kind == "entered")
        held[change.customer_id] = MembershipState(
            {**before.members, change.segment: episode}, before.evaluated_versions
        )
    return outcome.changes


@SETTINGS
@given(HISTORIES)
def test_one_batch_or_one_customer_at_a_time_gives_the_same_memberships(history: list[tuple[Any, ...]]) -> None:
    together: dict[str, MembershipState] = {}
    apart: dict[str, MembershipState] = {}
    for values in history:
        by_customer = dict(zip("abc", values, strict=True))
        changes = step(together, by_customer)
        singles = [change for key, value in by_customer.items() for change in step(apart, {key: value})]
        assert list(changes) == singles
    assert together == apart


@SETTINGS
@given(HISTORIES)
def test_evaluating_the_same_facts_again_changes_nothing(history: list[tuple[Any, ...]]) -> None:
    held: dict[str, MembershipState] = {}
    for values in history:
        by_customer = dict(zip("abc", values, strict=True))
        step(held, by_customer)
        assert step(held, by_customer) == ()


@SETTINGS
@given(HISTORIES)
def test_episodes_are_numbered_without_gaps_and_alternate(history: list[tuple[Any, ...]]) -> None:
    held: dict[str, MembershipState] = {}
    seen: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for values in history:
        for change in step(held, dict(zip("abc", values, strict=True))):
            seen.setdefault((change.customer_id, change.segment), []).append((change.kind, change.episode))
    for changes in seen.values():
        assert changes == [(("entered", "exited")[n % 2], n // 2 + 1) for n in range(len(changes))]


FACTS = ("a", "b", "c")
OPERANDS = st.one_of(
    st.sampled_from([{"var": name} for name in FACTS]),
    st.sampled_from([{"var": [name, 3]} for name in FACTS]),
    st.integers(0, 9),
)
COMPARISONS = st.tuples(st.sampled_from(["<", ">=", "==", "!="]), OPERANDS, OPERANDS).map(
    lambda c: {c[0]: [c[1], c[2]]}
)
RULES = st.recursive(
    COMPARISONS,
    lambda rules: st.one_of(
        st.lists(rules, min_size=1, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(rules, min_size=1, max_size=3).map(lambda parts: {"or": parts}),
        rules.map(lambda rule: {"!": [rule]}),
    ),
    max_leaves=5,
)
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=4)


@SETTINGS
@given(RULES, st.none() | RULES, ROWS, ROWS, st.sampled_from(FACTS), st.booleans())
def test_removing_a_column_never_changes_a_membership(
    rule: Any, exit_rule: Any, before: list[Any], after: list[Any], removed: str, derived: bool
) -> None:
    """Of a segment that reads it; one that does not goes on. When the column is back, everything goes on."""
    segment = build_segment({"key": "s", "name": "S", "rule": rule, "exit_rule": exit_rule}, where="t")
    activations = {"s": Activation(segment.version, datetime(2011, 1, 1, tzinfo=UTC), "emit")}
    customers = [str(number) for number in range(min(len(before), len(after)))]
    run = partial(classify, [segment], activations=activations, joined_at={})
    first, second = (FeatureTable.from_rows(customers, FACTS, rows[: len(customers)]) for rows in (before, after))
    entered = {change.customer_id for change in run(first, {}).changes}
    held = {
        each: MembershipState({"s": Episode(1, is_member=True)} if each in entered else {}, {"s": segment.version})
        for each in customers
    }
    columns = {name: cells for name, cells in second.columns.items() if derived or name != removed}
    without = run(
        FeatureTable(second.customer_ids, columns), held, unavailable={removed: ("source",)} if derived else {}
    )
    if removed in segment.facts:
        assert (without.changes, without.versions_changed, set(without.frozen)) == ((), (), {"s"})
    else:
        assert (without.changes, without.frozen) == (run(second, held).changes, {})


@SETTINGS
@given(VALUES)
def test_an_explanation_agrees_with_the_rule(value: Any) -> None:
    for segment in SEGMENTS:
        explanation = explain_rule(segment.rule, {"p": value})
        assert explanation.met == segment.rule.holds({"p": value})
        assert (explanation.nearest_miss is None) == explanation.met
