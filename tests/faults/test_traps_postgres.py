"""PostgreSQL fails over during transactions, is read-only, or has a full disk: the worker waits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.faults.oracle import compare
from tests.faults.worker_with_faults import TERMINATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.faults.oracle import Outcome
    from tests.faults.run import Run

BE_FULL = """
    CREATE FUNCTION be_full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION be_full()
"""


def test_a_failover_in_mid_transaction_loses_and_doubles_nothing(run: Run, undisturbed: Outcome) -> None:
    """All sessions end before, in and after a transaction, and between publishing and marking as sent; ten times."""
    steps = ("in_transaction", "before_commit", "in_transaction", "after_commit", "after_publish")
    faults = [f"{step}:{2 + 3 * place}:cut" for place, step in enumerate(steps * 2)]
    run.send()
    worker = run.start(",".join(faults))
    assert compare(undisturbed, run.finish()).complaints == []
    assert sorted(worker.faults()) == sorted(faults)


@contextmanager
def be_read_only(ledger_url: str) -> Iterator[None]:
    """Fail over to a read-only server, then make it writable without ending a session."""
    name = sql.Identifier(ledger_url.rpartition("/")[2])
    with psycopg.connect(ledger_url, autocommit=True) as ledger:
        ledger.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        ledger.execute(TERMINATE)
        yield
        ledger.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))


@contextmanager
def be_full(ledger_url: str) -> Iterator[None]:
    """Reject writes to the outbox with SQLSTATE 53100, as a full disk does. A real one would need a file system."""
    with psycopg.connect(ledger_url, autocommit=True) as ledger:
        ledger.execute(BE_FULL)
        yield
        ledger.execute("DROP TRIGGER full_disk ON outbox")


@pytest.mark.parametrize("refuse_writes", [be_read_only, be_full])
def test_a_ledger_that_takes_no_writes_costs_time_and_nothing_else(
    run: Run, undisturbed: Outcome, refuse_writes: Callable[[str], AbstractContextManager[None]]
) -> None:
    """Reads still succeed; the same worker waits, reports that, and recovers without a restart."""
    lots = run.send_lots(2)
    worker = run.start()
    next(lots)
    run.wait_for(300)
    with refuse_writes(run.ledger_url):
        next(lots)
        run.wait_until(lambda: len(worker.said("service_unavailable")) >= 3 and '"ledger"' in worker.ask("/health"))
        assert run.committed() < len(run.records)
    assert compare(undisturbed, run.finish()).complaints == []
