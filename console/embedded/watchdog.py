"""A small process that ends the servers at once when their parent is killed.

It holds the reading end of a pipe whose writing end only the parent has. The parent writes one line for each
server it starts; when the pipe closes, the parent has ended, and every server of it that still runs is stopped.
The kernel's own means (PR_SET_PDEATHSIG) follows the thread that started the child, not the process, and is
lost when the child changes its user, so it does not serve here. The pid files are the guarantee; the
watchdog only ends unused servers earlier.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from console.embedded.process import Identity, end

_ROOT = Path(__file__).resolve().parents[2]


class Watchdog:
    """The parent's side of the pipe."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._writing = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The watchdog's process number while it runs."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Start the watching process, in a session of its own."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "console.embedded.watchdog"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def guard(self, identity: Identity) -> None:
        """End this process when the parent ends; without a watchdog, only its pid file remains."""
        if self._child is None or self._child.stdin is None:
            return
        with self._writing:
            try:
                self._child.stdin.write(json.dumps(asdict(identity)).encode() + b"\n")
                self._child.stdin.flush()
            except BrokenPipeError:
                # The watchdog was ended; the next start still finds the pid file.
                return

    def stop(self) -> None:
        """Close the pipe and wait; the servers should have been stopped before."""
        if self._child is not None:
            self._child.communicate()
            self._child = None


def main() -> None:
    """Read identities until the pipe closes, then end the processes that still run."""
    guarded = [Identity(**json.loads(line)) for line in sys.stdin]
    for identity in guarded:
        end(identity)


if __name__ == "__main__":
    main()
