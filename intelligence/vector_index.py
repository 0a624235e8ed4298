"""The index of vectors for a search by nearness: HNSW, of pgvector.

The graph is built in memory. Where it does not fit, pgvector finishes it in the pages of the table, row by row, which
takes several times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import errors as pg

if TYPE_CHECKING:
    from intelligence.postgres_messages import MessageStore

BASE_MB, MOST_MB = 64, 2_048
"""The memory that PostgreSQL gets at least, and at most."""


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """An index to build.

    Attributes:
        place: what follows CREATE INDEX: a name, the table, and the column with its operators.
        dimensions: of a vector.
        neighbours: `m` of the graph.
        candidates: `ef_construction` of the graph.
    """

    place: str
    dimensions: int
    neighbours: int
    candidates: int

    def megabytes(self, rows: int) -> int:
        """Return the memory that the graph of so many rows needs, MOST_MB at most.

        A row has its vector in half precision, 2 m neighbours of 16 bytes on the lowest level, and about 250 bytes of
        its own and of higher levels.
        """
        return min(BASE_MB + rows * (2 * self.dimensions + 32 * self.neighbours + 250) // 1_000_000, MOST_MB)

    def build(self, store: MessageStore, megabytes: int) -> None:
        """Build it with so much memory of PostgreSQL."""
        try:
            self._create(store, megabytes)
        except pg.DiskFull as error:
            # Several processes share the graph in /dev/shm, which has 64 MB in a container by default.
            if "shared memory" not in str(error):
                raise
            self._create(store, megabytes, "SET LOCAL max_parallel_maintenance_workers = 0")

    def _create(self, store: MessageStore, megabytes: int, *settings: str) -> None:
        with store.connection.transaction():
            for each in (f"SET LOCAL maintenance_work_mem = '{megabytes}MB'", *settings):
                store.connection.execute(each)
            store.connection.execute(
                f"CREATE INDEX {self.place} WITH (m = {self.neighbours}, ef_construction = {self.candidates})"
            )
