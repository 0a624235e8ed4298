"""Logs name no customer: by digests, and by errors without the values that they quote."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import psycopg
import pytest

from campaigns.errors import LedgerUnavailableError
from features.errors import WarehouseRowError
from streams.observability.customer_digests import CustomerHider, describe_error, describe_trace, digest_customer


def hide(**event: Any) -> dict[str, Any]:
    hider = CustomerHider()
    hider.key = "k3y"
    return dict(hider(None, "error", event))


@pytest.mark.parametrize("field", ["customer_id", "key"])
def test_an_id_becomes_its_digest(field: str) -> None:
    assert hide(event="decided", **{field: "ann"}) == {"event": "decided", "customer": digest_customer("ann", "k3y")}


def test_an_id_is_left_out_before_the_key_is_known() -> None:
    assert CustomerHider()(None, "error", {"event": "decided", "customer_id": "ann"}) == {"event": "decided"}


def test_a_digest_depends_on_the_ledgers_key() -> None:
    assert len({digest_customer("ann", key) for key in ("one", "two")}) == 2
    assert len(digest_customer("ann", "one")) == 12


def fail() -> None:
    raise ValueError("ann is odd")


def raised() -> Exception:
    try:
        fail()
    except ValueError as error:
        return error
    raise AssertionError


def test_an_unexpected_error_is_described_by_its_type_and_place() -> None:
    described = describe_error(raised())
    assert described.startswith("ValueError at ")
    assert described.endswith(" in fail")


def test_the_words_of_our_own_errors_are_kept() -> None:
    """As they quote no values; of a row of the warehouse they do."""
    assert describe_error(LedgerUnavailableError("it is away\nDETAIL: ann")) == "it is away"
    assert describe_error(WarehouseRowError("ann is odd")) == "WarehouseRowError"
    row = WarehouseRowError("ann is odd")
    row.__cause__ = psycopg.errors.DivisionByZero("ann")
    assert describe_error(row) == "WarehouseRowError: DivisionByZero (22012)"


def test_a_violated_constraint_is_named_without_its_key(ledger_url: str) -> None:
    """By PostgreSQL itself, whose text quotes the row."""
    with psycopg.connect(ledger_url) as connection:
        connection.execute("CREATE TABLE seen (customer_id text PRIMARY KEY)")
        connection.execute("INSERT INTO seen VALUES ('ann')")
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            connection.execute("INSERT INTO seen VALUES ('ann')")
    assert "ann" in str(caught.value)
    assert describe_error(caught.value) == "UniqueViolation (23505), constraint seen_pkey, table seen"


def test_a_trace_has_causes_and_members_of_groups_without_their_words() -> None:
    group = ExceptionGroup("ann", [raised(), KeyError("bob")])
    group.__cause__ = OSError("the broker is away")
    described = describe_trace(group)
    assert [each["type"] for each in described] == ["ExceptionGroup", "ValueError", "KeyError", "OSError"]
    assert not [word for word in ("ann", "bob") if word in json.dumps([each["error"] for each in described])]
    assert described[-1]["error"] == "the broker is away"


def test_no_line_of_a_process_names_the_customer() -> None:
    """Neither ours nor the libraries', and not the error that ends it; in a process of its own."""
    code = """
import asyncio, logging, structlog
from streams.observability.logs import configure_logs
configure_logs("debug")
customer = "-".join(("ann", "4711"))
log = structlog.get_logger()
log.error("failed", error=ValueError(customer), customer_id=customer)
logging.getLogger("faust").error("crashed: %r", ValueError(customer))
async def forget():
    async def fail():
        raise ValueError(customer)
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(forget())
try:
    raise KeyError(customer)
except KeyError:
    logging.getLogger("mode").exception("service failed")
def end(customer):
    raise RuntimeError(customer)
end(customer)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 1
    assert {json.loads(line)["event"] for line in lines} == {
        "failed",
        "crashed: 'ValueError'",
        "Task exception was never retrieved",
        "service failed",
        "unexpected_error",
    }
    assert "ann-4711" not in "".join(lines)
