"""What the embedded services are told, and what they find on the machine."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from console.embedded import account
from console.embedded.data_dir_lock import claim
from console.embedded.errors import DataFolderBusyError, EmbeddedError, MissingExtraError
from console.embedded.extras import find_folder
from console.embedded.kafka import describe, find_java, read_version
from console.embedded.ports import choose_ports
from console.embedded.postgres import find_binaries
from console.embedded.redis import find_redis
from console.embedded.services import Endpoints

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("kafka", "redis")


@pytest.fixture
def without_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with nothing installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def _install_java(home: Path, version: str) -> None:
    java = home / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)


def test_endpoints_become_the_settings_that_holdfast_reads() -> None:
    """The names are those of the settings table."""
    assert Endpoints("b", "r", "l", "w").as_environment() == {
        "HOLDFAST_BROKER": "b",
        "HOLDFAST_REDIS_URL": "r",
        "HOLDFAST_LEDGER_URL": "l",
        "HOLDFAST_WAREHOUSE_URL": "w",
    }


def test_kafka_listens_on_loopback_only() -> None:
    """For clients and for itself."""
    settings = describe(20_001, 20_002, Path("/logs"))
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20001"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 1),
        ('openjdk version "25" 2025-09-16', 25),
        ("no such thing", 0),
    ],
)
def test_the_version_of_java_is_read(text: str, version: int) -> None:
    """Java 8 says 1.8, which is old enough."""
    assert read_version(text) == version


@pytest.mark.usefixtures("without_path")
@pytest.mark.parametrize(("version", "taken"), [("17.0.1", True), ("11.0.2", False)])
def test_the_systems_java_is_taken_when_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    """Otherwise the packaged one is."""
    _install_java(tmp_path, version)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    assert (find_java() == tmp_path / "bin" / "java") is taken


@pytest.mark.usefixtures("without_path")
def test_a_machine_with_nothing_installed_uses_the_packages() -> None:
    """Each binary is there and can be run."""
    for binary in (find_java(), find_redis(), find_binaries() / "postgres"):
        assert binary.stat().st_mode & stat.S_IXUSR


def test_pgvector_comes_with_the_newest_packaged_postgres() -> None:
    """Version 18 or later."""
    share = find_binaries().parent / "share"
    assert find_binaries().parent.name >= "pginstall18"
    assert list(share.rglob("vector.control"))


def test_a_missing_package_names_the_extra() -> None:
    """The message can be typed as it stands."""
    with pytest.raises(MissingExtraError, match="make install"):
        find_folder("no_such_package_here")


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    """A second start is found under the same addresses."""
    file = tmp_path / "ports.json"
    assert choose_ports(NAMES, file) == choose_ports(NAMES, file)


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path, taken_port: int) -> None:
    """And only that one."""
    file = tmp_path / "ports.json"
    first = choose_ports(NAMES, file)
    file.write_text(f'{{"kafka": {taken_port}, "redis": {first["redis"]}}}')
    second = choose_ports(NAMES, file)
    assert second["kafka"] != taken_port
    assert second["redis"] == first["redis"]


def test_ports_lie_below_those_the_kernel_gives_to_clients(tmp_path: Path) -> None:
    """Or a waiting client could connect to itself and keep the server out."""
    names = [str(number) for number in range(50)]
    ports = choose_ports(names, tmp_path / "ports.json")
    assert len(set(ports.values())) == 50
    assert max(ports.values()) < 32_768


def test_a_data_folder_is_claimed_by_one_at_a_time(tmp_path: Path) -> None:
    """And given back by closing."""
    first = claim(tmp_path)
    with pytest.raises(DataFolderBusyError, match="Stop that process first"):
        claim(tmp_path)
    first.close()
    claim(tmp_path).close()


def test_an_ordinary_user_needs_no_other_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL runs as whoever started it."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert account.choose_account(tmp_path) is None


def test_root_runs_a_new_cluster_as_an_account_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of the usual ones."""
    accounts = {"nobody": SimpleNamespace(pw_uid=65534, pw_gid=65533)}
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", accounts.__getitem__)
    assert account.choose_account(tmp_path / "new") == account.Account(65534, 65533)


def test_root_without_any_usual_account_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", {}.__getitem__)
    with pytest.raises(EmbeddedError, match="Run as an ordinary user"):
        account.choose_account(tmp_path / "new")


def test_the_way_to_a_folder_is_opened_for_passing_not_for_reading(tmp_path: Path) -> None:
    """Only the search permission is added, and each change is reported."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    reports: list[str] = []
    account.open_way(closed / "cluster", reports.append)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert any(str(closed) in text for text in reports)
