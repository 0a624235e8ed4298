"""The production worker with faults at named steps, as listed in HOLDFAST_FAULT.

HOLDFAST_FAULT is a comma-separated list of `step:occurrence:action`. Steps are in STEPS; occurrences are counted from
1; actions are in ACTIONS. Subclasses of the adapters that the composition root chooses inject the faults, so the
product does not depend on them. HOLDFAST_AUDIT names the audit log for faults and decided records, see audit.py.

HOLDFAST_FAULT_BROKER_TIMEOUT_S shortens the time after which the worker stops waiting for the broker and retries.
Signals shift its wall clock, see clock.py.

The process is forked from one that has imported everything, because the imports take longer than the recovery under
test.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

import streams.__main__
import streams.adapters
import streams.pipeline
import streams.runtime.worker
import streams.services
from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_ledger import PostgresLedger
from features.errors import WarehouseUnavailableError
from features.store import FeatureStore
from streams.errors import SinkUnavailableError
from streams.kafka.publishing import KafkaTriggerSink
from streams.pipeline import Pipeline
from streams.runtime.retry import RetryPolicy
from streams.runtime.worker import Worker
from tests.faults.audit import Audit
from tests.faults.clock import let_clock_jump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

AWAY = {
    "after_decode": WarehouseUnavailableError,
    "after_features": WarehouseUnavailableError,
    "before_commit": LedgerUnavailableError,
    "in_transaction": LedgerUnavailableError,
    "after_commit": LedgerUnavailableError,
    "after_publish": SinkUnavailableError,
    "after_mark_sent": LedgerUnavailableError,
    # This step uses no service that can fail, so an error here is unexpected.
    "before_ack": RuntimeError,
}
TERMINATE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
STEPS = tuple(AWAY)
"""Steps at which faults can happen, in the order in which a batch passes them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An action at the n-th occurrence of a step."""

    step: str
    occurrence: int
    action: str


def parse(text: str) -> list[Fault]:
    """Read HOLDFAST_FAULT.

    Raises:
        ValueError: it names no such step or action.
    """
    faults = [Fault(step, int(number), action) for step, number, action in (f.split(":") for f in text.split(",") if f)]
    wrong = [fault for fault in faults if fault.step not in STEPS or fault.action not in ACTIONS]
    if wrong:
        raise ValueError(f"HOLDFAST_FAULT: {wrong} names no step of {STEPS} or no action of {tuple(ACTIONS)}")
    return faults


def _kill(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _freeze(_: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _say_away(step: str) -> None:
    raise AWAY[step](f"a fault {step}: the operation succeeded, but its answer was lost")


def _crash(step: str) -> None:
    raise RuntimeError(f"a fault {step}: an unexpected error")


def _cut(_: str) -> None:
    """Terminate every session of the ledger, including this worker's active ones, as a failover does."""
    with psycopg.connect(os.environ["HOLDFAST_LEDGER_URL"], autocommit=True) as ledger:
        ledger.execute(TERMINATE)


ACTIONS: dict[str, Callable[[str], None]] = {
    "kill": _kill,
    "freeze": _freeze,
    "away": _say_away,
    "crash": _crash,
    "cut": _cut,
}


class Faults:
    """Counts the occurrences of each step and triggers the faults."""

    def __init__(self) -> None:
        self.audit = Audit(None)
        self._faults: dict[tuple[str, int], Fault] = {}
        self._passed: Counter[str] = Counter()

    def expect(self, faults: Iterable[Fault]) -> None:
        """Add these faults."""
        self._faults = {(fault.step, fault.occurrence): fault for fault in faults}

    def reach(self, step: str) -> None:
        """Count an occurrence of a step, and trigger its faults."""
        self._passed[step] += 1
        fault = self._faults.get((step, self._passed[step]))
        if fault is not None:
            sys.stderr.write(f"FAULT {fault.step}:{fault.occurrence}:{fault.action}\n")
            sys.stderr.flush()
            self.audit.note("fault", kind=f"inside-{fault.action}", step=step)
            ACTIONS[fault.action](step)


FAULTS = Faults()


class FaultyStore(FeatureStore):
    """A feature store that fails after reading."""

    async def read(self, customer_ids: Sequence[str], **named: Any) -> Any:
        """Read, then reach the step; a read without customers is the check at start-up, not a batch."""
        read = await super().read(customer_ids, **named)
        if customer_ids:
            FAULTS.reach("after_features")
        return read


class FaultyLedger(PostgresLedger):
    """A ledger that fails before, inside and after the transaction."""

    async def commit(self, *arguments: Any, **named: Any) -> Any:
        """Commit between two steps."""
        FAULTS.reach("before_commit")
        committed = await super().commit(*arguments, **named)
        FAULTS.reach("after_commit")
        return committed

    async def _write(self, *arguments: Any, **named: Any) -> Any:
        written = await super()._write(*arguments, **named)
        FAULTS.reach("in_transaction")
        return written

    async def mark_sent(self, *arguments: Any, **named: Any) -> None:
        """Mark as sent, then reach the step."""
        await super().mark_sent(*arguments, **named)
        FAULTS.reach("after_mark_sent")


class AuditedPipeline(Pipeline):
    """A pipeline that writes its decided records to the audit log."""

    async def decide(self, prepared: Any, *arguments: Any, **named: Any) -> Any:
        """Decide, then write the records to the audit log."""
        decided = await super().decide(prepared, *arguments, **named)
        FAULTS.audit.note_decided(each.record for each in (*prepared.events, *prepared.rejects))
        return decided


class FaultySink(KafkaTriggerSink):
    """A sink that fails after publishing."""

    async def publish(self, *arguments: Any, **named: Any) -> None:
        """Publish, then reach the step."""
        await super().publish(*arguments, **named)
        FAULTS.reach("after_publish")


class FaultyWorker(Worker):
    """A worker that fails before it acknowledges."""

    def __init__(self, *, acknowledge: Callable[[Any], None], **named: Any) -> None:
        def acknowledge_later(batch: Any) -> None:
            FAULTS.reach("before_ack")
            acknowledge(batch)

        super().__init__(acknowledge=acknowledge_later, **named)


def decode_records(*arguments: Any, decode: Callable[..., Any] = streams.adapters.decode_records, **named: Any) -> Any:
    """Decode, then reach the step."""
    decoded = decode(*arguments, **named)
    FAULTS.reach("after_decode")
    return decoded


def put_faults_in() -> None:
    """Replace the adapters of the composition root by the faulty ones."""
    root, adapters = streams.services, streams.adapters
    for module, name, faulty in (
        (adapters, "decode_records", decode_records),
        (adapters, "FeatureStore", FaultyStore),
        (adapters, "PostgresLedger", FaultyLedger),
        (root, "Pipeline", AuditedPipeline),
        (adapters, "KafkaTriggerSink", FaultySink),
        (root, "Worker", FaultyWorker),
    ):
        setattr(module, name, faulty)
    let_clock_jump()


def shorten_broker_timeout(seconds: float) -> None:
    """Give up waiting for the broker after so long, and try again soon."""
    streams.adapters.KafkaTriggerSink = partial(  # type: ignore[misc, assignment]
        streams.adapters.KafkaTriggerSink, timeout_s=seconds, abandon_s=2 * seconds
    )
    streams.services.RetryPolicy = partial(RetryPolicy, longest_pause_s=1.0)  # type: ignore[misc, assignment]


def run_with_faults() -> None:
    """Run the worker until it is told to end. It changes modules: call it in a process of its own."""
    FAULTS.audit = Audit(os.environ.get("HOLDFAST_AUDIT"))
    FAULTS.expect(parse(os.environ.get("HOLDFAST_FAULT", "")))
    put_faults_in()
    if "HOLDFAST_FAULT_BROKER_TIMEOUT_S" in os.environ:
        shorten_broker_timeout(float(os.environ["HOLDFAST_FAULT_BROKER_TIMEOUT_S"]))
    streams.__main__.run()
