"""Server processes: started in separate sessions, recorded in pid files, ended even when their parent was killed.

A pid file holds the process's creation time next to its number, so that a process
which reuses the number is never signalled.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from console.embedded.errors import MissingExtraError, ServiceStartError, StartCancelledError

try:
    import psutil
except ModuleNotFoundError as missing:
    raise MissingExtraError("psutil") from missing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from threading import Event

    from console.embedded.watchdog import Watchdog

# Creation times are computed from the boot time, which moves a little when the clock is set.
_SAME_TIME = 1.0
_PATIENCE = 20.0
_START_LIMIT = 60.0
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of one process: number, creation time (seconds since 1970) and the signal that stops it."""

    pid: int
    created: float
    stop_signal: int

    def find(self) -> psutil.Process | None:
        """Return the process while it runs, or None."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > _SAME_TIME:
                return None
        except psutil.NoSuchProcess:
            return None
        return None if _is_gone(process) else process


@dataclass(frozen=True, slots=True)
class Account:
    """A system account to run a server as."""

    uid: int
    gid: int


class ServerProcess:
    """One server's process, its pid file and its log.

    Args:
        name: The service, for messages and for the pid file's name.
        runs: The folder of pid files.
        log: Where its output goes, appended.
        watchdog: Receives every process, and ends it if this process is killed.
        stop_signal: The signal for a clean shutdown of the server.
    """

    def __init__(
        self, name: str, *, runs: Path, log: Path, watchdog: Watchdog, stop_signal: int = signal.SIGTERM
    ) -> None:
        self.name = name
        self.log = log
        self._pid_file = runs / f"{name}.json"
        self._watchdog = watchdog
        self._stop_signal = stop_signal
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return self._child.pid if self._child is not None and self.is_running() else None

    def is_running(self) -> bool:
        """Return whether the server has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self, command: Sequence[str | Path], *, folder: Path, account: Account | None = None) -> None:
        """Start the server in `folder`, away from the terminal's signals."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - the servers' own binaries
                [str(part) for part in command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_user(account),
            )
        identity = self._identify(self._child.pid)
        partial = self._pid_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(identity)))
        partial.rename(self._pid_file)
        self._watchdog.guard(identity)

    def wait_ready(self, is_ready: Callable[[], bool], cancelled: Event) -> None:
        """Poll until the server is ready.

        Raises:
            ServiceStartError: it ended, or was not ready within a minute.
            StartCancelledError: `cancelled` was set meanwhile.
        """
        deadline = time.monotonic() + _START_LIMIT
        while not is_ready():
            if self._child is None or self._child.poll() is not None:
                code = None if self._child is None else self._child.returncode
                raise ServiceStartError(self.name, f"it ended with exit code {code}", self.log)
            if time.monotonic() > deadline:
                raise ServiceStartError(self.name, f"not ready after {_START_LIMIT:.0f} s", self.log)
            if cancelled.wait(_POLL):
                raise StartCancelledError

    def stop(self) -> None:
        """Stop the server cleanly, or kill it after a timeout; nothing happens when it does not run."""
        if self._child is None:
            return
        if self._child.poll() is None:
            end(self._identify(self._child.pid))
            self._child.wait()
        self._child = None
        self._pid_file.unlink(missing_ok=True)

    def pause(self) -> None:
        """Freeze the server and its own processes: connections stay open and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a paused server."""
        self._signal_all(signal.SIGCONT)

    def _identify(self, pid: int) -> Identity:
        return Identity(pid, psutil.Process(pid).create_time(), self._stop_signal)

    def _signal_all(self, number: int) -> None:
        if self.pid is not None:
            for process in _family(psutil.Process(self.pid)):
                _send(process, number)


def as_user(account: Account | None) -> dict[str, Any]:
    """Return the arguments of `subprocess` that make a child run as the account, none for this process's account."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def sweep(runs: Path) -> list[str]:
    """End every process that the folder of pid files names, and return the names of those that still ran."""
    found = []
    for file in sorted(runs.glob("*.json")):
        identity = _read_identity(file)
        if identity is not None and identity.find() is not None:
            end(identity)
            found.append(file.stem)
        file.unlink()
    return found


def end(identity: Identity, patience: float = _PATIENCE) -> None:
    """Ask a process to stop, wait up to `patience` seconds, then kill it and what it has started."""
    process = identity.find()
    if process is None:
        return
    family = _family(process)
    for member in family:
        _send(member, signal.SIGCONT)
    _send(process, identity.stop_signal)
    for member in _wait(family, patience):
        _send(member, signal.SIGKILL)
    _wait(family, patience)


def _read_identity(file: Path) -> Identity | None:
    """Return what a pid file says, or None for one that no version of this code has written."""
    try:
        return Identity(**json.loads(file.read_text()))
    except (TypeError, ValueError):
        return None


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _wait(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return the processes that still run after waiting."""
    deadline = time.monotonic() + seconds
    alive = [process for process in processes if not _is_gone(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL)
        alive = [process for process in alive if not _is_gone(process)]
    return alive


def _is_gone(process: psutil.Process) -> bool:
    """Return whether it has ended; so has a zombie, whose exit status may never be collected in a container."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
