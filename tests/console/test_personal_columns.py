"""What identifies a customer reaches no role that may not see it, neither in facts nor in texts that quote them."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from campaigns.ports import BatchChanges
from campaigns.postgres_ledger import PostgresLedger
from campaigns.triggers import outgoing
from console.use_cases.what_if import find_what_if
from streams.definitions import read_definitions
from streams.formats.dead_letters import dead_letter
from streams.runtime.poison_records import describe_poison
from streams.settings import load_settings
from tests.console.conftest import bearer
from tests.console.test_access import list_addresses
from tests.journey.workplace import write_definitions, write_json
from tests.records import Arrived
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from console.access.postgres_accounts import PostgresAccounts

MARKER = "zqxmarker"
BORN = "1903-04-05"
BIRTH_YEAR = re.compile(r"(?<![0-9A-Za-z.])1903(?![0-9A-Za-z])")
"""However the date is written; no part of another number or of a digest."""
PERSONAL = "email,birth_date,sms_consent"
AT = datetime.now(UTC).replace(microsecond=0)
LAPSED = {">": [{"var": "days_since_last_transaction"}, 60]}
HAS_EMAIL = {"and": [{"in": ["@", {"var": "email"}]}, {"!=": [{"var": "birth_date"}, "2000-01-01"]}]}
MESSAGES = {
    "greets": ("email", "Dear {{ email }}, born {{ birth_date }}: {{ offer.name }}"),
    "fails": ("email", "{{ email | fixed }}"),
    "misdated": ("email", "{{ email | date }}"),
    "unreadable": ("sms", "{{ offer.name }}"),
}
"""By campaign: its channel, and its message. All but the first fail, and say why with a value."""
BLIND = ("viewer", "marketer", "operator")
"""Who may not see personal columns."""
QUERIES: Mapping[str, tuple[str, ...]] = {
    "/care/what-if": tuple(
        f"customer_id=ann&{more}" for more in ("fact.days_since_last_transaction=99", "fact.birth_date=x")
    ),
    "/campaigns/{key}/decided": (
        "outcome=withheld&reason=message_failed",
        "outcome=withheld&reason=unreadable_consent",
    ),
    "/api/v1/predictions/{kind}": ("segment=lapsing",),
    "/api/v1/models/{model}/comparison": ("one=x",),
    "/analytics/cohort": ("month=2026-01&age=1",),
    "/operations/dead-letters": ("status=all",),
}
VALUES: Mapping[str, tuple[str, ...]] = {
    "customer_id": ("ann",),
    "key": ("lapsing", "with-email", *MESSAGES),
    "kind": ("churn", "nbo", "ltv", "rfm"),
}
"""What stands in the place of a parameter."""
WHAT_IF = {"values": {"days_since_last_transaction": 99}}
DRAFT = {"definition": {"key": "with-email", "name": "x", "rule": HAS_EMAIL}, "limit": 10}
POSTS: tuple[tuple[str, Any], ...] = (
    ("/api/v1/customers/ann/what-if", WHAT_IF),
    *(("/api/v1/customers/ann/what-if", {"values": {name: "x"}}) for name in ("email", "birth_date", "sms_consent")),
    ("/api/v1/segments/preview", DRAFT),
    ("/api/v1/segments/check", DRAFT),
    ("/api/v1/segments/diff", DRAFT),
    *((f"/api/v1/predictions/{kind}", {"customer_ids": ["ann"]}) for kind in VALUES["kind"]),
    *((f"/api/loyalty/v1/dwh/ml/{kind}/", {"customer_id": "ann"}) for kind in ("nbo", "churn", "rfm")),
)


def write_quoting_definitions(folder: Path) -> Path:
    """Write campaigns whose messages and refusals quote personal columns, and a segment whose rule reads them."""
    write_definitions(folder)
    for key, rule in (("lapsing", LAPSED), ("with-email", HAS_EMAIL)):
        write_json(folder / "segments" / f"{key}.json", {"key": key, "name": key, "rule": rule})
    for key, (channel, message) in MESSAGES.items():
        about = {"key": key, "name": key, "segment": "lapsing", "launch": "on_enter", "offers": [2]}
        write_json(folder / "campaigns" / f"{key}.json", {**about, "channels": [channel], "message": message})
    return folder


@pytest.fixture(scope="module")
def quoting(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A deployment that has decided about a customer by the worker's own steps, and has a dead letter of them."""
    folder = write_quoting_definitions(tmp_path_factory.mktemp("definitions"))
    place = {**environment, "HOLDFAST_DEFINITIONS_DIR": str(folder), "HOLDFAST_PERSONAL_COLUMNS": PERSONAL}
    with psycopg.connect(place["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute("ALTER TABLE customer_features_view ADD sms_consent text")
        warehouse.execute(
            "INSERT INTO customer_features_view VALUES ('ann', 90, 100, 4, 25, 100, true, 'email', %s, %s, %s)",
            [f"{MARKER}@example.org", BORN, f"{MARKER} says"],
        )
    asyncio.run(decide(place))
    return place


async def decide(place: Mapping[str, str]) -> None:
    """Decide about the customer once, and store decisions, their messages and a dead letter."""
    settings = load_settings(**place)
    definitions = read_definitions(settings)
    ledger = PostgresLedger(settings.ledger_url)
    await ledger.open()
    await ledger.activate(definitions.segments, definitions.campaigns, at=AT - timedelta(days=2))
    for each in definitions.segments:
        await ledger.set_mode(each, "emit", at=AT - timedelta(days=1), by="test", why="test")
    epoch = await ledger.claim(0)
    found = await asyncio.to_thread(find_what_if, settings, "ann", values={}, nulls=(), at=AT)
    assert {each.reason for each in found.decisions} >= {"message_failed", "unreadable_consent", "entered_segment"}
    letter = dead_letter(describe_poison(written(), ValueError(f"could not convert {MARKER}")))
    changes = BatchChanges(evaluated=["ann"], decisions=found.decisions, messages=[*outgoing(found.decisions), letter])
    await ledger.commit(changes, owners={0: epoch})
    await ledger.close()


def written() -> Arrived:
    """Return a record whose value and headers have personal columns, not all written as they are."""
    content = {"id": "e", "before": {"Email": MARKER}, "rows": [{"EMAIL": MARKER, "birth_date": BORN}], "text": MARKER}
    return Arrived(value=json.dumps(content).encode(), partition=0, key=b"ann", headers=[("Email", MARKER.encode())])


@pytest.fixture(scope="module")
def address(quoting: Mapping[str, str]) -> Iterator[str]:
    """The address of its console."""
    with serve_console(quoting, HOLDFAST_CONSOLE_RATE_PER_MINUTE="0") as served:
        yield served


@pytest.fixture(scope="module")
def paths(quoting: Mapping[str, str]) -> list[str]:
    """Every address that is read, with the customer, the campaigns and the letter in the place of the parameters."""
    with psycopg.connect(quoting["HOLDFAST_LEDGER_URL"]) as ledger:
        letters = tuple(row[0] for row in ledger.execute("SELECT letter_id FROM dead_letter"))
    found = []
    for name in list_addresses(quoting):
        method, _, path = name.partition(" ")
        if method == "GET" and path != "/sign-out":
            found += fill(path, {**VALUES, "letter_id": tuple(quote(each, safe="") for each in letters)})
    return found


def fill(path: str, values: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield a path with each combination of values, and with each of its queries."""
    names = re.findall(r"{(\w+)(?::path)?}", path)
    for chosen in product(*(values.get(name, ("x",)) for name in names)):
        filled = path
        for cell in chosen:
            filled = re.sub(r"{[^}]*}", cell, filled, count=1)
        yield from (f"{filled}?{query}" for query in QUERIES.get(path, ()))
        yield filled


def read(client: httpx.Client, path: str) -> str:
    """Return an answer; of a stream, the events that were missed."""
    if not path.endswith("/stream"):
        return client.get(path).text
    lines = []
    with client.stream("GET", path, headers={"Last-Event-ID": "0"}) as answer:
        for line in answer.iter_lines():
            lines.append(line)
            if answer.status_code != 200 or "alerts" in path or len(lines) > 3 * len(MESSAGES):
                break
    return "\n".join(lines)


def collect(address: str, key: str, paths: list[str]) -> dict[str, str]:
    """Return all that somebody is told, by address."""
    with httpx.Client(base_url=address, headers=bearer(key), timeout=30) as client:
        told = {path: read(client, path) for path in paths}
        return told | {f"{path} {body}": client.post(path, json=body).text for path, body in POSTS}


def quotes(text: str) -> bool:
    """Return whether a text tells what is personal."""
    return MARKER in text.lower() or BORN in text or BIRTH_YEAR.search(text) is not None


@pytest.mark.parametrize("role", BLIND)
def test_no_answer_quotes_a_personal_column(address: str, keys: Mapping[str, str], paths: list[str], role: str) -> None:
    told = collect(address, keys[role], paths)
    assert [where for where, text in told.items() if quotes(text)] == []


def test_care_reads_what_others_do_not(address: str, keys: Mapping[str, str], paths: list[str]) -> None:
    """So that the test above looks where it can be seen."""
    told = collect(address, keys["care"], paths)
    seen = {where for where, text in told.items() if quotes(text)}
    assert seen >= {
        "/customers/ann",
        "/live",
        "/api/v1/customers/ann/facts",
        "/api/v1/customers/ann/explanation",
        "/api/v1/customers/ann/timeline",
        "/api/v1/decisions/stream",
        "/campaigns/greets/messages",
        "/campaigns/fails/decided?outcome=withheld&reason=message_failed",
        "/campaigns/unreadable/decided?outcome=withheld&reason=unreadable_consent",
        f"/api/v1/customers/ann/what-if {WHAT_IF}",
    }


def test_an_admin_reads_letters_whole(address: str, keys: Mapping[str, str], paths: list[str]) -> None:
    letters = [path for path in paths if "dead-letters/" in path]
    told = collect(address, keys["admin"], letters)
    assert all(quotes(told[path]) for path in letters)
    assert len(letters) == 2


@pytest.mark.usefixtures("quoting")
def test_the_audit_log_names_no_values(accounts: PostgresAccounts) -> None:
    assert not any(quotes(str(each)) for each in accounts.list_audit(before=None, limit=10_000))
