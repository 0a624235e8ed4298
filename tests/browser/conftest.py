"""A browser, and a place to look at with it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.journey.workplace import lend_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or one with another name; tests are not skipped without it.

    Of one module: meanwhile an event loop runs in this thread, in which no other test could run its own.
    """
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "the tests of the console need Chromium; install it: apt-get install chromium"
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace of one module's tests, whose console waits for its services as long as a busy machine needs."""
    with lend_place(endpoints, tmp_path_factory.mktemp("console"), {"HOLDFAST_CONSOLE_PATIENCE_S": "30"}) as lent:
        yield lent
