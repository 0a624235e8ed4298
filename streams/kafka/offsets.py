"""How far one partition may be committed. Pure arithmetic on offsets."""

from __future__ import annotations

from heapq import heappop, heappush


class ContiguousOffsets:
    """One partition's offsets, from the position where reading began.

    Records are delivered as intervals [start, end) and acknowledged as such, in any order. What may be
    committed is the end of the unbroken run of acknowledged intervals that begins at the first position. An
    interval covers the gap before it: offsets that hold no record (compacted away, transaction markers, aborted
    transactions).

    Args:
        position: The group's committed offset; None in a new group, where the first interval begins the run.
        topic_id: The id of the topic that the offsets belong to; empty when it is not known.
        reading: Number of restarts of reading in this assignment: chunks of an earlier reading do not count.

    Attributes:
        position: Everything before it was delivered.
        acknowledged: Everything before it was acknowledged, by this worker or an earlier owner.
        first: Where the first interval began, None before the first delivery.
    """

    __slots__ = ("_apart", "acknowledged", "first", "position", "reading", "topic_id")

    def __init__(self, position: int | None = None, *, topic_id: str = "", reading: int = 0) -> None:
        self.topic_id = topic_id
        self.reading = reading
        self.position = position
        self.acknowledged = position
        self.first: int | None = None
        self._apart: list[tuple[int, int]] = []

    def restart(self, topic_id: str) -> ContiguousOffsets:
        """Return empty offsets for a restart of reading; acknowledgements of this reading do not count in it."""
        return ContiguousOffsets(topic_id=topic_id, reading=self.reading + 1)

    @property
    def committable(self) -> int | None:
        """The offset that may be committed, None when it has been committed already."""
        return None if self.first is None or self.acknowledged == self.first else self.acknowledged

    def note_delivered(self, first: int, end: int) -> int:
        """Record that the records in [first, end) are delivered, and return where their interval starts.

        It starts at `first`, or earlier when there is a gap before it. Only the first interval may begin before
        the committed offset: then the topic was recreated, or lost its end, since that offset was committed.

        Raises:
            ValueError: the interval is empty, or begins before what is delivered; call `rewind` first.
        """
        if self.position is None or (first < self.position and self.first is None):
            self.position = self.acknowledged = first
        if not self.position <= first < end:
            raise ValueError(f"records [{first}, {end}) cannot follow what was delivered before {self.position}")
        start, self.position = self.position, end
        if self.first is None:
            self.first = start
        return start

    def rewind(self, offset: int) -> None:
        """Take back the delivery of everything from `offset` on; what was acknowledged stays so."""
        if self.position is not None:
            self.position = min(self.position, offset)

    def acknowledge(self, start: int, end: int) -> int:
        """Record that [start, end) is done, and return the offset before which everything is done.

        Raises:
            ValueError: nothing was delivered yet.
        """
        if self.acknowledged is None:
            raise ValueError(f"[{start}, {end}) is acknowledged but nothing was delivered")
        heappush(self._apart, (start, end))
        while self._apart and self._apart[0][0] <= self.acknowledged:
            self.acknowledged = max(self.acknowledged, heappop(self._apart)[1])
        return self.acknowledged
