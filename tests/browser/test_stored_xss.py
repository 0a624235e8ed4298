"""Scripts that customers, producers and colleagues store wherever they can: no page runs one, all show the text."""

from __future__ import annotations

import json
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import httpx
import psycopg
import pytest

from console.web.links import customer_address
from tests.browser.visitor import visit
from tests.journey.workplace import PARTITIONS, SCHEMA, write_definitions, write_json
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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


RULES = {f"{name}:{root}": text for root in "rx" for name, text in (("kind", "json"), ("json", payload("form")))}
FORMS: Mapping[str, Mapping[str, str]] = {
    "/segments/_count": {"key": "k", "name": payload("form"), **RULES},
    "/segments/_new": {
        **{name: payload("form") for name in ("key", "name", "description", "why", "base")},
        **RULES,
        "do": "compare",
    },
    "/access/accounts": {"name": payload("form"), "role": "viewer"},
    "/access/accounts/role": {"name": payload("form"), "role": "viewer"},
    "/access/keys": {"name": payload("form"), "days": "1"},
    "/access/keys/revoke": {"key_id": payload("form")},
    "/care/feedback": {"customer_id": CUSTOMER, "kind": "always_vip", "why": payload("form")},
    "/care/forget": {"customer_id": CUSTOMER, "confirm": payload("form"), "why": payload("form")},
    "/campaigns/win-back/stop": {"why": payload("stopped")},
    "/operations/dead-letters/requeue": {name: payload("form") for name in ("letter", "reason", "topic", "customer")},
    "/operations/dead-letters/discard": {"letter": payload("form"), "why": payload("form")},
    "/sign-in": {"name": payload("form")[:200], "password": "x", "next": payload("form")},
}
"""What forms send, by address."""
READ_AFTER = ("/operations", "/operations/audit", "/operations/dead-letters", "/live", "/campaigns/win-back", "/access")
"""Pages that show what the forms have stored."""
INJECTED = ("<img data-injected", "<b data-injected")


def test_no_form_gives_back_or_stores_what_runs(hostile: Workplace) -> None:
    """Answers to forms, pages that show what they stored, and the subjects and reasons in the audit log."""
    with (
        serve_console(hostile.environment, HOLDFAST_CONSOLE_ACCESS="open") as console,
        httpx.Client(base_url=console, timeout=60) as client,
    ):
        token = client.get("/access").text.partition('name="csrf_token" value="')[2].partition('"')[0]
        answers = {path: client.post(path, data={**form, "csrf_token": token}) for path, form in FORMS.items()}
        answers |= {f"{path} after": client.get(path) for path in READ_AFTER}
    assert [path for path, each in answers.items() if any(mark in each.text for mark in INJECTED)] == []
    assert [path for path, each in answers.items() if each.status_code >= 500] == []
    for path in ("/operations/audit", "/campaigns/win-back"):
        assert payload("stopped")[:BEGINNING] in unescape(answers[f"{path} after"].text)


def test_what_the_api_says_of_it_is_no_page(hostile: Workplace) -> None:
    """A browser that opens an answer of the API shows it as text, whatever is in it."""
    customer = quote(CUSTOMER, safe="")
    paths = [f"/customers/{customer}/{part}" for part in ("facts", "explanation", "timeline")]
    paths += [
        "/segments",
        "/campaigns",
        "/dead-letters?status=all",
        "/audit",
        f"/campaigns/{customer}",
        "/alerts/stream",
    ]
    with (
        serve_console(hostile.environment, HOLDFAST_CONSOLE_ACCESS="open") as console,
        httpx.Client(base_url=f"{console}/api/v1", timeout=60) as client,
    ):
        for path in paths:
            with client.stream("GET", path) as answer:
                kind = answer.headers["Content-Type"].partition(";")[0]
                assert kind in {"application/json", "application/problem+json", "text/event-stream"}, path
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


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
