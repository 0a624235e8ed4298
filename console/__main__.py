"""The `holdfast` command, also as `python -m console`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130


def main() -> None:
    """Run the command. Ctrl-C during the imports gives one sentence and exit code 130."""
    former = signal.getsignal(signal.SIGINT)
    if former is signal.default_int_handler:  # a shell may have it ignored, for a process in the background
        signal.signal(signal.SIGINT, _end)
    from console.cli import main as run  # noqa: PLC0415 - after the handler is set

    signal.signal(signal.SIGINT, former)
    run()


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not by an exception: libraries catch some while they are imported. There is nothing to clean up yet.
    os.write(2, b"holdfast: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
