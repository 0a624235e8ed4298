"""Connections that a console keeps: used again as if they were new, also after PostgreSQL has closed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from campaigns.errors import LedgerUnavailableError
from campaigns.migrations import migrate
from campaigns.postgres_connections import connect_ledger, connect_snapshot, keep_connections
from console.use_cases.ledger import ask_ledger, keep_ledger
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.settings import Settings

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SET = ("lock_timeout", "default_transaction_read_only", "transaction_isolation")


@pytest.fixture
def kept(ledger_url: str) -> Iterator[Settings]:
    """The settings of a process that keeps its connections."""
    migrate(ledger_url)
    settings = load_settings(HOLDFAST_LEDGER_URL=ledger_url)
    with keep_connections(ledger_url), keep_ledger(settings):
        yield settings


def ask(ledger_url: str, query: str) -> object:
    with connect_ledger(ledger_url) as connection:
        ((value,),) = connection.execute(query.encode()).fetchall()
        return value


def close_all(ledger_url: str) -> None:
    """Let PostgreSQL close every other connection, as it does when it restarts."""
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}".encode())


def test_a_connection_is_used_again(ledger_url: str, kept: Settings) -> None:
    assert kept.ledger_url == ledger_url
    assert ask(ledger_url, "SELECT pg_backend_pid()") == ask(ledger_url, "SELECT pg_backend_pid()")
    assert ask(ledger_url, f"SELECT count(*) {OTHERS} AND state = 'active'") == 0


@pytest.mark.usefixtures("kept")
def test_nothing_of_a_former_use_is_left(ledger_url: str) -> None:
    fresh = [ask(ledger_url, f"SHOW {each}") for each in SET]
    with connect_snapshot(ledger_url) as connection:
        connection.execute("SET lock_timeout = 20")
        connection.execute("SET default_transaction_read_only = on")
        connection.execute("SELECT pg_advisory_lock(1)")
    assert [ask(ledger_url, f"SHOW {each}") for each in SET] == fresh
    assert ask(ledger_url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    with connect_ledger(ledger_url) as connection:
        connection.execute("CREATE TABLE written (id integer)")


@pytest.mark.usefixtures("kept")
def test_after_an_error_the_next_one_is_answered(ledger_url: str) -> None:
    with pytest.raises(LedgerUnavailableError, match="tables are missing"):
        ask(ledger_url, "SELECT 1 FROM no_such_table")
    with pytest.raises(ZeroDivisionError), connect_snapshot(ledger_url):
        raise ZeroDivisionError
    assert ask(ledger_url, "SELECT 1") == 1


def test_connections_that_postgresql_has_closed_are_opened_again(ledger_url: str, kept: Settings) -> None:
    before = ask_ledger(kept, lambda ledger: ledger.ledger_id())
    ask(ledger_url, "SELECT 1")
    close_all(ledger_url)
    assert ask(ledger_url, "SELECT 1") == 1
    assert ask_ledger(kept, lambda ledger: ledger.ledger_id()) == before


def test_two_parts_of_a_process_may_keep_them(ledger_url: str, kept: Settings) -> None:
    with keep_connections(ledger_url), keep_ledger(kept):
        ask(ledger_url, "SELECT 1")
    assert ask(ledger_url, "SELECT 1") == 1
    assert ask_ledger(kept, lambda ledger: ledger.stops()) == []


def test_a_ledger_that_is_not_there_is_said_so() -> None:
    absent = load_settings(HOLDFAST_LEDGER_URL="postgresql://nobody@127.0.0.1:1/none")
    with keep_ledger(absent), pytest.raises(LedgerUnavailableError, match="HOLDFAST_LEDGER_URL"):
        ask_ledger(absent, lambda ledger: ledger.stops())
