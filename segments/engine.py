"""Membership transitions: the memberships held, compared with what the rules give now. Pure.

A transition is suppressed when it follows from a changed definition and not from the customer: it is recorded, and
nothing fires. There are two cases.

First evaluation: the customer has never been evaluated under this version of the segment. It is not suppressed when the
operator activated the version with mode `emit`, nor for a customer who joined after the activation and has not been
evaluated under any version of the segment. With mode `new` it is not suppressed either where the edit is not the cause:
the version that the customer was evaluated under last lets the customer in, or out, at this event, too.

Restored version: the customer was evaluated under this version before, and under another one since. The evaluation
continues from the membership that this version gave last. The transition is suppressed when the result is that same
membership, and real otherwise. See docs/decisions/0008-rollback-of-a-segment.md.

A promotion of a model that is not to fire is a changed definition, too, of each segment that reads its scores: the
version that a customer is evaluated under is that of the rules and the changeovers of the scores. See
segments/evaluated_versions.py and docs/decisions/0021-storm-guard.md.

A re-evaluation has no event behind it: it applies changed definitions to what is known of the customer. It evaluates
the segments whose version the customer was not evaluated under last, and no others, so a silent edit fires nothing. See
docs/decisions/0010-reevaluation-by-request.md.

A segment whose rules read a fact that is unavailable is frozen: no customer enters or leaves it, and no version is
recorded as evaluated for the customers of the batch. A missing column would be null, and null is less than .2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

import msgspec
import numpy as np

from segments.errors import ActivationMissingError
from segments.evaluated_versions import find_mode, split
from segments.vectorized import Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from features.table import FeatureTable
    from segments.definition import Segment
    from segments.vectorized import Mask

FIRST_EVALUATION = "first_evaluation"
EARLIER_KEPT = 16
"""How many earlier combinations of segment versions are kept per customer; an older one is evaluated as a new one."""


class Episode(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's latest membership of a segment.

    Attributes:
        number: 1 for the first episode.
        is_member: false when the episode is over.
        suppressed: whether the entry that began it was suppressed.
        member_under: the versions not in force under whose last evaluation the customer was a member, latest first.
    """

    number: int
    is_member: bool
    suppressed: bool = False
    member_under: tuple[str, ...] = ()


class MembershipState(msgspec.Struct, frozen=True, gc=False):
    """What the ledger holds of one customer.

    Attributes:
        members: the latest episode by segment key.
        evaluated_versions: the version of each segment that the customer was last evaluated under, by segment key.
        earlier_versions: the same for earlier evaluations under other versions, latest first, at most `EARLIER_KEPT`.
    """

    members: Mapping[str, Episode] = msgspec.field(default_factory=dict)
    evaluated_versions: Mapping[str, str] = msgspec.field(default_factory=dict)
    earlier_versions: tuple[Mapping[str, str], ...] = ()

    def was_evaluated_under(self, key: str, version: str) -> bool:
        """Return whether this version of a segment was evaluated before, though not last."""
        return self.evaluated_versions.get(key) != version and any(
            versions.get(key) == version for versions in self.earlier_versions
        )

    def was_evaluated(self, segment: Segment) -> bool:
        """Return whether any version of the segment was evaluated before."""
        return any(segment.key in versions for versions in (self.evaluated_versions, *self.earlier_versions))


_UNKNOWN = MembershipState()

Mode = Literal["silent", "new", "emit"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""What first evaluations may fire: nothing, what the version before would have fired, too, or everything."""


@dataclass(frozen=True, slots=True)
class Activation:
    """When a version of a segment was first put into force, and whether its first evaluations may fire.

    Attributes:
        version: the version.
        activated_at: when it was first put into force.
        mode: what its first evaluations may fire.
        others: the segment in other versions, by version; only mode `new` needs them.
    """

    version: str
    activated_at: datetime
    mode: Mode = "silent"
    others: Mapping[str, Segment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredUnder:
    """The changeovers behind the scores of a batch.

    Attributes:
        versions: under which each segment is evaluated, by key: of its rules, with the changeovers.
        score_as_before: gives a table with the scores under other changeovers than those given last, or None where it
            cannot; only changeovers of mode `new` need it.
    """

    versions: Mapping[str, str]
    score_as_before: Callable[[FeatureTable, Sequence[str], Sequence[str]], FeatureTable | None] = lambda *_: None


class Transition(msgspec.Struct, frozen=True):
    """A customer enters a segment, which begins an episode, or leaves it, which ends one."""

    customer_id: str
    segment: str
    kind: Literal["entered", "exited"]
    episode: int
    suppressed: bool
    suppressed_reason: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """For a customer and a segment, the new `Episode.member_under`."""

    customer_id: str
    segment: str
    member_under: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transitions:
    """The outcome of evaluating a batch.

    Attributes:
        changes: the transitions, in the order of the table's customers and then of the segments.
        evaluated_versions: the version of each segment that the whole batch was evaluated under.
        versions_changed: the customers whose recorded versions differ; none while a segment is frozen.
        members: who is a member now, by segment key: truth values of shape [customers].
        frozen: the segments that were not evaluated, by key, and the missing columns.
        earlier_results: what to keep of the results under versions that are no longer in force.
        facts: the facts of the customers, prepared for rules.
    """

    changes: tuple[Transition, ...]
    evaluated_versions: Mapping[str, str]
    versions_changed: tuple[str, ...]
    members: Mapping[str, Mask]
    frozen: Mapping[str, tuple[str, ...]]
    earlier_results: tuple[EarlierResult, ...] = ()
    facts: Facts | None = None


def classify(
    segments: Sequence[Segment],
    table: FeatureTable,
    memberships: Mapping[str, MembershipState],
    *,
    activations: Mapping[str, Activation],
    joined_at: Mapping[str, datetime | None],
    unavailable: Mapping[str, Collection[str]] = MappingProxyType({}),
    reevaluated: Collection[str] = frozenset(),
    scored: ScoredUnder | None = None,
) -> Transitions:
    """Compare the memberships held with what the rules give.

    Args:
        segments: the segments in force.
        table: the facts, one row per customer.
        memberships: what the ledger holds, by customer; a customer without an entry was never evaluated.
        activations: by segment key, for the version in force.
        joined_at: when a customer joined, where that is known.
        unavailable: facts of the table that lack their source, and the missing columns behind each.
        reevaluated: the customers without an event, who are evaluated because definitions have changed.
        scored: the changeovers behind the scores; None where there are none.

    Raises:
        ActivationMissingError: a segment has no activation for its version.
    """
    _check_activations(segments, activations)
    available, facts = table.columns.keys() - unavailable.keys(), Facts(table)
    scored = scored or ScoredUnder({segment.key: segment.version for segment in segments})
    versions = scored.versions
    batch = _Batch(table.customer_ids, memberships, activations, joined_at, reevaluated, facts, available, scored)
    frozen = _frozen_segments(segments, available, unavailable)
    changed = batch.unlike(versions)
    held = _held_masks(segments, batch)
    before, unannounced = _restore(segments, batch, held, changed)
    after = held.copy()
    for order, segment in enumerate(segments):
        if segment.key not in frozen:
            after[order] = _members_after(segment, facts, before[order])
    if reevaluated:
        after = np.where(batch.left_alone(segments), held, after)
    moved = after != held
    if unannounced:
        # Members whose entry under the other version was suppressed, and who now enter under the restored one.
        places = tuple(zip(*unannounced, strict=True))
        moved[places] |= after[places]
    moved[[order for order, segment in enumerate(segments) if segment.key in frozen]] = False
    orders, rows = np.nonzero(moved)
    changes = tuple(
        batch.transition(segments[order], row, enters=bool(after[order, row]), entered_before=bool(before[order, row]))
        for row, order in sorted(zip(rows.tolist(), orders.tolist(), strict=True))
    )
    members = {segment.key: mask for segment, mask in zip(segments, after, strict=True)}
    if frozen:
        # Not every segment was evaluated, so no customer has been evaluated under these versions.
        changed = ()
    earlier = tuple(batch.earlier_results(changed, versions))
    evaluated = {key: version for key, version in versions.items() if key not in frozen}
    return Transitions(changes, evaluated, changed, members, frozen, earlier, facts)


def evaluates_silently(
    held: MembershipState | None, activations: Mapping[str, Activation], joined_at: datetime | None
) -> bool:
    """Return whether all that an evaluation can do is to set a customer's first memberships, suppressed.

    Args:
        held: what the ledger holds of the customer, None for one who was never evaluated.
        activations: by segment key, for the version in force.
        joined_at: when the customer joined, where that is known.
    """
    if held is not None and (held.members or held.evaluated_versions or held.earlier_versions):
        return False
    return all(
        each.mode != "emit" and (joined_at is None or joined_at < each.activated_at) for each in activations.values()
    )


def _frozen_segments(
    segments: Sequence[Segment], available: AbstractSet[str], unavailable: Mapping[str, Collection[str]]
) -> dict[str, tuple[str, ...]]:
    frozen = {}
    for segment in segments:
        if not segment.facts <= available and (missing := segment.missing(available)):
            columns_of = (unavailable.get(fact, (fact,)) for fact in missing)
            frozen[segment.key] = tuple(sorted({name for names in columns_of for name in names}))
    return frozen


def _check_activations(segments: Sequence[Segment], activations: Mapping[str, Activation]) -> None:
    for segment in segments:
        activation = activations.get(segment.key)
        if activation is None or activation.version != segment.version:
            found = activation.version if activation else "none"
            raise ActivationMissingError(
                f"segment {segment.key!r} version {segment.version} has no activation (found {found}); "
                "record its activation in the ledger before evaluating it"
            )


def _held_masks(segments: Sequence[Segment], batch: _Batch) -> Mask:
    # A loop over the memberships that exist, which are few, and not over customers times segments.
    places = {segment.key: order for order, segment in enumerate(segments)}
    orders, rows = [], []
    for row, customer_id in enumerate(batch.customer_ids):
        held = batch.memberships.get(customer_id)
        for key, episode in held.members.items() if held else ():
            if episode.is_member and key in places:
                orders.append(places[key])
                rows.append(row)
    masks = np.zeros((len(segments), len(batch.customer_ids)), dtype=np.bool_)
    masks[orders, rows] = True
    return masks


def _restore(
    segments: Sequence[Segment], batch: _Batch, held: Mask, changed: Collection[str]
) -> tuple[Mask, list[tuple[int, int]]]:
    """Return the memberships to evaluate from, and the places of members that a restored version does not know.

    The memberships are those held, and where a version is restored those of its last evaluation.
    """
    places = {segment.key: order for order, segment in enumerate(segments)}
    before, unannounced = held, []
    for row, customer_id in enumerate(batch.customer_ids) if changed else ():
        state = batch.memberships.get(customer_id, _UNKNOWN)
        if not state.earlier_versions:
            continue
        for key, episode in state.members.items():
            if key not in places or not state.was_evaluated_under(key, batch.scored.versions[key]):
                continue
            place = (places[key], row)
            before = held.copy() if before is held else before
            before[place] = batch.scored.versions[key] in episode.member_under
            if episode.is_member and episode.suppressed and not before[place]:
                unannounced.append(place)
    return before, unannounced


def _members_after(segment: Segment, facts: Facts, current: Mask) -> Mask:
    enters = segment.rule.mask(facts)
    if segment.exit_rule is None or not current.any():
        return enters
    # A member for whom both rules hold stays: otherwise episodes would end and begin with every event.
    return enters | (current & ~segment.exit_rule.mask(facts))


@dataclass(frozen=True, slots=True)
class _Batch:
    """The customers of a batch, and what decides whether a transition is suppressed."""

    customer_ids: tuple[str, ...]
    memberships: Mapping[str, MembershipState]
    activations: Mapping[str, Activation]
    joined_at: Mapping[str, datetime | None]
    reevaluated: Collection[str]
    facts: Facts
    available: AbstractSet[str]
    scored: ScoredUnder
    _moved_under: dict[tuple[str, str, bool], Mask | None] = field(default_factory=dict)
    _facts_then: dict[tuple[tuple[str, ...], tuple[str, ...]], Facts | None] = field(default_factory=dict)

    def left_alone(self, segments: Sequence[Segment]) -> Mask:
        """Return which segments are not evaluated for whom, shape [segments, customers]: no change reaches them."""
        alone = np.zeros((len(segments), len(self.customer_ids)), dtype=np.bool_)
        by_versions: dict[int, Mask] = {}  # most customers share one mapping, the same object
        for row, customer_id in enumerate(self.customer_ids):
            if customer_id in self.reevaluated:
                last = self.memberships.get(customer_id, _UNKNOWN).evaluated_versions
                if id(last) not in by_versions:
                    now = self.scored.versions
                    by_versions[id(last)] = np.array([last.get(each.key) == now[each.key] for each in segments])
                alone[:, row] = by_versions[id(last)]
        return alone

    def transition(self, segment: Segment, row: int, *, enters: bool, entered_before: bool) -> Transition:
        customer_id = self.customer_ids[row]
        held = self.memberships.get(customer_id, _UNKNOWN)
        episode = held.members.get(segment.key, Episode(0, is_member=False)).number + int(enters)
        suppressed = self._is_suppressed(row, held, segment, enters=enters, as_before=enters == entered_before)
        kind: Literal["entered", "exited"] = "entered" if enters else "exited"
        return Transition(customer_id, segment.key, kind, episode, suppressed, FIRST_EVALUATION if suppressed else None)

    def _is_suppressed(
        self, row: int, held: MembershipState, segment: Segment, *, enters: bool, as_before: bool
    ) -> bool:
        last, now = held.evaluated_versions.get(segment.key), self.scored.versions[segment.key]
        if last == now:
            return False
        activation, customer_id = self.activations[segment.key], self.customer_ids[row]
        mode = activation.mode if last is None else find_mode(last, now, activation.mode)
        if held.was_evaluated_under(segment.key, now):
            # Without an event, what differs is time: a rollback would contact everybody whom it has reached.
            return as_before or (mode != "emit" and customer_id in self.reevaluated)
        if mode == "emit" or (mode == "new" and self._moves_anyway(row, last, segment, enters)):
            return False
        joined_at = self.joined_at.get(customer_id)
        return joined_at is None or joined_at < activation.activated_at or held.was_evaluated(segment)

    def _moves_anyway(self, row: int, last: str | None, segment: Segment, enters: bool) -> bool:
        """Return whether the version of the last evaluation lets the customer in, or out, at this event, too."""
        if last is None or self.customer_ids[row] in self.reevaluated:
            return False
        place = (segment.key, last, enters)
        if place not in self._moved_under:
            self._moved_under[place] = self._find_moved(segment, last, enters)
        moved = self._moved_under[place]
        return moved is not None and bool(moved[row])

    def _find_moved(self, segment: Segment, last: str, enters: bool) -> Mask | None:
        """Return who would enter, or leave, if all had the other membership; None where that is unknown."""
        activation = self.activations[segment.key]
        (rules, then), (_, now) = split(last), split(self.scored.versions[segment.key])
        # An edit that may fire everything is compared with nothing.
        same = rules == segment.version or activation.mode == "emit"
        former = segment if same else activation.others.get(rules)
        facts = self._find_facts(then, now)
        if former is None or facts is None or former.missing(self.available):
            return None
        current = np.full(len(self.customer_ids), not enters, dtype=np.bool_)
        return np.not_equal(_members_after(former, facts, current), current)

    def _find_facts(self, then: tuple[str, ...], now: tuple[str, ...]) -> Facts | None:
        """Return the facts as they would be under other changeovers, None where that is unknown."""
        if then == now:
            return self.facts
        if (then, now) not in self._facts_then:
            table = self.scored.score_as_before(self.facts.table, then, now)
            self._facts_then[then, now] = None if table is None else Facts(table)
        return self._facts_then[then, now]

    def earlier_results(self, changed: Iterable[str], versions: Mapping[str, str]) -> Iterator[EarlierResult]:
        """Yield the results under versions that other ones replace now, where they differ from what is kept."""
        for customer_id in changed:
            held = self.memberships.get(customer_id, _UNKNOWN)
            for key, episode in held.members.items():
                version = held.evaluated_versions.get(key)
                if version is None or version == versions.get(key):
                    continue
                others = tuple(each for each in episode.member_under if each != version)
                member_under = (version, *others)[: EARLIER_KEPT + 1] if episode.is_member else others
                if member_under != episode.member_under:
                    yield EarlierResult(customer_id, key, member_under)

    def unlike(self, evaluated_versions: Mapping[str, str]) -> tuple[str, ...]:
        # Most customers share one mapping, the same object: it is compared once.
        alike = {id(held.evaluated_versions): held.evaluated_versions for held in self.memberships.values()}
        same = {place for place, recorded in alike.items() if recorded == evaluated_versions}
        held = ((customer_id, self.memberships.get(customer_id)) for customer_id in self.customer_ids)
        return tuple(
            customer_id for customer_id, known in held if known is None or id(known.evaluated_versions) not in same
        )
