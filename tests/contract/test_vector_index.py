"""The index of vectors is built with the memory there is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from intelligence.migrations import migrate
from intelligence.postgres_customers import INDEX
from intelligence.postgres_messages import open_store
from intelligence.vector_index import BASE_MB, MOST_MB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intelligence.postgres_messages import MessageStore

CUSTOMERS = 5_000
FILL = """INSERT INTO intelligence.customer_next (customer_id, vector, cluster)
SELECT 'c' || n, (SELECT array_agg(sin(n * k)) FROM generate_series(1, 64) k)::real[]::halfvec(64), 'c1'
FROM generate_series(1, %s) n"""
INDEXES = "SELECT count(*) FROM pg_indexes WHERE tablename = 'customer_next' AND indexdef LIKE '%%hnsw%%'"


@pytest.fixture
def store(ledger_url: str) -> Iterator[MessageStore]:
    """A store with vectors of customers that have no index yet, which several processes would build."""
    migrate(ledger_url)
    with open_store(ledger_url) as store:
        with store.writing():
            store.execute("create_next_customers")
            store.connection.execute(FILL, [CUSTOMERS])
        store.connection.execute("SET min_parallel_table_scan_size = 0")
        yield store


def test_where_the_shared_memory_is_too_small_one_process_builds_the_index(store: MessageStore) -> None:
    more_than_there_is = shutil.disk_usage("/dev/shm").total // 2**20 + 1_000  # noqa: S108 - where PostgreSQL shares
    INDEX.build(store, more_than_there_is)
    assert store.connection.execute(INDEXES).fetchall() == [(1,)]


def test_the_memory_for_the_rows_holds_the_whole_graph(store: MessageStore) -> None:
    notices: list[str] = []
    store.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    INDEX.build(store, INDEX.megabytes(CUSTOMERS) - BASE_MB + 1)
    assert notices == []
    INDEX.build(store, 1)
    assert "no longer fits" in notices[0]


@pytest.mark.parametrize(("rows", "megabytes"), [(0, 64), (1_000_000, 1_210), (100_000_000, MOST_MB)])
def test_the_memory_grows_with_the_rows_up_to_a_limit(rows: int, megabytes: int) -> None:
    assert INDEX.megabytes(rows) == megabytes
