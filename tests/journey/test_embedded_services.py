"""The embedded services are real, keep their data, listen on loopback only and never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from console.embedded.errors import DataFolderBusyError
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints, ServiceName

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import sys, time
from pathlib import Path
from console.embedded.services import EmbeddedServices
services = EmbeddedServices(Path(sys.argv[1]))
services.start()
print(services.watchdog_pid, *services.find_pids().values(), flush=True)
time.sleep(600)
"""
UP = """
import sys
from pathlib import Path
from console.embedded.up import run_until_stopped
sys.exit(run_until_stopped(Path(sys.argv[1])))
"""


def _create_topic(broker: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)


def _produce(broker: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def _consume_first(broker: str, topic: str) -> bytes | None:
    settings = {"bootstrap.servers": broker, "group.id": topic, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    return None if message is None else message.value()


def _run(script: str, data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _wait_gone(pids: list[int]) -> list[int]:
    """Return the processes that still run after half a minute."""
    deadline = time.monotonic() + 30
    alive = pids
    while alive and time.monotonic() < deadline:
        alive = [pid for pid in alive if _is_alive(pid)]
        time.sleep(0.05)
    return alive


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def killed_parent(data_folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A killed process that had started the services on `data_folder`, and the process ids of watchdog and servers."""
    with _run(PARENT, data_folder) as parent:
        assert parent.stdout is not None
        yield parent, [int(word) for word in parent.stdout.readline().split()]
        parent.kill()


def test_kafka_hands_back_what_was_sent(endpoints: Endpoints, topic_prefix: str) -> None:
    """It is a real broker."""
    topic = f"{topic_prefix}letters"
    _create_topic(endpoints.broker, topic)
    _produce(endpoints.broker, topic, b"hello")
    assert _consume_first(endpoints.broker, topic) == b"hello"


def test_kafka_creates_no_topic_by_itself(endpoints: Endpoints, topic_prefix: str) -> None:
    """A misspelt topic is an error, not a new topic."""
    metadata = AdminClient({"bootstrap.servers": endpoints.broker}).list_topics(f"{topic_prefix}typo", 30)
    assert metadata.topics[f"{topic_prefix}typo"].error is not None


def test_redis_remembers_a_key(redis_url: str) -> None:
    """It is a real cache."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("greeting", "hello")
        assert client.get("greeting") == b"hello"


def test_redis_is_bounded_and_gives_up_old_keys(redis_url: str) -> None:
    """It behaves as a cache does in production."""
    with redis.Redis.from_url(redis_url) as client:
        settings = client.config_get("maxmemory*")
    assert settings["maxmemory"] == str(256 * 2**20)
    assert settings["maxmemory-policy"] == "allkeys-lru"


def test_postgres_has_pgvector(ledger_url: str) -> None:
    """It is a real database with the extension."""
    with psycopg.connect(ledger_url) as connection:
        connection.execute("CREATE EXTENSION vector")
        row = connection.execute("SELECT '[3,4]'::vector <-> '[0,0]'::vector").fetchone()
    assert row == (5.0,)


def test_postgres_asks_for_the_password(endpoints: Endpoints) -> None:
    """Other users of the machine cannot connect."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(endpoints.ledger_url, password="guess")  # noqa: S106 - a wrong one


def test_every_test_has_databases_of_its_own(ledger_url: str, warehouse_url: str) -> None:
    """Ledger and warehouse are separate, and neither is the shared one."""
    names = {url.rpartition("/")[2] for url in (ledger_url, warehouse_url)}
    assert len(names) == 2
    assert not names & {"ledger", "warehouse"}


def test_everything_listens_on_loopback_only(services: EmbeddedServices) -> None:
    """No service is reachable from another machine."""
    listening = set()
    for pid in services.find_pids().values():
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            sockets = process.net_connections("inet")
            listening |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_a_second_start_on_the_same_folder_is_refused(services: EmbeddedServices) -> None:
    """It fails with one clear sentence, and the running services are not affected."""
    with pytest.raises(DataFolderBusyError, match=f"in use by process {os.getpid()}"):
        EmbeddedServices(services.data).start()


@pytest.mark.parametrize("name", ["kafka", "redis", "postgres"])
def test_one_service_stops_and_comes_back_where_it_was(services: EmbeddedServices, name: ServiceName) -> None:
    """Clients reach it at the same address, and the other services keep running."""
    before = services.find_pids()
    services.stop_service(name)
    left = services.find_pids()
    services.start_service(name)
    assert left == {other: pid for other, pid in before.items() if other != name}
    assert services.find_pids()[name] != before[name]


def test_a_paused_service_is_silent_until_it_is_resumed(services: EmbeddedServices, redis_url: str) -> None:
    """Its connections stay open."""
    with redis.Redis.from_url(redis_url, socket_timeout=0.2, retry=None) as client:
        client.set("greeting", "hello")
        services.pause_service("redis")
        try:
            with pytest.raises(redis.TimeoutError):
                client.get("greeting")
        finally:
            services.resume_service("redis")
        assert client.get("greeting") == b"hello"


def test_data_and_ports_survive_a_stop_and_a_start(data_folder: Path) -> None:
    """The stored data is available at the same addresses."""
    with EmbeddedServices(data_folder) as first:
        endpoints = first.start()
        _create_topic(endpoints.broker, "kept")
        _produce(endpoints.broker, "kept", b"still here")
        with psycopg.connect(endpoints.ledger_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedServices(data_folder) as second:
        assert second.start() == endpoints
        assert _consume_first(endpoints.broker, "kept") == b"still here"
        with psycopg.connect(endpoints.ledger_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_the_next_start_ends_what_a_killed_parent_left(
    data_folder: Path, killed_parent: tuple[subprocess.Popen[str], list[int]]
) -> None:
    """Even if the watchdog was killed as well."""
    parent, (watchdog, *servers) = killed_parent
    os.kill(watchdog, signal.SIGKILL)
    parent.kill()
    parent.wait()
    assert all(_is_alive(pid) for pid in servers)
    with EmbeddedServices(data_folder) as again:
        assert not [pid for pid in servers if _is_alive(pid)]
        assert not set(again.find_pids().values()) & set(servers)


def test_the_watchdog_ends_the_services_when_the_parent_is_killed(
    killed_parent: tuple[subprocess.Popen[str], list[int]],
) -> None:
    """Without a further start."""
    parent, pids = killed_parent
    parent.kill()
    parent.wait()
    assert _wait_gone(pids) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_prints_the_settings_and_stops_everything_when_asked(data_folder: Path, number: signal.Signals) -> None:
    """With exit code 0, and no process is left."""
    with _run(UP, data_folder) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(4)]
        children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(number)
        assert process.wait(60) == 0
    assert [line.partition("=")[0] for line in printed] == [
        "export HOLDFAST_BROKER",
        "export HOLDFAST_REDIS_URL",
        "export HOLDFAST_LEDGER_URL",
        "export HOLDFAST_WAREHOUSE_URL",
    ]
    assert _wait_gone(children) == []
