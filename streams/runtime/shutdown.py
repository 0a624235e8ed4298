"""The end of a process that was asked to end: in order if it can, but within a set time.

What is in hand may be dropped at any moment and comes again, so nothing is lost by giving up. What may not happen is
that a database that hangs keeps a worker from ending: its supervisor would have to kill it.
"""

from __future__ import annotations

import os
import sys
from threading import Timer

import structlog

ABANDONED = 75
"""The exit code of who gave up, EX_TEMPFAIL of sysexits.h: the work was not done and is done by the next one."""

log = structlog.get_logger()


def end_within(seconds: float) -> Timer:
    """End this process with exit code ABANDONED, if it has not ended by itself after so many seconds.

    From a thread, for the event loop may be what hangs. Calling it again changes nothing: the first call's time counts.
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
