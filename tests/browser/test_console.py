"""The console on a place where a worker has decided, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
