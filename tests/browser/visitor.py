"""Someone with a browser, who notes what is wrong with every page they see."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page

SCREENSHOTS = Path(__file__).parents[2] / "var" / "screenshots"
SERIOUS = {"serious", "critical"}
WAIT_MS = 60_000
"""For what is there in a moment on a machine that has nothing else to do."""
expect.set_options(timeout=WAIT_MS)


@dataclass
class Visitor:
    """Someone with a browser, who notes what is wrong with every page they see."""

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a page of the console."""
        self.page.goto(self.address + path)
        return self.page

    def look(self, name: str) -> None:
        """Keep a picture of the page, and let axe examine it."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        # While a request runs, what it will replace looks otherwise.
        expect(self.page.locator(".htmx-request")).to_have_count(0)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        found = Axe().run(self.page).response["violations"]
        self.problems += [
            f"{name}: {each['help']}: {node['html']}"
            for each in found
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]

    def note(self, message: ConsoleMessage) -> None:
        """Note an error that the browser's console shows."""
        if message.type == "error":
            self.problems.append(f"{self.page.url}: {message.text} {message.location['url']}")


@contextmanager
def visit(browser: Browser, address: str, *, width: int = 1280, dark: bool = False) -> Iterator[Visitor]:
    """Lend a browser without cookies; the block fails where a page had an error or a serious finding of axe."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    visitor = Visitor(page, address)
    page.on("console", visitor.note)
    page.on("pageerror", lambda error: visitor.problems.append(f"{page.url}: {error}"))
    try:
        yield visitor
    finally:
        context.close()
    assert not visitor.problems, "\n".join(visitor.problems)
