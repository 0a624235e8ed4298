"""Who enters and who leaves a segment: the recorded memberships compared with the result of the rules. Pure.

A transition is suppressed when it reflects a new definition and not a change of the customer: it is the customer's
first evaluation under this version of the segment. Memberships are recorded then, and nothing fires. It is not
suppressed when the operator activated the version with mode `emit`, or when the customer joined after the activation.

A segment whose rules read a fact that is unavailable is frozen: nobody enters or leaves it, and no version is recorded
as evaluated for the customers of the batch. A missing column would be null, and null is less than .2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from segments.errors import ActivationMissingError
from segments.vectorized import Facts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from features.table import FeatureTable
    from segments.definition import Segment
    from segments.vectorized import Mask

FIRST_EVALUATION = "first_evaluation"


class Episode(msgspec.Struct, frozen=True, array_like=True):
    """A customer's latest membership of a segment: the first is number 1, and it may be over."""

    number: int
    is_member: bool


class MembershipState(msgspec.Struct, frozen=True):
    """What the ledger holds of one customer.

    Attributes:
        members: the latest episode by segment key.
        roster: the version of each segment that the customer was last evaluated under, by segment key.
    """

    members: Mapping[str, Episode] = msgspec.field(default_factory=dict)
    evaluated_versions: Mapping[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Activation:
    """When a version of a segment began to count, and whether its first evaluations may fire."""

    version: str
    activated_at: datetime
    mode: Literal["silent", "emit"] = "silent"


@dataclass(frozen=True, slots=True)
class Transition:
    """A customer enters a segment, which begins an episode, or leaves it, which ends one."""

    customer_id: str
    segment: str
    kind: Literal["entered", "exited"]
    episode: int
    suppressed: bool
    suppressed_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Transitions:
    """The outcome of evaluating a batch.

    Attributes:
        changes: the transitions, in the order of the table's customers and then of the segments.
        evaluated_versions: the version of each segment that the whole batch was evaluated under.
        versions_changed: the customers whose recorded versions differ; none while a segment is frozen.
        members: who is a member now, by segment key: truth values of shape [customers].
        frozen: the segments that were not evaluated, by key, and the missing columns.
    """

    changes: tuple[Transition, ...]
    evaluated_versions: Mapping[str, str]
    versions_changed: tuple[str, ...]
    members: Mapping[str, Mask]
    frozen: Mapping[str, tuple[str, ...]]


def classify(
    segments: Sequence[Segment],
    table: FeatureTable,
    memberships: Mapping[str, MembershipState],
    *,
    activations: Mapping[str, Activation],
    joined_at: Mapping[str, datetime | None],
    unavailable: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Transitions:
    """Compare the memberships held with the rules.

    Args:
        segments: the segments in force.
        table: the facts, one row per customer.
        memberships: what the ledger holds, by customer; a customer it never saw is absent.
        activations: by segment key, for the version in force.
        joined_at: when a customer joined, where that is known.
        unavailable: facts of the table that lack their source, and the missing columns behind each.

    Raises:
        ActivationMissingError: a segment has no activation for its version.
    """
    _check_activations(segments, activations)
    batch = _Batch(table.customer_ids, memberships, activations, joined_at)
    frozen = _frozen_segments(segments, table.columns.keys(), unavailable)
    held, facts = _held_masks(segments, batch), Facts(table)
    after = held.copy()
    for order, segment in enumerate(segments):
        if segment.key not in frozen:
            after[order] = _members_after(segment, facts, held[order])
    orders, rows = np.nonzero(after != held)
    changes = tuple(
        batch.transition(segments[order], row, enters=bool(after[order, row]))
        for row, order in sorted(zip(rows.tolist(), orders.tolist(), strict=True))
    )
    evaluated_versions = {segment.key: segment.version for segment in segments if segment.key not in frozen}
    versions_changed = () if frozen else batch.unlike(evaluated_versions)
    members = {segment.key: mask for segment, mask in zip(segments, after, strict=True)}
    return Transitions(changes, evaluated_versions, versions_changed, members, frozen)


def _frozen_segments(
    segments: Sequence[Segment], columns: AbstractSet[str], unavailable: Mapping[str, Collection[str]]
) -> dict[str, tuple[str, ...]]:
    available = columns - unavailable.keys()
    frozen = {}
    for segment in segments:
        if not segment.facts <= available:
            missing = [unavailable.get(fact, (fact,)) for fact in segment.facts - available]
            frozen[segment.key] = tuple(sorted({name for names in missing for name in names}))
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
    # Over the memberships that exist, which are few, rather than over customers times segments.
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


def _members_after(segment: Segment, facts: Facts, current: Mask) -> Mask:
    enters = segment.rule.mask(facts)
    if segment.exit_rule is None or not current.any():
        return enters
    # Whoever the entry rule would let in at once stays: rules that overlap must not make episodes flicker.
    return enters | (current & ~segment.exit_rule.mask(facts))


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a transition must know beyond the rules."""

    customer_ids: tuple[str, ...]
    memberships: Mapping[str, MembershipState]
    activations: Mapping[str, Activation]
    joined_at: Mapping[str, datetime | None]

    def transition(self, segment: Segment, row: int, *, enters: bool) -> Transition:
        customer_id = self.customer_ids[row]
        held = self.memberships.get(customer_id, MembershipState())
        episode = held.members.get(segment.key, Episode(0, is_member=False)).number + int(enters)
        suppressed = self._is_suppressed(customer_id, held, segment)
        kind: Literal["entered", "exited"] = "entered" if enters else "exited"
        return Transition(customer_id, segment.key, kind, episode, suppressed, FIRST_EVALUATION if suppressed else None)

    def _is_suppressed(self, customer_id: str, held: MembershipState, segment: Segment) -> bool:
        activation = self.activations[segment.key]
        if activation.mode == "emit" or held.evaluated_versions.get(segment.key) == segment.version:
            return False
        joined_at = self.joined_at.get(customer_id)
        return joined_at is None or joined_at < activation.activated_at

    def unlike(self, evaluated_versions: Mapping[str, str]) -> tuple[str, ...]:
        # Most customers share one recorded roster, the very object: it is compared once.
        alike = {id(held.evaluated_versions): held.evaluated_versions for held in self.memberships.values()}
        same = {place for place, recorded in alike.items() if recorded == evaluated_versions}
        held = ((customer_id, self.memberships.get(customer_id)) for customer_id in self.customer_ids)
        return tuple(
            customer_id for customer_id, known in held if known is None or id(known.evaluated_versions) not in same
        )
