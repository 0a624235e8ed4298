"""Erasures and pruning on a real ledger: every table is covered, and roles of their own suffice."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from campaigns.errors import LedgerFencedError, LedgerUnavailableError
from campaigns.ports import BatchChanges
from campaigns.postgres_erasure import open_erasure
from campaigns.postgres_ledger import PostgresLedger
from campaigns.postgres_pruning import open_pruning
from campaigns.retention import RULES
from tests.contract.test_roles import as_role, grant, role  # noqa: F401 - a fixture

# Tables without anything of a customer, or from which an erasure deletes by other columns than customer_id.
OTHERS = {
    "roster", "partition_owner", "ledger_state", "activation", "segment_activation", "campaign_hour", "campaign_stop",
    "tombstone", "_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock",
    "dead_letter", "campaign_launch", "reevaluation", "replay_send", "experiment_stop",
    "console_account", "console_session", "console_device", "console_try", "console_key", "console_action",
    "console_job", "definition_version", "segment_size",
}  # fmt: skip
COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
INDEXED = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE a.attname = 'customer_id'
"""
OLD = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(ledger_url: str) -> str:
    """A migrated ledger with rows of ann and bob in every table that has customers."""
    return ledger_url


def fill(url: str, customer: str) -> None:
    """Write a row of a customer to each table with a customer_id, whatever its other columns are."""
    with psycopg.connect(url) as ledger:
        for table in tables(url):
            needed = ledger.execute(
                """SELECT column_name, data_type FROM information_schema.columns
                    WHERE table_schema = 'public' AND table_name = %s AND is_nullable = 'NO'
                      AND column_default IS NULL AND is_identity = 'NO' AND column_name <> 'customer_id'""",
                [table],
            ).fetchall()
            if table == "delivery":
                needed += [("settled_at", "timestamp with time zone"), ("outcome", "outcome")]
            values = [SAMPLES.get(name) or SAMPLES[kind] for name, kind in needed]
            values = [each.replace("CUSTOMER", customer) for each in values]
            insert = sql.SQL("INSERT INTO {} (customer_id, {}) VALUES ({}, {})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(sql.Identifier(name) for name, _ in needed),
                sql.Literal(customer),
                sql.SQL(", ").join(map(sql.SQL, values)),  # type: ignore[arg-type]  # our own text
            )
            if needed:
                ledger.execute(insert)


SAMPLES = {
    "text": "'CUSTOMER'", "uuid": "gen_random_uuid()", "integer": "1", "boolean": "true", "bytea": "''",
    "jsonb": "'{}'", "timestamp with time zone": "'2020-01-01'", "kind": "'always_vip'", "variant": "'treatment'",
    "arm": "'champion'",
    "status": "'reserved'", "outcome": "'delivered'", "roster_id": "(SELECT max(roster_id) FROM roster)",
}  # fmt: skip


def tables(url: str) -> set[str]:
    """Return the tables with a column customer_id."""
    with psycopg.connect(url) as ledger:
        return {table for table, column in ledger.execute(COLUMNS).fetchall() if column == "customer_id"}


def count(url: str, customer: str) -> dict[str, int]:
    """Return the rows of a customer by table."""
    with psycopg.connect(url) as ledger:
        query = "SELECT count(*) FROM {} WHERE customer_id = %s"
        return {
            table: ledger.execute(sql.SQL(query).format(sql.Identifier(table)), [customer]).fetchall()[0][0]
            for table in tables(url)
        }


@pytest.fixture
def filled(url: str) -> str:
    """The ledger with a row of ann and one of bob in every table."""
    with psycopg.connect(url) as ledger:
        ledger.execute("INSERT INTO roster (versions) VALUES ('{}')")
    fill(url, "ann")
    fill(url, "bob")
    return url


def test_every_table_is_covered(url: str) -> None:
    """By its column customer_id, with an index that begins with it, or by a statement of its own."""
    with psycopg.connect(url) as ledger:
        everything = {table for table, _ in ledger.execute(COLUMNS).fetchall()}
        indexed = {table for (table,) in ledger.execute(INDEXED).fetchall()}
    assert everything - tables(url) == OTHERS
    assert tables(url) <= indexed


def test_an_erasure_deletes_every_row_of_the_customer_and_no_other(filled: str) -> None:
    """In the schemas of replays, too; once more it finds nothing."""
    with psycopg.connect(filled) as ledger:
        ledger.execute("CREATE SCHEMA replay_x; CREATE TABLE replay_x.signal AS SELECT * FROM signal")
    assert set(count(filled, "ann").values()) == {1}
    with open_erasure(filled) as ledger:
        erased = ledger.erase(["ann"], by="olga", why="asked")
        again = ledger.erase(["ann"], by="olga", why="asked")
    assert {table for table, rows in erased.rows.items() if rows} == {*tables(filled), "replay_x.signal"}
    assert again.rows.total() == 0
    assert set(count(filled, "ann").values()) == {0}
    assert set(count(filled, "bob").values()) == {1}


def test_an_erasure_covers_what_came_before_a_lead_was_a_customers(url: str) -> None:
    with psycopg.connect(url) as ledger:
        ledger.execute("INSERT INTO lead (lead_id, customer_id, features, crossings) VALUES ('l1', 'ann', '{}', 0)")
        ledger.execute(
            "INSERT INTO lead_event (lead_id, event_id, customer_id, type, occurred_at, content) "
            "VALUES ('l1', 'e1', 'l1', 'lead.updated', '2020-01-01', '{}')"
        )
    with open_erasure(url) as erasure:
        erased = erasure.erase(["ann"], by="olga", why="asked")
    assert {table: rows for table, rows in erased.rows.items() if rows} == {"lead": 1, "lead_event": 1}


def test_what_was_done_to_an_erased_customer_stays_in_the_audit_log_without_the_customer(url: str) -> None:
    """And stored answers that may be about them go."""
    with psycopg.connect(url) as ledger:
        ledger.execute(
            "INSERT INTO audit_entry (actor, action, subject, customer_id) VALUES ('c', 'view', 'ann', 'ann')"
        )
        for key, body in (("k1", b'{"id": "ann"}'), ("k2", b'{"id": "bob"}')):
            ledger.execute(
                "INSERT INTO console_action (account, key, fingerprint, body) VALUES ('c', %s, '', %s)", [key, body]
            )
    with open_erasure(url) as erasure:
        assert erasure.erase(["ann"], by="olga", why="asked").rows["audit_entry"] == 1
    with psycopg.connect(url) as ledger:
        found = ledger.execute("SELECT actor, action, subject, customer_id FROM audit_entry").fetchall()
        assert found == [("c", "view", "", None)]
        assert ledger.execute("SELECT key FROM console_action").fetchall() == [("k2",)]


async def test_an_erasure_fences_every_owner_and_lets_the_next_one_know(url: str) -> None:
    ledger = PostgresLedger(url)
    await ledger.open()
    epoch = await ledger.claim(3)
    assert len(await ledger.tombstones()) == 0
    with open_erasure(url) as erasure:
        erasure.erase(["ann"], by="olga", why="asked")
    with pytest.raises(LedgerFencedError):
        await ledger.commit(BatchChanges(), owners={3: epoch})
    assert await ledger.claim(3) == epoch + 2
    assert (await ledger.tombstones()).find(["ann", "bob"]) == {"ann"}
    assert await ledger.find_tombstone("bob") is None
    with open_erasure(url) as erasure:
        assert erasure.lift(["ann", "bob"]) == 1
    assert (await ledger.tombstones()).find(["ann"]) == frozenset()
    await ledger.close()


@pytest.mark.parametrize("option", ["forget", "prune"])
def test_a_role_of_its_own_is_enough_for(option: str, filled: str, role: str) -> None:  # noqa: F811 - the fixture
    """And a worker's role is not."""
    grant(filled, role)
    assert_refused(as_role(filled, role), option)
    grant(filled, role, "--set", f"{option}=1")
    act(as_role(filled, role), option)
    assert count(filled, "ann")["seen_event"] == (0 if option == "forget" else 1)


def assert_refused(url: str, option: str) -> None:
    """Expect the sentence for missing rights."""
    with pytest.raises(LedgerUnavailableError, match=r"roles\.sql"):
        act(url, option)


def act(url: str, option: str) -> None:
    """Erase a customer, or prune every table."""
    if option == "forget":
        with open_erasure(url) as erasure:
            erasure.erase(["ann"], by="olga", why="asked")
            erasure.lift(["ann"])
        return
    with open_pruning(url) as pruning, pruning.alone():
        pruning.announce(OLD)
        for rule in RULES:
            pruning.count(rule, OLD)
            pruning.prune(rule, OLD, lambda _done, _total: None)


def test_pruning_deletes_what_is_older_and_leaves_locked_rows(url: str) -> None:
    """A worker that holds a row does not wait, and the next run deletes it."""
    (rule,) = (each for each in RULES if each.table == "seen_event")
    with psycopg.connect(url, autocommit=True) as ledger, psycopg.connect(url) as holder:
        ages = "now() - make_interval(days => n) FROM generate_series(1, 5000) n"
        ledger.execute(f"INSERT INTO seen_event SELECT n::text, 'e', {ages}".encode())
        holder.execute("SELECT FROM seen_event WHERE customer_id = '5000' FOR UPDATE")
        cutoff = ledger.execute("SELECT now() - interval '2500.5 days'").fetchall()[0][0]
        with open_pruning(url) as pruning:
            first = pruning.prune(rule, cutoff, lambda _done, _total: None)
            holder.rollback()
            second = pruning.prune(rule, cutoff, lambda _done, _total: None)
        assert (first.locked_pages, second.locked_pages) == (1, 0)
        assert first.rows + second.rows == 2500
        assert ledger.execute("SELECT count(*), max(customer_id::integer) FROM seen_event").fetchall() == [(2500, 2500)]
