"""Processes are identified for ever, ended in order, and never mistaken for others."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from threading import Event
from typing import TYPE_CHECKING

import psutil
import pytest

from console.embedded.errors import ServiceStartError, StartCancelledError
from console.embedded.process import Identity, ServerProcess, end, sweep
from console.embedded.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)",
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that nobody watches, not started."""
    runs = tmp_path / "run"
    runs.mkdir()
    process = ServerProcess("sleeper", runs=runs, log=tmp_path / "log", watchdog=Watchdog())
    yield process
    process.stop()


def _identify(pid: int) -> Identity:
    return Identity(pid, psutil.Process(pid).create_time(), signal.SIGTERM)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Any process of ours."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def test_a_process_is_found_by_number_and_time(sleeper: subprocess.Popen[bytes]) -> None:
    """While it runs."""
    found = _identify(sleeper.pid).find()
    assert found is not None
    assert found.pid == sleeper.pid


def test_a_number_given_to_somebody_else_is_not_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    """The creation time differs, so it is not our process."""
    identity = _identify(sleeper.pid)
    end(replace(identity, created=identity.created - 60))
    assert sleeper.poll() is None


def test_a_process_that_ended_is_not_found(sleeper: subprocess.Popen[bytes]) -> None:
    """Not even while its exit status waits to be collected."""
    identity = _identify(sleeper.pid)
    sleeper.kill()
    psutil.wait_procs([psutil.Process(sleeper.pid)], timeout=30)
    assert identity.find() is None


def test_a_process_that_ignores_its_signal_is_killed() -> None:
    """Patience has an end."""
    with subprocess.Popen(STUBBORN, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        end(_identify(process.pid), patience=0.1)
        assert process.wait(30) == -signal.SIGKILL


def test_a_paused_process_is_ended_as_well(sleeper: subprocess.Popen[bytes]) -> None:
    """It is resumed first, so that it can stop in order."""
    sleeper.send_signal(signal.SIGSTOP)
    end(_identify(sleeper.pid))
    assert sleeper.wait(30) == -signal.SIGTERM


def test_stopping_a_server_removes_its_pid_file(tmp_path: Path, server: ServerProcess) -> None:
    """A folder without pid files is a folder without processes."""
    server.start(SLEEP, folder=tmp_path)
    assert json.loads((tmp_path / "run" / "sleeper.json").read_text())["pid"] == server.pid
    server.stop()
    assert server.pid is None
    assert list((tmp_path / "run").iterdir()) == []


def test_a_server_has_a_session_of_its_own(tmp_path: Path, server: ServerProcess) -> None:
    """Ctrl-C in the terminal does not reach it."""
    server.start([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"], folder=tmp_path)
    with pytest.raises(ServiceStartError, match="sleeper did not start: it ended with exit code 0"):
        server.wait_ready(lambda: False, Event())
    assert (tmp_path / "log").read_text() == "True\n"


def test_a_server_that_ends_at_once_shows_its_last_words(tmp_path: Path, server: ServerProcess) -> None:
    """The error says where the log is and what it ends with."""
    server.start([sys.executable, "-c", "raise SystemExit('port taken')"], folder=tmp_path)
    with pytest.raises(ServiceStartError, match="port taken") as caught:
        server.wait_ready(lambda: False, Event())
    assert str(tmp_path / "log") in str(caught.value)


def test_waiting_for_a_server_can_be_cancelled(tmp_path: Path, server: ServerProcess) -> None:
    """Nobody has to wait for the minute to pass."""
    cancelled = Event()
    cancelled.set()
    server.start(SLEEP, folder=tmp_path)
    with pytest.raises(StartCancelledError):
        server.wait_ready(lambda: False, cancelled)


def test_a_sweep_ends_what_was_left_and_forgets_the_rest(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """Files of processes that are gone, and files that make no sense, are only removed."""
    identity = _identify(sleeper.pid)
    (tmp_path / "left.json").write_text(json.dumps(asdict(identity)))
    (tmp_path / "gone.json").write_text(json.dumps(asdict(replace(identity, created=0.0))))
    (tmp_path / "torn.json").write_text("{")
    assert sweep(tmp_path) == ["left"]
    assert sleeper.wait(30) == -signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_the_watchdog_ends_what_it_was_told_of_when_its_pipe_closes(sleeper: subprocess.Popen[bytes]) -> None:
    """As it closes when the parent is killed."""
    watchdog = Watchdog()
    watchdog.start()
    watchdog.guard(_identify(sleeper.pid))
    watchdog.stop()
    assert sleeper.wait(30) == -signal.SIGTERM


def test_a_watchdog_that_was_killed_does_no_harm(sleeper: subprocess.Popen[bytes]) -> None:
    """Services go on being started and stopped without it."""
    watchdog = Watchdog()
    watchdog.start()
    assert watchdog.pid is not None
    psutil.Process(watchdog.pid).kill()
    psutil.wait_procs([psutil.Process(watchdog.pid)], timeout=30)
    watchdog.guard(_identify(sleeper.pid))
    watchdog.stop()
    assert sleeper.poll() is None
