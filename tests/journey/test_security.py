"""Services with authentication: reached with valid credentials, refused otherwise, and no password is disclosed."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import ssl
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, ResourceType  # type: ignore[attr-defined]  # as in secured.py
from psycopg import sql

from campaigns.migrations import migrate
from campaigns.ports import OutboxRow
from campaigns.triggers import Message
from console.demo.worker_process import WorkerProcess
from features.errors import CacheUnavailableError
from features.redis_cache import RedisFeatureCache
from streams.errors import BrokerUnavailableError
from streams.kafka.app import build_app, run_app
from streams.kafka.connection import describe_connection, describe_security
from streams.kafka.launch_requests import LaunchRequestProducer
from streams.kafka.publishing import KafkaTriggerSink
from streams.kafka.requeueing import open_requeuer
from streams.kafka.topics import check_topics, create_missing_topics, verify_topics
from streams.runtime.batching import Collector
from streams.services import app_settings
from streams.settings import OUTPUT_TOPICS, load_settings
from tests.builders import AS_OF
from tests.contract.test_roles import ROLE_PASSWORD, as_role, grant
from tests.faults.proxy import Proxy
from tests.forked_process import ROOT
from tests.journey.secured import PASSWORD, USER, TlsFront, make_certificates, run_guarded_kafka
from tests.journey.workplace import (
    INPUTS,
    SCHEMA,
    Workplace,
    lend_database,
    read_committed,
    wait_until,
    write_definitions,
)
from tests.settings_table import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from streams.settings import Settings
    from tests.journey.secured import Certificates, GuardedKafka

WRONG = "s3cret-and-wrong"
SASL = {"kafka_username": USER, "kafka_password": PASSWORD}
WAYS: dict[str, dict[str, Any]] = {
    "SASL_SSL with PLAIN": {"kafka_security_protocol": "sasl_ssl", **SASL},
    "SASL_SSL with SCRAM": {
        "kafka_security_protocol": "sasl_ssl",
        "kafka_sasl_mechanism": "SCRAM-SHA-256",
        **SASL,
    },
    "SASL_PLAINTEXT with SCRAM": {
        "kafka_security_protocol": "sasl_plaintext",
        "kafka_sasl_mechanism": "SCRAM-SHA-512",
        **SASL,
    },
    "mutual TLS": {"kafka_security_protocol": "ssl"},
}
CLIENT = (("cert", "pem"), ("key", "key"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Created for each run."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def kafka(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """A second broker, with authentication."""
    with run_guarded_kafka(tmp_path_factory.mktemp("guarded"), certificates) as running:
        yield running


@pytest.fixture(scope="module")
def context(certificates: Certificates) -> ssl.SSLContext:
    """The TLS context of a server."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates.path("server.pem"), certificates.path("server.key"))
    return made


def come(kafka: GuardedKafka, certificates: Certificates, way: str, prefix: str, **changes: Any) -> Settings:
    """Return the settings that connect to the guarded broker in one of the ways."""
    protocol: str = WAYS[way]["kafka_security_protocol"]
    files: dict[str, Any] = {"kafka_ca_file": certificates.path("ca.pem")} if protocol.endswith("ssl") else {}
    if protocol == "ssl":
        files |= {f"kafka_{part}_file": certificates.path(f"client.{end}") for part, end in CLIENT}
    names = {"topic_prefix": prefix, "group": f"{prefix}group", "broker": kafka.locate(protocol.upper())}
    return load_settings(**{**WAYS[way], **files, **names, **changes})


def admit(kafka: GuardedKafka, prefix: str) -> None:
    """Create the topics as a super user, and grant the rights that docs/settings.md lists for a worker."""
    create_missing_topics(load_settings(broker=kafka.broker, topic_prefix=prefix), partitions=2, replication=1)
    for name in INPUTS:
        kafka.grant(ResourceType.TOPIC, prefix + name, AclOperation.READ)
    for name in OUTPUT_TOPICS.values():
        kafka.grant(ResourceType.TOPIC, prefix + name, AclOperation.WRITE)
    group = f"{prefix}group"
    kafka.grant(ResourceType.GROUP, group, AclOperation.READ)
    kafka.grant(ResourceType.GROUP, f"{group}.outbox.", AclOperation.READ, prefixed=True)
    kafka.grant(ResourceType.TRANSACTIONAL_ID, f"{group}.outbox.", AclOperation.WRITE, prefixed=True)


@pytest.mark.parametrize("way", WAYS)
async def test_kafka_is_reached_by(
    way: str, kafka: GuardedKafka, certificates: Certificates, topic_prefix: str
) -> None:
    """Topics are checked, an event is consumed and a trigger is published, with only the documented rights."""
    admit(kafka, topic_prefix)
    settings = come(kafka, certificates, way, topic_prefix)
    check_topics(settings)
    producer = Producer({"bootstrap.servers": kafka.broker})
    producer.produce(settings.input_topics[0], key=b"ann", value=b"{}")
    assert producer.flush(30) == 0
    assert await consume_one(settings) == [b"ann"]
    await publish_one(settings)
    # The broker marks the transaction as committed a moment after it has answered.
    topic = settings.output_topics["campaign_triggers"]
    wait_until(lambda: [each.value for each in read_committed(kafka.broker, topic)] == [b"{}"])


async def consume_one(settings: Settings) -> list[bytes | None]:
    """Consume with the worker's consumer until there is a record, and return the keys."""
    app, closing = build_app(app_settings(settings)), asyncio.Event()
    running = asyncio.create_task(run_app(app, closing))
    batch = await asyncio.wait_for(Collector(app.intake, app.owns, max_records=10).collect(), 60)
    app.acknowledge(batch)
    closing.set()
    await running
    return [record.key for record in batch.records]


async def publish_one(settings: Settings) -> None:
    """Publish a message with the worker's sink."""
    sink = KafkaTriggerSink(
        describe_connection(settings),
        group=settings.group,
        ledger_id="ledger",
        topics=settings.output_topics,
        progress_topic=settings.input_topics[0],
    )
    await sink.fence(0)
    await sink.publish(0, [OutboxRow(1, Message("1", "ann", "campaign_triggers", b"ann", (), b"{}", 0))])
    sink.close()


def test_operators_commands_reach_kafka_too(kafka: GuardedKafka, certificates: Certificates, topic_prefix: str) -> None:
    """A launch and a requeue, with the additional rights that docs/settings.md lists for them."""
    admit(kafka, topic_prefix)
    settings = come(kafka, certificates, "SASL_SSL with SCRAM", topic_prefix)
    kafka.grant(ResourceType.TOPIC, f"{topic_prefix}evaluations", AclOperation.WRITE)
    kafka.grant(ResourceType.TOPIC, f"{topic_prefix}dead-letters", AclOperation.READ)
    kafka.grant(ResourceType.GROUP, f"{settings.group}.requeue.", AclOperation.READ, prefixed=True)
    kafka.grant(ResourceType.TRANSACTIONAL_ID, f"{settings.group}.requeue.", AclOperation.WRITE, prefixed=True)
    LaunchRequestProducer(settings).publish("thank-you", "spring", ["ann"], as_of=AS_OF)
    for last, run in ((0, 7), (7, 8)):
        with open_requeuer(settings, "ledger") as returns:
            assert returns.fence() == last
            assert returns.send([], {}, run=run), returns.failure
    assert len(read_committed(kafka.broker, f"{topic_prefix}evaluations")) == 1


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another password": ({"kafka_password": WRONG}, "Authentication failed"),
    "another authority": ({"kafka_ca_file": "other-ca.pem"}, "certificate verify failed"),
    "another host name": ({"broker": "localhost"}, "certificate verify failed"),
    "no TLS": (
        {"kafka_security_protocol": "sasl_plaintext", "kafka_ca_file": None},
        "HOLDFAST_KAFKA_SECURITY_PROTOCOL",
    ),
}


@pytest.mark.parametrize("difference", REFUSED)
def test_a_broker_is_not_reached_with(difference: str, kafka: GuardedKafka, certificates: Certificates) -> None:
    """The message gives the reason, without the password."""
    changes, said = REFUSED[difference]
    changes = dict(changes)
    if changes.get("kafka_ca_file"):
        changes["kafka_ca_file"] = certificates.path(changes["kafka_ca_file"])
    if "broker" in changes:
        changes["broker"] = f"{changes['broker']}:{kafka.ports['SASL_SSL']}"
    settings = come(kafka, certificates, "SASL_SSL with PLAIN", "", **changes)
    with pytest.raises(BrokerUnavailableError, match=said) as caught:
        verify_topics(settings.broker, INPUTS, security=describe_security(settings), timeout_s=3)
    assert not [word for word in (WRONG, PASSWORD) if word in str(caught.value)]


@pytest.fixture
def redis_user(endpoints: Endpoints) -> Iterator[str]:
    """A Redis user with the rights that docs/settings.md lists."""
    (rights,) = re.findall(r"ACL SETUSER holdfast on >password (.*?)\n\n", PAGE.read_text(), re.DOTALL)
    with lend_user(endpoints.redis_url, rights) as name:
        yield name


@contextmanager
def lend_user(url: str, rights: str) -> Iterator[str]:
    """Create a Redis user, and remove it at the end."""
    name = f"holdfast-{secrets.token_hex(4)}"
    with redis.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", name, "on", f">{PASSWORD}", *rights.split())
        yield name
        client.execute_command("ACL", "DELUSER", name)


async def test_redis_is_reached_by_tls_and_an_acl_user(
    endpoints: Endpoints, redis_user: str, context: ssl.SSLContext, certificates: Certificates
) -> None:
    """A user with only the rights that the cache needs."""
    port = urlsplit(endpoints.redis_url).port or 0
    with TlsFront(context, port, asks_first=False) as front:
        url = f"rediss://{redis_user}:{PASSWORD}@127.0.0.1:{front.port}/1"
        cache = RedisFeatureCache(url, ca_file=certificates.path("ca.pem"), timeout=10)
        await cache.invalidate(["ann"])
        _, leases = await cache.read(["ann"])
        await cache.fill({"ann": b"row"}, leases)
        rows, _ = await cache.read(["ann"])
        await cache.invalidate(["ann"])
        await cache.close()
    assert rows == {"ann": b"row"}


@pytest.mark.parametrize(("authority", "host"), [("other-ca.pem", "127.0.0.1"), ("ca.pem", "localhost")])
async def test_redis_must_prove_who_it_is(
    endpoints: Endpoints, context: ssl.SSLContext, certificates: Certificates, authority: str, host: str
) -> None:
    """With a certificate of the trusted authority for the right host."""
    port = urlsplit(endpoints.redis_url).port or 0
    with TlsFront(context, port, asks_first=False) as front:
        cache = RedisFeatureCache(f"rediss://:{WRONG}@{host}:{front.port}/1", ca_file=certificates.path(authority))
        with pytest.raises(CacheUnavailableError, match="certificate") as caught:
            await cache.read(["ann"])
        await cache.close()
    assert WRONG not in str(caught.value)


@pytest.fixture
def place(endpoints: Endpoints, kafka: GuardedKafka, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace on the guarded broker; the test itself uses the plaintext listener and the owner's account."""
    name = secrets.token_hex(4)
    admit(kafka, f"{name}.")
    with (
        lend_database(endpoints.ledger_url, f"ledger_{name}") as ledger,
        lend_database(endpoints.warehouse_url, f"warehouse_{name}") as warehouse,
    ):
        with psycopg.connect(warehouse) as connection:
            connection.execute(SCHEMA)
        environment = {
            "HOLDFAST_BROKER": kafka.broker,
            "HOLDFAST_REDIS_URL": endpoints.redis_url,
            "HOLDFAST_LEDGER_URL": ledger,
            "HOLDFAST_WAREHOUSE_URL": warehouse,
            "HOLDFAST_DEFINITIONS_DIR": str(write_definitions(tmp_path / "definitions")),
            "HOLDFAST_GROUP": f"{name}.group",
            "HOLDFAST_TOPIC_PREFIX": f"{name}.",
            "HOLDFAST_LOG_LEVEL": "debug",
            "ML_MOCK_MODE": "true",
        }
        yield Workplace(environment, tmp_path, f"{name}.")


@pytest.fixture
def role(place: Workplace) -> Iterator[str]:
    """A role for both databases: all that a worker needs of the ledger, SELECT on the view of the warehouse."""
    name = f"worker_{secrets.token_hex(4)}"
    ledger, warehouse = place.environment["HOLDFAST_LEDGER_URL"], place.environment["HOLDFAST_WAREHOUSE_URL"]
    migrate(ledger)
    with psycopg.connect(ledger, autocommit=True) as owner, psycopg.connect(warehouse, autocommit=True) as other:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), ROLE_PASSWORD))
        grant(ledger, name)
        other.execute(sql.SQL("GRANT SELECT ON customer_features_view TO {}").format(sql.Identifier(name)))
        yield name
        for connection in (other, owner):
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def lock_up(
    place: Workplace, kafka: GuardedKafka, certificates: Certificates, role: str, ports: tuple[int, int], user: str
) -> dict[str, str]:
    """Return the environment in which every service uses TLS, a password and the least rights."""
    postgres, cache = ports
    tls = f"sslmode=verify-full&sslrootcert={certificates.path('ca.pem')}"
    urls = {
        variable: as_role(place.environment[variable], role).replace(
            str(urlsplit(place.environment[variable]).port), str(postgres)
        )
        + f"?{tls}"
        for variable in ("HOLDFAST_LEDGER_URL", "HOLDFAST_WAREHOUSE_URL")
    }
    return {
        **place.environment,
        **urls,
        "HOLDFAST_REDIS_URL": f"rediss://{user}:{PASSWORD}@127.0.0.1:{cache}/2",
        "HOLDFAST_REDIS_CA_FILE": str(certificates.path("ca.pem")),
        "HOLDFAST_BROKER": kafka.locate("SASL_SSL"),
        "HOLDFAST_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "HOLDFAST_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "HOLDFAST_KAFKA_USERNAME": USER,
        "HOLDFAST_KAFKA_PASSWORD": PASSWORD,
        "HOLDFAST_KAFKA_CA_FILE": str(certificates.path("ca.pem")),
    }


def test_a_worker_works_where_everything_is_locked(
    place: Workplace,
    kafka: GuardedKafka,
    certificates: Certificates,
    context: ssl.SSLContext,
    role: str,
    redis_user: str,
    endpoints: Endpoints,
) -> None:
    """From event to trigger with TLS on every connection and the least rights on every service.

    Neither its debug log nor its probes contain a password, also when connections break.
    """
    postgres, cache = (urlsplit(url).port or 0 for url in (endpoints.ledger_url, endpoints.redis_url))
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(postgres))
        fronts = [
            stack.enter_context(TlsFront(context, port, asks_first=port == proxy.port)) for port in (proxy.port, cache)
        ]
        environment = lock_up(place, kafka, certificates, role, (fronts[0].port, fronts[1].port), redis_user)
        worker = WorkerProcess(environment, place.folder / "worker.log")
        stack.callback(worker.stop)
        worker.wait_until_ready()
        place._workers.append(worker)
        for days in (5, 90):
            place.set_customer("ann", days=days)
            place.update("ann")
        wait_until(lambda: len(place.triggers("ann")) == 1)
        assert min(front.taken for front in fronts) > 0
        responses = [ask(worker, path) for path in ("health", "metrics")]
        proxy.refuse()
        proxy.cut()
        place.publish("customer-updates", place.event("ann"))
        wait_until(lambda: "ledger cannot be reached" in ask(worker, "health"))
        responses += [ask(worker, path) for path in ("health", "metrics")]
    responses.append((place.folder / "worker.log").read_text())
    assert "ledger cannot be reached" in responses[-1]
    assert [word for word in (PASSWORD, ROLE_PASSWORD) for text in responses if word in text] == []


def ask(worker: WorkerProcess, path: str) -> str:
    """Return the response of a probe, whatever its status code."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except HTTPError as answer:
        with answer:
            return str(answer.read().decode())


@pytest.mark.parametrize("wrong", ["HOLDFAST_KAFKA_PASSWORD", "HOLDFAST_LEDGER_URL", "HOLDFAST_WAREHOUSE_URL"])
def test_a_worker_with_a_wrong_password_says_so_and_tells_no_password(
    wrong: str, place: Workplace, kafka: GuardedKafka, certificates: Certificates
) -> None:
    """Neither the wrong one nor the valid ones, in debug logs."""
    environment = {
        **place.environment,
        "HOLDFAST_BROKER": kafka.locate("SASL_SSL"),
        "HOLDFAST_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "HOLDFAST_KAFKA_USERNAME": USER,
        "HOLDFAST_KAFKA_PASSWORD": PASSWORD,
        "HOLDFAST_KAFKA_CA_FILE": str(certificates.path("ca.pem")),
        "HOLDFAST_REDIS_URL": f"redis://u:{WRONG}@127.0.0.1:1/0",
    }
    right = urlsplit(place.environment["HOLDFAST_LEDGER_URL"]).password or "none"
    environment[wrong] = WRONG if wrong == "HOLDFAST_KAFKA_PASSWORD" else environment[wrong].replace(right, WRONG)
    ended = subprocess.run(
        [sys.executable, "-m", "console", "worker"],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "uthentication failed" in ended.stderr
    assert not [word for word in (WRONG, right, PASSWORD) if word in ended.stdout + ended.stderr]


def test_a_worker_that_may_do_nothing_in_redis_works_without_and_tells_no_password(
    place: Workplace, endpoints: Endpoints
) -> None:
    """Redis is not needed to decide; its outage is reported, the password is not."""
    address = endpoints.redis_url.partition("//")[2]
    with ExitStack() as stack:
        user = stack.enter_context(lend_user(endpoints.redis_url, "-@all +ping +select"))
        environment = {**place.environment, "HOLDFAST_REDIS_URL": f"redis://{user}:{PASSWORD}@{address}"}
        worker = WorkerProcess(environment, place.folder / "worker.log")
        stack.callback(worker.stop)
        worker.wait_until_ready()
        place._workers.append(worker)
        for days in (5, 90):
            place.set_customer("ann", days=days)
            place.update("ann")
        wait_until(lambda: len(place.triggers("ann")) == 1)
    assert PASSWORD not in (place.folder / "worker.log").read_text()
