"""Scripts that customers, producers and colleagues store wherever they can: no page runs one, all show the text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from console.web.links import customer_address
from tests.browser.visitor import visit
from tests.journey.workplace import PARTITIONS, SCHEMA, write_definitions, write_json
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.browser.visitor import Visitor
    from tests.journey.workplace import Workplace

MOST_PAGES = 60
BEGINNING = 30
SHOWN = {
    *("customer", "fact", "email", "event", "key", "record", "header", "header-content"),
    *("segments-lapsing-0", "campaigns-win-back-0", "campaigns-offers-0"),
}
"""What the pages show of it."""


def payload(field: str) -> str:
    """Return a text that breaks out of elements, attributes, scripts and templates, and says where it came from."""
    return (
        f"{field}-field \"'></textarea></script><img data-injected src=x onerror=window.hacked=1>"
        "<b data-injected hx-get=/ hx-trigger=load>{{7*7}}${7*7}"
    )


CUSTOMER = payload("customer")


def write_hostile_definitions(folder: Path) -> Path:
    """Write definitions whose names for people are payloads."""
    write_definitions(folder)
    for part in ("segments", "campaigns"):
        for path in (folder / part).glob("*.json"):
            content = json.loads(path.read_text())
            for number, each in enumerate(content if isinstance(content, list) else [content]):
                each["name"] = payload(f"{part}-{path.stem}-{number}")
            write_json(path, content)
    return folder


@pytest.fixture(scope="module")
def hostile(place: Workplace) -> Workplace:
    """A place where everything that others may name is a payload."""
    definitions = write_hostile_definitions(place.folder / "definitions")
    place.environment = place.environment | {"HOLDFAST_DEFINITIONS_DIR": str(definitions)}
    place.do("ledger", "migrate")
    place.do("topics", "create", "--partitions", str(PARTITIONS))
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(SCHEMA)
    place.set_customers([CUSTOMER], days=5)
    worker = place.start_worker()
    place.update(CUSTOMER)
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(
            "UPDATE customer_features_view SET days_since_last_transaction = 90, preferred_channel = %s, email = %s",
            [payload("fact"), payload("email")],
        )
    event = place.event(CUSTOMER) | {"id": payload("event")[:200]}
    message = place.event(CUSTOMER, "message.received", text=payload("message") + " This is terrible, I am angry.")
    place.publish("customer-updates", event)
    place.publish("conversations", message)
    for bad in (
        b"{" + payload("record").encode(),
        json.dumps({"id": payload("kind"), "type": payload("type")}).encode(),
    ):
        headers = [(payload("header"), payload("header-content").encode())]
        place.publish_bytes("customer-updates", payload("key").encode(), bad, headers)
    place.settle()
    worker.stop()
    return place


@pytest.fixture
def visitor(chromium: Browser, hostile: Workplace) -> Iterator[Visitor]:
    """An admin, who may see everything."""
    with serve_console(hostile.environment, HOLDFAST_CONSOLE_ACCESS="open") as console, visit(chromium, console) as one:
        one.page.on("dialog", lambda dialog: one.problems.append(f"a dialog: {dialog.message}"))
        yield one


def test_no_page_runs_what_others_have_stored(visitor: Visitor) -> None:
    said = "".join(text for _, text in crawl(visitor))
    assert {field for field in SHOWN if payload(field)[:BEGINNING] not in said} == set()


def crawl(visitor: Visitor) -> Iterator[tuple[str, str]]:
    """Yield the address and the text of every page that links lead to, each checked to be harmless."""
    waiting, seen = ["/", customer_address(CUSTOMER)], set[str]()
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        page = visitor.go(path)
        assert_harmless(page)
        waiting += find_links(page, visitor.address)
        yield path, page.inner_text("body")


def assert_harmless(page: Page) -> None:
    """Check that no payload has become an element, and none has run."""
    assert page.evaluate("window.hacked") is None, page.url
    assert page.locator("[data-injected]").count() == 0, page.url
    assert "${49}" not in page.inner_text("body"), page.url


def find_links(page: Page, address: str) -> list[str]:
    """Return the addresses within the console that a page links to."""
    found = page.evaluate("Array.from(document.links, each => each.href)")
    within = [urlsplit(each) for each in found if each.startswith(f"{address}/")]
    return [
        each.path + (f"?{each.query}" if each.query else "") for each in within if not each.path.startswith("/api/")
    ]
