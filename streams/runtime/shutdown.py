"""Shutdown within a time limit.

Work in progress may be dropped at any moment: it is redelivered, so giving up loses nothing. Without the limit a
database that hangs would keep a worker from ending, and its supervisor would have to kill it.
"""

from __future__ import annotations

import os
import sys
from threading import Timer

import structlog

ABANDONED = 75
"""The exit code after giving up, EX_TEMPFAIL of sysexits.h: the next worker does the work."""

log = structlog.get_logger()


def end_within(seconds: float) -> Timer:
    """End this process with exit code ABANDONED unless it ends by itself within `seconds`.

    The timer is a thread, since the event loop itself may hang. The first call counts.
    """
    timer = Timer(seconds, _abandon, [seconds])
    timer.daemon = True
    timer.start()
    return timer


def _abandon(seconds: float) -> None:
    log.error("shutdown_abandoned", after_s=seconds, exit_code=ABANDONED)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(ABANDONED)
