"""Processes forked from a server that has imported the worker, which start in a tenth of a second.

The imports take three seconds of CPU, and the tests start more than a hundred workers. Tests of what happens during the
imports, the demo and the first try start the command itself.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).parents[1]

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["pytest", "tests.faults.worker_with_faults", "console.cli"])


class ForkedProcess:
    """A process that runs a function, with the part of `subprocess.Popen` that tests use.

    Args:
        run: what it runs, a function of a module.
        arguments: the command line, without the name of the command.
        environment: its environment.
        stdout: file of its output, emptied first.
        stderr: file of its errors; that of the output when None.
    """

    def __init__(
        self,
        run: Callable[[], None],
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stdout: Path,
        stderr: Path | None = None,
    ) -> None:
        files = (str(stdout), str(stderr or stdout))
        for file in files:
            Path(file).write_bytes(b"")
        # As daemons they do not outlive the tests.
        self._process = _server.Process(target=_begin, args=(run, arguments, dict(environment), files), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it ends.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("holdfast", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()


def run_command() -> None:
    """Run the `holdfast` command with the arguments of this process."""
    from console.__main__ import main  # noqa: PLC0415 - in the forked process

    main()


def _begin(
    run: Callable[[], None], arguments: Sequence[str], environment: Mapping[str, str], files: tuple[str, str]
) -> None:
    os.setsid()
    os.chdir(ROOT)
    for descriptor, file in zip((1, 2), files, strict=True):
        opened = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["holdfast", *arguments]
    run()
