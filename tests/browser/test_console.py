"""The console on a place where a worker has decided, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from tests.browser.conftest import serve_console, visit
from tests.journey.workplace import PARTITIONS, SCHEMA, write_definitions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.journey.workplace import Workplace

LAPSED = "lapsed <b>one</b>"
PASSWORD = "correct horse battery"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def decided(place: Workplace) -> Workplace:
    """A place where one customer has been contacted, and another was not."""
    environment = place.environment | {"HOLDFAST_DEFINITIONS_DIR": str(write_definitions(place.folder / "definitions"))}
    place.environment = environment
    place.do("ledger", "migrate")
    place.do("topics", "create", "--partitions", str(PARTITIONS))
    with psycopg.connect(environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(SCHEMA)
    place.set_customers([LAPSED, "active"], days=5)
    worker = place.start_worker()
    place.update(LAPSED, "active")
    place.settle()
    place.set_customer(LAPSED, days=90)
    place.update(LAPSED)
    place.settle()
    worker.stop()
    return place


@pytest.fixture(scope="module")
def console(decided: Workplace) -> Iterator[str]:
    """The address of a console with an account of each role; each one's name is the role."""
    for role in ("viewer", "care", "marketer", "operator", "admin"):
        decided.do("console", "accounts", "add", role, "--role", role, "--password", PASSWORD)
    with serve_console(decided.environment) as address:
        yield address


@pytest.mark.parametrize(("width", "dark"), [(1600, False), (400, True)], ids=["wide", "narrow and dark"])
def test_care_sees_why_a_customer_was_contacted(chromium: Browser, console: str, width: int, *, dark: bool) -> None:
    with visit(chromium, console, width=width, dark=dark) as visitor:
        page = visitor.go("/customers")
        visitor.look(f"sign-in-{width}")
        page.get_by_label("Name").fill("care")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Customer id").fill(LAPSED)
        page.get_by_role("button", name="Show").click()
        page.get_by_role("heading", name=f"Customer {LAPSED}").wait_for()
        assert "win-back: contacted" in page.get_by_role("main").inner_text()
        visitor.look(f"customer-{width}")
        page.get_by_role("link", name="Overview").click()
        page.get_by_role("heading", name="Overview").wait_for()
        visitor.look(f"overview-{width}")


@pytest.mark.parametrize("width", [1280, 400])
def test_an_admin_manages_accounts_and_keys(chromium: Browser, console: str, width: int) -> None:
    """From the account of a program to its key, which works until it is revoked."""
    program, page_of = f"crm-{width}", "/access"
    with visit(chromium, console, width=width, dark=width < 1280) as visitor:
        page = visitor.go(page_of)
        page.get_by_label("Name").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Name").fill(program)
        page.get_by_role("button", name="Add account").click()
        page.get_by_label(f"Role of {program}").select_option("care")
        page.get_by_role("button", name=f"Change the role of {program}").click()
        page.get_by_label("Account", exact=True).select_option(program)
        page.get_by_role("button", name="Add key").click()
        key = page.get_by_role("status").locator("code").inner_text()
        visitor.look(f"access-{width}")
        assert try_key(console, key) == 404
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("row", name=program).get_by_role("button", name="Revoke").click()
        page.get_by_text("revoked 2").first.wait_for()
        assert try_key(console, key) == 401
        assert key not in page.content()


def try_key(console: str, key: str) -> int:
    """Return the status of an answer about a customer who does not exist."""
    address = f"{console}/api/v1/customers/nobody/explanation"
    return httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=30).status_code
