"""The page of accounts and keys, as an admin uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.browser.visitor import visit
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.journey.workplace import Workplace

PASSWORD = "correct horse battery"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def console(place: Workplace) -> Iterator[str]:
    """The address of a console with one admin."""
    place.do("console", "accounts", "add", "admin", "--role", "admin", "--password", PASSWORD)
    with serve_console(place.environment) as address:
        yield address


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
        page.get_by_label(f"Role of {program}", exact=True).select_option("care")
        page.get_by_role("button", name=f"Change the role of {program}").click()
        page.get_by_role("combobox", name="Account").select_option(program)
        page.get_by_role("button", name="Add key").click()
        key = page.get_by_role("status").locator("code").inner_text()
        visitor.look(f"access-{width}")
        assert try_key(console, key) != 401
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("row", name=program).get_by_role("button", name="Revoke").click()
        page.get_by_text("revoked 2").first.wait_for()
        assert try_key(console, key) == 401
        assert key not in page.content()


def try_key(console: str, key: str) -> int:
    """Return the status of an answer about a customer who does not exist."""
    address = f"{console}/api/v1/customers/nobody/explanation"
    return httpx.get(address, headers={"Authorization": f"Bearer {key}"}, timeout=30).status_code
