"""The rights of least-privilege roles on ledger and warehouse, and their limits."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

import campaigns
from campaigns.breaker import CampaignStop
from campaigns.contact_state import ContactState
from campaigns.dead_letters import DeadLetterFilter, Resolution
from campaigns.errors import LedgerUnavailableError
from campaigns.feedback import Feedback
from campaigns.migrations import migrate
from campaigns.ports import BatchChanges, DueCustomer, ExperimentCustomer
from campaigns.postgres_dead_letters import open_dead_letters
from campaigns.postgres_due_customers import PostgresDueCustomers
from campaigns.postgres_experiments import open_experiments
from campaigns.postgres_ledger import PostgresLedger
from campaigns.postgres_performance import open_performance
from campaigns.postgres_reevaluations import open_reevaluations
from campaigns.postgres_timeline import open_timeline
from campaigns.postgres_worker_sessions import PostgresWorkerSessions
from console.access.postgres_accounts import PostgresAccounts
from console.access.roles import Role
from console.embedded.postgres import find_binaries
from delivery.outcomes import OptOut
from delivery.postgres_deliveries import PostgresDeliveries
from features.errors import WarehouseLayoutError
from features.postgres_warehouse import PostgresWarehouse
from streams.formats.dead_letters import dead_letter
from streams.formats.events import Reject, RejectReason
from tests.builders import AS_OF, campaign, decision, segment
from tests.contract.test_ledger import LEAD, SIGNALS, TRIGGER, UPDATE, batch, opt_out
from tests.records import Arrived
from tests.triggers import NOW, received

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE_PASSWORD = "r0le-pa55word"  # noqa: S105 - of roles that live as long as a test
ROLES = Path(campaigns.__file__).with_name("roles.sql")
LETTERS = [dead_letter(Reject(Arrived(partition=3, offset=n), "decode", RejectReason.NOT_JSON, "")) for n in range(3)]


def grant(owner_url: str, role: str, *more: str) -> None:
    """Run the shipped script as its first lines describe."""
    options = ["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--set", f"role={role}", *more]
    command = [str(find_binaries() / "psql"), owner_url, *options, "--file", str(ROLES)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture
def role(ledger_url: str) -> Iterator[str]:
    """A role with login and no other rights."""
    name = "worker_" + ledger_url.rpartition("_")[2]
    with psycopg.connect(ledger_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), ROLE_PASSWORD))
        yield name
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


@pytest.fixture
def worker_url(ledger_url: str, role: str) -> str:
    """The ledger's URL for a worker's role, after migration and grants by the owner."""
    grant(ledger_url, role)
    return as_role(ledger_url, role)


def as_role(url: str, role: str) -> str:
    """Return the URL with another user; yoyo accepts only URLs."""
    server = url.rpartition("@")[2]
    return f"postgresql://{role}:{ROLE_PASSWORD}@{server}"


async def test_a_workers_role_can_do_all_that_a_worker_does(worker_url: str) -> None:
    """From its start to marking messages as sent, with every kind of change."""
    assert list(migrate(worker_url)) == []
    ledger = PostgresLedger(worker_url)
    await ledger.open()
    for _ in range(2):
        assert "at-risk" in await ledger.activate(
            [segment()], [campaign(breaker={"contacts": 5, "hours": 1})], at=AS_OF
        )
        epoch = await ledger.claim(3)
    reported = {
        "message_ids": [("ann", "m-1")],
        "outcome_ids": [("ann", "o-1"), ("ann", "o-2")],
        "contact_states": {("ann", TRIGGER): ContactState("opened")},
        "consent_changes": [opt_out()],
        "stops": [CampaignStop("win-back", "too many")],
        "feedback": [Feedback("ann", "f-1", "always_vip", AS_OF, "sam", "why")],
        "leads": [LEAD],
        "lead_records": [UPDATE],
        "evaluated": [],
        "due_times": {"ann": 100},
        "experiment_customers": [ExperimentCustomer("try", "ann", "challenger", AS_OF)],
    }
    for changes in ({}, {"cache_lost": True}, reported):
        committed = await ledger.commit(batch(decision(), **changes), owners={3: epoch})
    state, unsent = await ledger.read(["ann"], [("ann", "m-1")]), await ledger.unsent(3)
    assert await ledger.count_unsent([3, 4]) == {3: len(unsent), 4: 0}
    await ledger.mark_sent(unsent)
    assert (len(unsent), list(await ledger.unsent(3))) == (2, [])
    assert (state.signals, set(state.seen_messages)) == ({"ann": SIGNALS}, {("ann", "m-1")})
    assert set(state.contact_histories["ann"].consent) == {"email"}
    assert (committed.cache_generation, await ledger.cache_generation()) == (2, 2)
    assert await ledger.members("at-risk") == ["ann"]
    assert await ledger.ledger_id()
    await ledger.close()
    with open_experiments(worker_url) as experiments:
        assert [each.customers for each in experiments.find_days("try")] == [1]
        assert experiments.stop("try", "worse")
    waiting = PostgresDueCustomers(worker_url)
    await waiting.open()
    assert await waiting.claim(100, limit=9, lease_s=60) == [DueCustomer("ann", 100)]
    assert await waiting.next_due() is None
    await waiting.close()


async def test_workers_with_roles_of_their_own_find_each_others_sessions(ledger_url: str, worker_url: str) -> None:
    owner, worker = PostgresWorkerSessions(ledger_url), PostgresWorkerSessions(worker_url)
    await owner.find("one")
    assert (await worker.find("two")).names == {"one", "two"}
    await owner.close()
    await worker.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM decision",
        "DELETE FROM outbox",
        "TRUNCATE seen_event",
        "UPDATE decision SET outcome = 'fired'",
        "UPDATE outbox SET value = 'forged'",
        "UPDATE contact SET customer_id = 'bob'",
        "UPDATE consent_change SET granted = true",
        "DELETE FROM consent_change",
        "UPDATE feedback SET until = NULL",
        "DELETE FROM feedback",
        "UPDATE activation SET mode = 'emit'",
        "UPDATE segment_activation SET actor = 'forged'",
        "DELETE FROM segment_activation",
        "INSERT INTO reevaluation (reevaluation_id, fingerprint, as_of, actor) VALUES ('1', 'f', now(), 'a')",
        "UPDATE campaign_stop SET resumed_at = now()",
        "DELETE FROM campaign_hour",
        "UPDATE experiment_customer SET arm = 'champion'",
        "DELETE FROM experiment_stop",
        "UPDATE ledger_state SET ledger_id = 'other'",
        "UPDATE dead_letter SET resolution = 'requeued'",
        "DELETE FROM dead_letter",
        "INSERT INTO campaign_launch (launch_id, campaign, as_of, actor) VALUES ('1', 'c', now(), 'a')",
        "INSERT INTO _yoyo_migration (migration_id) VALUES ('forged')",
        "DROP TABLE outbox",
        "ALTER TABLE outbox DISABLE TRIGGER ALL",
        "CREATE TABLE mine (id integer)",
        "CREATE SCHEMA mine",
    ],
)
def test_a_workers_role_cannot(worker_url: str, statement: str) -> None:
    """Delete rows, forge a message, or change the schema."""
    with psycopg.connect(worker_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_a_workers_role_is_told_that_the_ledger_has_no_tables_yet(empty_ledger_url: str, role: str) -> None:
    """Migrations need the owner."""
    with pytest.raises(LedgerUnavailableError, match="holdfast ledger migrate"):
        migrate(as_role(empty_ledger_url, role))


def test_a_workers_role_is_told_that_the_ledger_is_behind(worker_url: str, ledger_url: str) -> None:
    """As when a new version is deployed before its migration."""
    with psycopg.connect(ledger_url) as owner:
        owner.execute("DELETE FROM _yoyo_migration")
    with pytest.raises(LedgerUnavailableError, match="holdfast ledger migrate"):
        migrate(worker_url)


async def test_an_operators_role_can_activate_and_settle_dead_letters(
    worker_url: str, ledger_url: str, role: str
) -> None:
    """Each with the rights that the script grants in addition to a worker's role."""
    ledger = PostgresLedger(worker_url)
    await ledger.open()
    epoch = await ledger.claim(3)
    await ledger.commit(BatchChanges(messages=LETTERS), owners={3: epoch})
    grant(ledger_url, role, "--set", "operator=1")
    await ledger.set_mode(segment(), "silent", at=AS_OF, by="olga", why="")
    await ledger.set_mode(segment(), "emit", at=AS_OF, by="olga", why="spring")
    assert await ledger.stop_campaign(CampaignStop("win-back", "too many"))
    assert await ledger.resume_campaign("win-back", actor="ann", reason="checked")
    await ledger.close()
    with open_reevaluations(worker_url) as reevaluations, reevaluations.alone():
        reevaluations.begin("1", "f00d", as_of=AS_OF, by="olga")
        reevaluations.advance("1", last="ann", customers=1)
        assert list(reevaluations.evaluated(["ann"], {"at-risk": segment().version})) == []
        reevaluations.finish("1")
    with open_timeline(worker_url) as timeline:
        assert timeline.read("ann", since=None, limit=1) == ([], False)
    ids = [letter.message_id for letter in LETTERS]
    with open_dead_letters(worker_url) as letters, letters.requeue_alone():
        assert letters.claim(ids[:1], by="ann", run=1) == set(ids[:1])
        assert letters.finish(1) == 1
        assert letters.claim(ids[1:2], by="ann", run=2) == set(ids[1:2])
        assert letters.reopen() == 1
        assert letters.discard(ids[2:], by="ann", why="old") == set(ids[2:])
        found: dict[str, Any] = {
            each.letter_id: each.resolution for each in letters.find(DeadLetterFilter(resolution=None))
        }
        assert set(letters.read_values(ids)) == set(ids)
    assert [found[each] for each in ids] == [Resolution.REQUEUED, Resolution.OPEN, Resolution.DISCARDED]


async def test_a_delivery_has_rights_of_its_own(worker_url: str, ledger_url: str, role: str) -> None:
    """All that it does, and no change of an outcome's customer."""
    grant(ledger_url, role, "--set", "deliver=1")
    deliveries, ann, bob = PostgresDeliveries(worker_url), received("ann"), received("bob")
    await deliveries.open()
    assert await deliveries.accept([ann, bob], now=NOW) == 2
    first, second = await deliveries.claim("email", now=NOW, until=NOW, limit=2)
    await deliveries.postpone(first, NOW)
    await deliveries.retry(second, NOW, "later")
    assert await deliveries.settle(ann.trigger, "delivered", "", at=NOW, mail_domain="mail.example")
    await deliveries.opt_out(OptOut("u-1", "ann", "email", ann.trigger.id, NOW))
    assert set(await deliveries.consent(["ann"])) == {"ann"}
    await deliveries.mark_reported(*await deliveries.unreported(5), at=NOW)
    assert (await deliveries.unreported(5), await deliveries.count_waiting()) == (([], []), {"email": 1})
    assert len(await deliveries.count_domains(since=NOW)) == 1
    await deliveries.close()
    with psycopg.connect(worker_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE delivery SET customer_id = 'eve'")


async def test_the_warehouses_role_needs_select_on_the_view_alone(warehouse_url: str) -> None:
    """And cannot read the underlying table."""
    name = "reader_" + warehouse_url.rpartition("_")[2]
    role = sql.Identifier(name)
    with psycopg.connect(warehouse_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE customers AS SELECT 'ann'::text AS customer_id, 12.5 AS revenue, 'x' AS address")
        owner.execute("CREATE VIEW customer_features_view AS SELECT customer_id, revenue FROM customers")
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, ROLE_PASSWORD))
        owner.execute(sql.SQL("GRANT SELECT ON customer_features_view TO {}").format(role))
        warehouse = PostgresWarehouse(as_role(warehouse_url, name), "customer_features_view")
        await warehouse.open()
        assert (await warehouse.fetch(["ann"])).row(0) == {"customer_id": "ann", "revenue": 12.5}
        await warehouse.close()
        with pytest.raises(WarehouseLayoutError, match="grant SELECT"):
            await PostgresWarehouse(as_role(warehouse_url, name), "customers").open()
        owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))


def test_three_tables_are_enough_to_read_a_campaigns_performance(ledger_url: str, role: str) -> None:
    with psycopg.connect(ledger_url) as owner:
        owner.execute(sql.SQL("GRANT SELECT ON contact, decision, outbox TO {}").format(sql.Identifier(role)))
    with open_performance(as_role(ledger_url, role)) as found:
        assert found.count_contacts("win-back") == {}
        assert found.exposure_days("win-back") == []
        assert found.count_in_both_arms("win-back") == 0


def test_the_consoles_role_can_keep_accounts_and_cannot_change_the_audit_log(ledger_url: str, role: str) -> None:
    """With the rights that the script grants in addition to a worker's role."""
    migrate(ledger_url)
    grant(ledger_url, role, "--set", "console=1")
    accounts = PostgresAccounts(as_role(ledger_url, role))
    accounts.open()
    accounts.add_account("ann", Role.OPERATOR, None, by="bob")
    accounts.set_role("ann", Role.ADMIN)
    accounts.add_key("k", "secret", "ann", by="bob", expires_at=None)
    accounts.begin_session("ann", "token")
    assert (accounts.find_keys(["secret"]), accounts.find_session("token")) == (
        [("ann", Role.ADMIN)],
        ("ann", Role.ADMIN),
    )
    assert accounts.begin_action("ann", "a", b"1") is None
    accounts.end_action("ann", "a", 200, {}, b"")
    accounts.release_action("ann", "a")
    accounts.record("ann", "sign in", "")
    assert [each.actor for each in accounts.list_audit(before=None, limit=2)] == ["ann"]
    accounts.revoke_key("k")
    accounts.set_password("ann", "hash")
    accounts.end_session("token")
    accounts.disable_account("ann")
    accounts.close()
    with psycopg.connect(as_role(ledger_url, role)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM audit_entry")
