"""What the nodes of a compiled rule have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from segments.vectorized import truths

if TYPE_CHECKING:
    from segments.vectorized import Facts, Mask, Value


class Node(Protocol):
    """A part of a rule: it computes a column for a batch, or one value for one row, with the same result."""

    def mask(self, facts: Facts, /) -> Mask:
        """Return where the node is true."""

    def column(self, facts: Facts, /) -> Value:
        """Return the node's value in every row."""

    def cell(self, row: Any, /) -> Any:
        """Return the node's value in one row: a customer's facts by name, or an Element."""


class Valued:
    """A node whose mask follows from its values."""

    __slots__ = ()

    def column(self, facts: Facts) -> Value:
        """Return the node's value in every row."""
        raise NotImplementedError

    def mask(self, facts: Facts) -> Mask:
        """Return where the node is true."""
        return truths(self.column(facts), facts.count)


class Remembered:
    """A node whose mask a batch computes once for all rules that have it; equal nodes have equal texts."""

    __slots__ = ()
    text: str

    def find(self, facts: Facts) -> Mask:
        """Compute where the node is true."""
        raise NotImplementedError

    def mask(self, facts: Facts) -> Mask:
        """Return where the node is true."""
        known = facts.masks.get(self.text)
        if known is None:
            known = facts.masks[self.text] = self.find(facts)
        return known
