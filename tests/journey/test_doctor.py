"""`holdfast doctor` on a sound deployment, and on one that is broken in many ways, one at a time."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from confluent_kafka import Producer
from psycopg import sql

from console.use_cases.doctor.examination import examine
from console.use_cases.doctor.findings import Severity
from streams.kafka.topics import create_topics
from streams.settings import OUTPUT_TOPICS, load_settings
from tests.contract.test_roles import ROLE_PASSWORD, as_role, grant
from tests.journey.workplace import (
    INPUTS,
    PARTITIONS,
    Workplace,
    campaign,
    lend_place,
    set_topic,
    write_definitions,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from console.embedded.services import Endpoints
    from console.use_cases.doctor.examination import Examination

    Break = Callable[["Deployment"], AbstractContextManager[Mapping[str, str]]]

TABLE = """
CREATE TABLE customers (
    customer_id text NOT NULL, customer_since date NOT NULL, days_since_last_transaction integer NOT NULL,
    total_revenue double precision NOT NULL, transaction_count integer NOT NULL, avg_transaction_value double precision,
    lifetime_value double precision, transactions_90d integer, items_total integer, cancellations integer,
    tenure_days integer, email_consent boolean, preferred_channel text, email text, updated_at timestamptz);
CREATE VIEW customer_features_view AS SELECT * FROM customers;
INSERT INTO customers
SELECT 'c' || n, '2020-01-01', 5, 100, 4, 25, 100, 1, 5, 0, 9, n % 3 = 0, 'email', 'x@example.org',
       now() - interval '1 hour'
  FROM generate_series(1, 50) AS n
"""
CUSTOMERS = [f"c{number}" for number in range(1, 51)]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A sound deployment.

    Attributes:
        place: its workplace; the URLs there are those of the owner.
        environment: the settings of its workers, with the roles that they need.
        role: the name of both roles.
    """

    place: Workplace
    environment: Mapping[str, str]
    role: str

    def examine(self, **changes: str) -> Examination:
        """Examine it, with some settings changed."""
        return examine(load_settings(**{**self.environment, **changes}))

    def owner(self, variable: str) -> str:
        """The URL of a database's owner."""
        return self.place.environment[variable]

    def run_sql(self, variable: str, *statements: str) -> None:
        """Run statements as the owner of a database."""
        with psycopg.connect(self.owner(variable), autocommit=True) as owner:
            for each in statements:
                owner.execute(sql.SQL(each).format(role=sql.Identifier(self.role)))  # type: ignore[arg-type]

    @property
    def folder(self) -> Path:
        """A folder for files of tests."""
        return self.place.folder


@pytest.fixture(scope="module")
def deployment(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Topics with some events, a ledger and a view with the least rights, definitions, and rules as models."""
    folder = tmp_path_factory.mktemp("doctor")
    settings = {"HOLDFAST_DEFINITIONS_DIR": str(write_definitions(folder / "definitions"))}
    with lend_place(endpoints, folder, settings) as place, lend_role(place) as role:
        place.do("topics", "create", "--partitions", str(PARTITIONS))
        grant(place.environment["HOLDFAST_LEDGER_URL"], role)
        place.publish("customer-updates", *map(place.event, CUSTOMERS))
        urls = {
            name: as_role(place.environment[name], role) for name in ("HOLDFAST_LEDGER_URL", "HOLDFAST_WAREHOUSE_URL")
        }
        yield Deployment(place, {**place.environment, **urls}, role)


@contextmanager
def lend_role(place: Workplace) -> Iterator[str]:
    """Create the view, and a role that may read it."""
    name = f"doctor_{place.prefix.rstrip('.')}"
    role, warehouse_url = sql.Identifier(name), place.environment["HOLDFAST_WAREHOUSE_URL"]
    with psycopg.connect(warehouse_url, autocommit=True) as owner:
        owner.execute(TABLE)
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, ROLE_PASSWORD))
        owner.execute(sql.SQL("GRANT SELECT ON customer_features_view TO {}").format(role))
    yield name
    for url in (place.environment["HOLDFAST_LEDGER_URL"], warehouse_url):
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(role))
    with psycopg.connect(warehouse_url, autocommit=True) as owner:
        owner.execute(sql.SQL("DROP ROLE {}").format(role))


def by_settings(**changes: str) -> Break:
    """Break it by settings."""

    @contextmanager
    def breaking(_: Deployment) -> Iterator[Mapping[str, str]]:
        yield changes

    return breaking


def by_owner_of(variable: str) -> Break:
    """Break it by the owner's URL instead of a role's."""

    @contextmanager
    def breaking(deployment: Deployment) -> Iterator[Mapping[str, str]]:
        yield {variable: deployment.owner(variable)}

    return breaking


def by_sql(variable: str, broken: str, mended: str, **changes: str) -> Break:
    """Break it by a statement in a database, and undo that."""

    @contextmanager
    def breaking(deployment: Deployment) -> Iterator[Mapping[str, str]]:
        deployment.run_sql(variable, broken)
        try:
            yield changes
        finally:
            deployment.run_sql(variable, mended)

    return breaking


def by_topic(topic: str, name: str, broken: str, sound: str) -> Break:
    """Break it by the configuration of a topic, and undo that."""

    @contextmanager
    def breaking(deployment: Deployment) -> Iterator[Mapping[str, str]]:
        place = deployment.place
        set_topic(place.broker, place.prefix + topic, name, broken)
        try:
            yield {}
        finally:
            set_topic(place.broker, place.prefix + topic, name, sound)

    return breaking


def by_other_topics(partitions: Mapping[str, int], ahead: timedelta | None = None) -> Break:
    """Break it by topics of another prefix, with these numbers of partitions; one may have a record of the future."""

    @contextmanager
    def breaking(deployment: Deployment) -> Iterator[Mapping[str, str]]:
        place, prefix = deployment.place, f"{deployment.place.prefix}{len(partitions)}{ahead is not None}."
        for topic in INPUTS:
            create_topics(place.broker, [prefix + topic], partitions.get(topic, 2))
        for topic in OUTPUT_TOPICS.values():
            config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "4194304"}
            create_topics(place.broker, [prefix + topic], 2, config)
        if ahead is not None:
            producer = Producer({"bootstrap.servers": place.broker, "partitioner": "murmur2_random"})
            milliseconds = int((datetime.now(UTC) + ahead).timestamp() * 1000)
            producer.produce(prefix + "outcomes", key=b"c1", value=b"{}", timestamp=milliseconds)
            producer.flush()
        yield {"HOLDFAST_TOPIC_PREFIX": prefix}

    return breaking


def by_definition(kind: str, content: dict[str, Any]) -> Break:
    """Break it by one more definition."""

    @contextmanager
    def breaking(deployment: Deployment) -> Iterator[Mapping[str, str]]:
        path = deployment.folder / "definitions" / kind / f"{content['key']}.json"
        write_json(path, content)
        try:
            yield {}
        finally:
            path.unlink()

    return breaking


@contextmanager
def by_broken_model(deployment: Deployment) -> Iterator[Mapping[str, str]]:
    """Break it by a promoted version that is not there."""
    home = deployment.folder / "models" / "churn"
    home.mkdir(parents=True)
    (home / "current").write_text("churn-1\n")
    yield {"HOLDFAST_MODELS_DIR": str(home.parent)}


def segment(rule: Any) -> dict[str, Any]:
    """Return a definition of a segment."""
    return {"key": "odd", "name": "odd", "rule": rule}


LEDGER, WAREHOUSE = "HOLDFAST_LEDGER_URL", "HOLDFAST_WAREHOUSE_URL"
NOWHERE = "postgresql://u:p@127.0.0.1:1/none"
FAULTS: dict[str, tuple[Break, str, str]] = {
    "mock models": (by_settings(ML_MOCK_MODE="true"), "mock-mode", "ML_MOCK_MODE is true"),
    "expired triggers": (by_settings(HOLDFAST_WITHHOLD_EXPIRED="false"), "expired-sent", "unset"),
    "stuck too soon": (by_settings(HOLDFAST_STUCK_AFTER_S="5"), "stuck-before-session", "is 5 s"),
    "a small batch": (
        by_settings(HOLDFAST_MAX_EVENT_BYTES="3000000", HOLDFAST_MAX_BATCH_BYTES="2000000"),
        "event-above-batch",
        "3000000",
    ),
    "a replica without a column": (by_settings(HOLDFAST_REPLICA_WAIT_S="5"), "replica-unread", "DWH_UPDATED_AT_COLUMN"),
    "a short session": (by_settings(HOLDFAST_SESSION_TIMEOUT_S="3"), "session-timeout", "is 6000"),
    "a mistyped prefix": (by_settings(HOLDFAST_TOPIC_PREFIX="none."), "topic-layout", "none.customer-updates"),
    "unequal topics": (by_other_topics({"outcomes": 3}), "topic-layout", "outcomes has 3"),
    "another partitioner": (
        by_settings(HOLDFAST_PARTITIONER="consistent_random"),
        "partitioner-differs",
        "all of them fit murmur2_random, Java's default",
    ),
    "a clock ahead": (by_other_topics({}, timedelta(minutes=5)), "clock-of-records", "outcomes"),
    "a compacted topic": (
        by_topic("conversations", "cleanup.policy", "compact,delete", "delete"),
        "topic-compacted",
        "cleanup.policy is",
    ),
    "a short retention": (
        by_topic("outcomes", "retention.ms", "3600000", "604800000"),
        "retention-short",
        "3600000, which is 1.0 h",
    ),
    "a producer's timestamps": (
        by_topic("decisions", "message.timestamp.type", "CreateTime", "LogAppendTime"),
        "topic-differs",
        "should be LogAppendTime",
    ),
    "small dead letters": (
        by_topic("dead-letters", "max.message.bytes", "100000", "4194304"),
        "dead-letters-too-small",
        "max.message.bytes is 100000",
    ),
    "an old schema": (
        by_sql(
            LEDGER,
            "UPDATE _yoyo_migration SET migration_id = 'x' || migration_id WHERE migration_id LIKE '0009%'",
            "UPDATE _yoyo_migration SET migration_id = substr(migration_id, 2) WHERE migration_id LIKE 'x%'",
        ),
        "schema-behind",
        "holdfast ledger migrate",
    ),
    "a newer schema": (
        by_sql(
            LEDGER,
            "INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('new', '9999-new')",
            "DELETE FROM _yoyo_migration WHERE migration_id = '9999-new'",
        ),
        "schema-ahead",
        "9999-new",
    ),
    "a right too few": (
        by_sql(LEDGER, "REVOKE INSERT ON outbox FROM {role}", "GRANT INSERT ON outbox TO {role}"),
        "ledger-rights-missing",
        "lacks INSERT on outbox",
    ),
    "a right on a column too few": (
        by_sql(
            LEDGER,
            "REVOKE UPDATE (epoch) ON partition_owner FROM {role}",
            "GRANT UPDATE (epoch) ON partition_owner TO {role}",
        ),
        "ledger-rights-missing",
        "lacks UPDATE (epoch) on partition_owner",
    ),
    "a right too many": (
        by_sql(LEDGER, "GRANT DELETE ON decision TO {role}", "REVOKE DELETE ON decision FROM {role}"),
        "ledger-rights-excessive",
        "may delete from decision",
    ),
    "the ledger's owner": (by_owner_of(LEDGER), "ledger-rights-excessive", "is a superuser"),
    "the warehouse's owner": (by_owner_of(WAREHOUSE), "warehouse-rights-excessive", "is a superuser"),
    "a warehouse that can be written": (
        by_sql(
            WAREHOUSE,
            "GRANT UPDATE ON customer_features_view TO {role}",
            "REVOKE UPDATE ON customer_features_view FROM {role}",
        ),
        "warehouse-rights-excessive",
        "may UPDATE on customer_features_view",
    ),
    "a mistyped private column": (
        by_settings(HOLDFAST_PRIVATE_COLUMNS="e_mail"),
        "private-column-unknown",
        "names e_mail",
    ),
    "a private column that can be read": (
        by_settings(HOLDFAST_PRIVATE_COLUMNS="email"),
        "private-column-readable",
        "private columns email",
    ),
    "two rows": (
        by_sql(
            WAREHOUSE,
            "INSERT INTO customers SELECT * FROM customers WHERE customer_id = 'c1'",
            "DELETE FROM customers a USING customers b WHERE a.customer_id = b.customer_id AND a.ctid < b.ctid",
        ),
        "customer-duplicated",
        "customers with more than one row: 1",
    ),
    "consent that is null": (
        by_sql(
            WAREHOUSE,
            "UPDATE customers SET email_consent = NULL",
            "UPDATE customers SET email_consent = substr(customer_id, 2)::integer % 3 = 0",
        ),
        "consent-null",
        "50 of 50 sampled customers",
    ),
    "a row of the future": (
        by_sql(
            WAREHOUSE,
            "UPDATE customers SET updated_at = now() + interval '1 hour'",
            "UPDATE customers SET updated_at = now() - interval '1 hour'",
            DWH_UPDATED_AT_COLUMN="updated_at",
        ),
        "clock-of-rows",
        "updated_at: a row was changed",
    ),
    "an unknown fact": (by_definition("segments", segment({">": [{"var": "loyalty"}, 1]})), "fact-unknown", "loyalty"),
    "text and a number": (
        by_definition("segments", segment({">": [{"var": "total_revenue"}, "much"]})),
        "rule-mismatched",
        "total_revenue",
    ),
    "a rule that holds for null": (
        by_definition("segments", segment({"<": [{"var": "avg_transaction_value"}, 10]})),
        "rule-holds-for-null",
        "avg_transaction_value",
    ),
    "a channel without consent": (
        by_definition("campaigns", campaign("texts", "lapsing", "on_enter") | {"channels": ["sms"]}),
        "consent-missing",
        "the view has no column sms_consent",
    ),
    "a broken definition": (by_definition("segments", segment({"nope": []})), "definitions-unusable", "nope"),
    "a model that is gone": (by_broken_model, "model-unusable", "churn-1"),
    "Kafka away": (by_settings(HOLDFAST_BROKER="127.0.0.1:1"), "kafka-unusable", "HOLDFAST_BROKER"),
    "Redis away": (by_settings(HOLDFAST_REDIS_URL="redis://127.0.0.1:1/0"), "redis-unusable", "HOLDFAST_REDIS_URL"),
    "the ledger away": (by_settings(HOLDFAST_LEDGER_URL=NOWHERE), "ledger-unusable", "HOLDFAST_LEDGER_URL"),
    "the warehouse away": (by_settings(HOLDFAST_WAREHOUSE_URL=NOWHERE), "warehouse-unusable", "HOLDFAST_WAREHOUSE_URL"),
}


def test_a_sound_deployment_has_no_findings(deployment: Deployment) -> None:
    found = deployment.examine()
    assert [f"{each.id}: {each.what}" for each in found.findings] == []
    assert (found.not_made, found.needs_attention) == (0, False)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_with_its_value_its_reason_and_its_remedy(deployment: Deployment, fault: str) -> None:
    """And the checks of everything else are made."""
    breaking, name, said = FAULTS[fault]
    with breaking(deployment) as changes:
        found = deployment.examine(**changes)
    findings = [each for each in found.findings if each.id == name]
    assert any(said in f"{each.what} {each.fix}" for each in findings), found.findings
    assert all(each.what and each.why and each.fix for each in found.findings)
    assert found.checks > found.not_made
    assert "p@" not in str(found)


def test_a_fault_does_not_stay(deployment: Deployment) -> None:
    """The tests above have undone what they did."""
    assert deployment.examine().findings == []


def test_the_command_prints_what_to_do_and_its_exit_code_says_whether_anything_is_wrong(deployment: Deployment) -> None:
    place, sound = deployment.place, dict(deployment.environment)
    well = place.holdfast("doctor", **sound)
    assert (well.returncode, well.stderr) == (0, "")
    assert well.stdout.startswith("no findings; ")
    ill = place.holdfast("doctor", **sound | {"ML_MOCK_MODE": "true"})
    assert ill.returncode == 1
    assert ill.stdout.splitlines()[:3] == [
        "warning mock-mode: ML_MOCK_MODE is true",
        "    why: Scores are sample values by customer id: customers are contacted by chance.",
        "    fix: unset ML_MOCK_MODE",
    ]
    noted = place.holdfast("doctor", "--json", **sound | {"HOLDFAST_REPLICA_WAIT_S": "5"})
    (finding,) = json.loads(noted.stdout)["findings"]
    assert (noted.returncode, finding["id"], finding["severity"]) == (0, "replica-unread", Severity.NOTE)
    mistaken = place.holdfast("doctor", **sound | {"HOLDFAST_PARTITIONER": "random"})
    assert (mistaken.returncode, mistaken.stderr.count("\n")) == (2, 1)
