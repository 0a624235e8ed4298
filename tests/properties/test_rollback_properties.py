"""A segment's version that is restored goes on as if the versions in between had not been in force."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from campaigns.ports import BatchChanges
from features.table import FeatureTable
from segments.definition import build_segment
from segments.engine import classify
from tests.builders import AS_OF
from tests.examples import examples
from tests.fakes.ledger import InMemoryLedger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segments.definition import Segment
    from segments.engine import Transition

SETTINGS = examples(200)


def define(enters: int, leaves: int | None) -> Segment:
    """Members have at least `enters`, and leave below `leaves`, or below `enters`."""
    rules = {"rule": {">=": [{"var": "p"}, enters]}, "exit_rule": leaves and {"<": [{"var": "p"}, leaves]}}
    return build_segment({"key": "risk", "name": "Risk", **rules}, where="test")


VERSIONS = st.lists(
    st.builds(define, st.integers(3, 8), st.one_of(st.none(), st.integers(1, 3))),
    min_size=3,
    max_size=3,
    unique_by=lambda each: each.version,
)
STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=12)


@dataclass(frozen=True)
class Step:
    """One evaluation of ann: the version in force, the change it led to, and the membership after it."""

    version: int
    change: Transition | None
    is_member: bool

    @property
    def entry(self) -> bool:
        """Whether ann entered."""
        return self.change is not None and self.change.kind == "entered"

    @property
    def fires(self) -> bool:
        """Whether ann entered and a campaign may contact her for it."""
        return self.change is not None and self.entry and not self.change.suppressed


async def evaluate(versions: Sequence[Segment], history: Sequence[tuple[int, int]]) -> list[Step]:
    """Evaluate ann under the versions as they come into force, and write the outcome into a ledger."""
    ledger, steps = InMemoryLedger(), []
    for version, value in history:
        segments = [versions[version]]
        activations = await ledger.activate(segments, [], at=AS_OF)
        memberships = (await ledger.read(["ann"], [])).memberships
        table = FeatureTable.from_rows(["ann"], ["p"], [[value]])
        outcome = classify(segments, table, memberships, activations=activations, joined_at={})
        changes = BatchChanges(
            transitions=outcome.changes,
            transitions_at={"ann": AS_OF},
            evaluated=outcome.versions_changed,
            earlier_results=outcome.earlier_results,
        )
        await ledger.commit(changes, owners={})
        steps.append(Step(version, next(iter(outcome.changes), None), bool(outcome.members["risk"][0])))
    return steps


def was_announced(steps: Sequence[Step]) -> bool:
    """Return whether the last entry fired."""
    return next((each.fires for each in reversed(steps) if each.entry), False)


@SETTINGS
@given(VERSIONS, st.integers(0, 9), STEPS)
def test_a_restored_version_gives_the_memberships_and_entries_of_a_replay_without_the_other_versions(
    versions: list[Segment], first: int, later: list[tuple[int, int]]
) -> None:
    """But for an entry of a member who was contacted under another version: she is not contacted again."""
    history = [(0, first), *later]
    steps = asyncio.run(evaluate(versions, history))
    places = [place for place, (version, _) in enumerate(history) if version == 0]
    replay = asyncio.run(evaluate(versions, [history[place] for place in places]))
    for place, alone in zip(places, replay, strict=True):
        step, before = steps[place], steps[:place]
        assert step.is_member == alone.is_member
        contacted = bool(before) and before[-1].is_member and was_announced(before)
        assert step.fires == (alone.fires and not contacted)


@SETTINGS
@given(VERSIONS, STEPS)
def test_the_first_evaluation_under_a_version_never_fires(
    versions: list[Segment], history: list[tuple[int, int]]
) -> None:
    steps = asyncio.run(evaluate(versions, history))
    first = {each.version: each for each in reversed(steps)}
    assert not any(step.fires for step in first.values())


@SETTINGS
@given(VERSIONS, STEPS)
def test_episodes_grow_by_one_with_each_entry_whatever_version_is_in_force(
    versions: list[Segment], history: list[tuple[int, int]]
) -> None:
    """Two chances to contact a customer never have one number."""
    changes = [each.change for each in asyncio.run(evaluate(versions, history)) if each.change]
    numbers = [change.episode for change in changes if change.kind == "entered"]
    assert numbers == list(range(1, len(numbers) + 1))
