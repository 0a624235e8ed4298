"""The demo that newcomers run first, and the pictures of its console that README.md shows.

`make pictures` runs this, and copies the pictures into docs/pictures.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from playwright.sync_api import expect

from console.demo.publisher import Publisher, message_event
from console.demo.scenario import END
from console.synthetic import Message
from streams.settings import load_settings
from tests.browser.visitor import SCREENSHOTS, visit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Locator, Page

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PICTURE = re.compile(r"!\[([^\]]+)\]\(docs/pictures/([a-z]+)\.png\)")
MOST_BYTES = 150_000
MARGIN = 16
DEMO_S = 400
"""For the demo on a busy machine; it takes a minute on one that has nothing else to do."""
AT_ONCE = 60
"""Customers who write in a second."""
COMPLAINT = "This is terrible service, I am very angry. I want to cancel my account at once."


class Demo:
    """A demo that is kept running.

    Attributes:
        said: what it has printed, as a file.
    """

    def __init__(self, folder: Path) -> None:
        self.said = folder / "demo.log"
        command = (sys.executable, "-m", "console", "demo", "--keep", "--data", str(folder / "data"))
        with self.said.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)

    def wait(self) -> str:
        """Return the address of its console when it is there."""
        deadline = time.monotonic() + DEMO_S
        while "Ctrl-C" not in self.said.read_text() and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
        found = re.search(r"The console: (http://\S+)", self.said.read_text())
        assert found, self.said.read_text()
        return found[1]

    def stop(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that it prints for other terminals."""
        return dict(re.findall(r"export (\w+)='([^']*)'", self.said.read_text()))


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A demo that has played, and runs until the tests end."""
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as folder:
        running = Demo(Path(folder))
        try:
            running.wait()
            yield running
        finally:
            running.stop()


def test_the_demo_finds_its_self_check_to_hold(demo: Demo) -> None:
    assert "Self-check holds: duplicates 0, missing 0" in demo.said.read_text()


def test_the_console_shows_the_demo_as_the_readme_does(demo: Demo, chromium: Browser) -> None:
    """Each page has figures, and an error of a script, or what axe finds, fails."""
    with visit(chromium, demo.wait()) as visitor:
        page = visitor.page
        visitor.go("/analytics")
        cohorts = page.get_by_role("group", name="Cohorts by month")
        assert len(figures_in(cohorts)) > 50
        take(page, "analytics", cohorts)
        visitor.go("/campaigns/promotion-medium-risk/performance")
        page.get_by_role("heading", name="The difference over time").wait_for()
        assert min(figures_in(page.locator(".tile").first)) > 0
        take(page, "performance", page.locator("figure").first)
        visitor.go("/segments/valued-and-slipping/edit")
        counted = page.get_by_role("region", name="Count")
        counted.get_by_text("of 4,372 customers").wait_for()
        assert min(figures_in(counted.locator(".figure"))) > 0
        take(page, "segment", page.get_by_role("button", name="Show who enters and leaves"))
        visitor.go("/live")
        page.locator("#live-alerts a").first.click()
        page.get_by_role("heading", name="Why this risk").wait_for()
        assert page.locator(".reasons li").count() > 0
        take(page, "customer", page.locator(".columns").first)
        with customers_complaining(demo.environment):
            visitor.go("/live")
            rates = page.locator(".tile .figure")
            for rate in (rates.nth(0), rates.nth(1)):
                expect(rate).to_have_text(re.compile(r"[1-9]"))
            take(page, "live", page.locator("#live-decisions li").nth(2))


def test_the_readme_shows_pictures_that_exist_and_are_small() -> None:
    shown = PICTURE.findall(README.read_text(encoding="utf-8"))
    assert {name for _, name in shown} == {"live", "customer", "segment", "performance", "analytics"}
    assert all(len(alternative) > 40 for alternative, _ in shown)
    sizes = {name: (ROOT / "docs" / "pictures" / f"{name}.png").stat().st_size for _, name in shown}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}


def take(page: Page, name: str, until: Locator) -> None:
    """Take a picture of the page from its top to the end of a part."""
    expect(page.locator(".htmx-request")).to_have_count(0)
    box = until.bounding_box()
    assert box is not None
    height = box["y"] + box["height"] + MARGIN
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    part = {"x": 0.0, "y": 0.0, "width": 1280.0, "height": height}
    page.screenshot(path=SCREENSHOTS / f"readme-{name}.png", full_page=True, clip=part)  # type: ignore[arg-type]  # a TypedDict


def figures_in(part: Locator) -> list[float]:
    """Return the numbers that a part of a page shows."""
    return [float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*\.?\d*", part.text_content() or "")]


@contextmanager
def customers_complaining(environment: Mapping[str, str]) -> Iterator[None]:
    """Let customers write that they want to cancel, some each second, on the last evening of the play."""
    settings = load_settings(**environment)
    with psycopg.connect(settings.warehouse_url) as warehouse:
        customers = [each for (each,) in warehouse.execute("SELECT customer_id FROM customers WHERE email_consent")]
    publisher, ended = Publisher(settings), threading.Event()
    evening = datetime.combine(END - timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=20)

    def write() -> None:
        for place in range(0, len(customers), AT_ONCE):
            for each in customers[place : place + AT_ONCE]:
                message = Message(f"evening-{each}", each, "chat", "customer", COMPLAINT, evening)
                publisher.publish("conversations", message_event(message))
            if ended.wait(1):
                return

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield
    finally:
        ended.set()
        writing.join()
        publisher.flush()
