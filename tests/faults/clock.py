"""The wall clock of a worker with faults: a signal moves it a week ahead of the real time or a week behind it."""

from __future__ import annotations

import signal
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer

import streams.activation
import streams.kafka.transactional_progress
import streams.runtime.worker
import streams.services

if TYPE_CHECKING:
    from datetime import tzinfo

AHEAD, BEHIND = signal.SIGUSR1, signal.SIGUSR2
WEEK_S = 7 * 86_400.0
_true_time = time.time
_shift_s = 0.0


def read_clock() -> float:
    """Return the shifted time of this process, seconds since 1970."""
    return _true_time() + _shift_s


def _jump(number: int, _: object) -> None:
    global _shift_s  # noqa: PLW0603 - a process has one clock
    _shift_s = WEEK_S if number == AHEAD else -WEEK_S
    sys.stderr.write(f"FAULT clock:{_shift_s:+.0f}\n")
    sys.stderr.flush()


class JumpingDatetime(datetime):
    """A datetime whose `now` is the shifted time of this process."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        """Return the shifted time of this process."""
        return datetime.fromtimestamp(read_clock(), tz)


class JumpingProducer(Producer):
    """A producer that stamps messages with the shifted time, as librdkafka would if the machine's clock jumped."""

    def produce(self, *arguments: Any, **named: Any) -> None:
        """Send with the shifted timestamp."""
        super().produce(*arguments, timestamp=int(read_clock() * 1000), **named)


def let_clock_jump() -> None:
    """Replace the clock wherever Python code reads the time, and shift it at the signals AHEAD and BEHIND."""
    for module in list(sys.modules.values()):
        if getattr(module, "time", None) is _true_time:
            vars(module)["time"] = read_clock
    for module in (streams.runtime.worker, streams.activation, streams.services):
        vars(module)["datetime"] = JumpingDatetime
    vars(streams.kafka.transactional_progress)["Producer"] = JumpingProducer
    for number in (AHEAD, BEHIND):
        signal.signal(number, _jump)
