"""A marketer's working day in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from playwright.sync_api import expect

from console.use_cases.definition_edits import import_definitions
from streams.settings import load_settings
from tests.browser.visitor import visit
from tests.journey.workplace import PARTITIONS, SCHEMA, campaign, write_definitions, write_json
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, Route

    from tests.browser.visitor import Visitor
    from tests.journey.workplace import Workplace

PASSWORD = "correct horse battery"  # noqa: S105 - of a test
SIZES = """
    INSERT INTO segment_size
    SELECT segment, date_trunc('hour', now() - n * interval '1 hour', 'UTC'), 40 + 10 * sin(n / 50.0) + n % 24 / 4
      FROM unnest(ARRAY['lapsing', 'big-spenders']) AS s (segment), generate_series(1, 24 * 40) AS n
     WHERE n NOT BETWEEN 200 AND 300
    ON CONFLICT DO NOTHING RETURNING segment
"""
"""Of forty days, in four of which no worker ran."""
LAPSED = "lapsed <b>one</b>"
OPTED_OUT = "opted/out"


@pytest.fixture(scope="module")
def console(place: Workplace) -> Iterator[str]:
    """The address of a console whose definitions are in the ledger, where a worker has decided.

    One customer lapsed and was contacted, one is without consent, and one has not bought for 40 days.
    """
    folder = write_definitions(place.folder / "definitions")
    write_json(
        folder / "campaigns" / "win-back.json", campaign("win-back", "lapsing", "on_enter") | {"cooldown_days": 30}
    )
    write_json(folder / "campaigns" / "limits.json", [{"key": "weekly", "contacts": 1, "days": 7}])
    place.environment = {**place.environment, "HOLDFAST_DEFINITIONS_DIR": str(folder)}
    place.do("topics", "create", "--partitions", str(PARTITIONS))
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(SCHEMA)
    place.set_customers([LAPSED, OPTED_OUT, *(f"active {number}" for number in range(8))], days=5)
    worker = place.start_worker()
    place.update(LAPSED, OPTED_OUT)
    place.set_customer(LAPSED, days=90, revenue=2_000)
    place.set_customer(OPTED_OUT, days=90, consent=False)
    place.set_customer("active 0", days=40)
    place.update(LAPSED, OPTED_OUT, "active 0")
    worker.stop()
    place.ask_ledger(SIZES)
    place.ask_ledger("UPDATE segment_activation SET activated_at = activated_at - interval '5 days' RETURNING 1")
    import_definitions(load_settings(**place.environment), folder, by="marketer", why="to edit them in the console")
    place.environment = {**place.environment, "HOLDFAST_DEFINITIONS": "ledger"}
    place.do("console", "accounts", "add", "marketer", "--role", "marketer", "--password", PASSWORD)
    with serve_console(place.environment) as address:
        yield address


def backtest_draft(visitor: Visitor, name: str) -> None:
    """Backtest what is in the form over the usual period, and return when its page says what came of it."""
    visitor.page.get_by_role("button", name="Backtest this draft").click()
    visitor.page.get_by_role("region", name=name).wait_for()
    visitor.page.get_by_role("heading", name="Result").wait_for()


def sign_in(page: Page) -> None:
    page.get_by_label("Name").fill("marketer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_marketer_sees_how_many_more_a_draft_would_have_contacted_and_goes_on_with_it(
    console: str, chromium: Browser
) -> None:
    with visit(chromium, console) as visitor:
        sign_in(visitor.go("/segments/lapsing/edit"))
        page = visitor.page
        value = page.get_by_label("value of condition r", exact=True)
        value.fill("thirty")
        page.get_by_role("button", name="Backtest this draft").click()
        page.get_by_role("alert").first.wait_for()
        value.fill("30")
        backtest_draft(visitor, "Draft of segment lapsing")
        page.get_by_text("It would have sent 2 contacts where 1 were sent").wait_for()
        visitor.look("draft-backtest-1280")
        page.set_viewport_size({"width": 400, "height": 900})
        page.emulate_media(color_scheme="dark")
        visitor.look("draft-backtest-dark-400")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.get_by_role("link", name="Edit this draft").click()
        expect(value).to_have_value("30")
        page.get_by_role("button", name="Show who enters and leaves").click()
        page.get_by_role("heading", name="1 will enter, 0 leave").wait_for()
        page.get_by_label("Reason").fill("more of them")
        page.get_by_role("button", name="Save and activate").click()
        page.get_by_text("more of them").wait_for()
        page.get_by_text("is more than 30").first.wait_for()


def test_a_marketer_builds_a_segment_and_sees_whom_it_changes(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        sign_in(visitor.go("/segments"))
        page = visitor.page
        page.get_by_role("heading", name="Segments").wait_for()
        expect(page.get_by_role("img", name="Members from")).to_have_count(2)
        look_everywhere(visitor, "segments")
        page.get_by_role("link", name="lapsing").first.click()
        page.get_by_role("img", name="Members from").wait_for()
        look_everywhere(visitor, "segment")
        page.get_by_role("link", name="Edit").click()
        # The rule is one condition; the button puts it into a group with a new one.
        page.locator("#group-r").click()
        page.get_by_label("Fact of condition r-1-0").select_option("total_revenue")
        page.get_by_label("Comparison of condition r-1-0").select_option(">=")
        page.get_by_label("value of condition r-1-0", exact=True).fill("1000")
        page.locator("#add-r-1").click()
        page.get_by_label("Fact of condition r-1-1").select_option("preferred_channel")
        page.get_by_label("value of condition r-1-1", exact=True).fill("post")
        page.get_by_role("region", name="Count").get_by_text("1 of 10 customers").wait_for()
        visitor.look("builder-1280")
        page.set_viewport_size({"width": 400, "height": 900})
        visitor.look("builder-400")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.get_by_role("button", name="Show who enters and leaves").click()
        page.get_by_role("heading", name="0 will enter, 1 leave").wait_for()
        page.get_by_label("Reason").fill("only those who are worth it")
        visitor.look("effect-1280")
        page.get_by_role("button", name="Save and activate").click()
        page.get_by_text("total_revenue is at least 1000").wait_for()
        page.get_by_text("only those who are worth it").wait_for()
        visitor.look("segment-saved-1280")


def test_a_marketer_adds_an_exit_rule_and_removes_it_again(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        sign_in(visitor.go("/segments/big-spenders/edit"))
        page = visitor.page
        page.get_by_role("heading", name="When a member leaves").wait_for()
        page.locator("#add-x").click()
        page.get_by_label("Fact of condition x-0").select_option("total_revenue")
        page.get_by_label("Comparison of condition x-0").select_option("<")
        page.get_by_label("value of condition x-0", exact=True).fill("little")
        page.locator("#wrong-x-0").get_by_text("'little' is no number").wait_for()
        page.get_by_label("value of condition x-0", exact=True).fill("500")
        page.get_by_text("Those whom only the exit rule keeps in are not counted").wait_for()
        look_everywhere(visitor, "builder-exit-rule")
        save(page, "a big spender stays one for longer")
        page.get_by_text("A member leaves when that fails and this holds").wait_for()
        page.get_by_text("total_revenue is less than 500").wait_for()
        page.get_by_role("link", name="Edit").click()
        expect(page.get_by_label("value of condition x-0", exact=True)).to_have_value("500")
        page.get_by_role("button", name="Remove condition x-0").click()
        page.get_by_text("As soon as the rule above fails").wait_for()
        save(page, "no longer")
        page.get_by_text("no longer").wait_for()
        expect(page.get_by_text("A member leaves when that fails")).to_have_count(0)


def test_a_marketer_looks_at_a_campaign_and_stops_it(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        sign_in(visitor.go("/campaigns"))
        page = visitor.page
        page.get_by_role("heading", name="Campaigns").wait_for()
        visitor.look("campaigns-1280")
        page.get_by_role("link", name="Performance of win-back").click()
        page.get_by_role("heading", name="Who was not contacted, and why").wait_for()
        caps = page.get_by_role("region", name="Caps used")
        expect(caps.get_by_role("row", name="cooldown of 30 days 1 1")).to_have_count(1)
        expect(caps.get_by_role("row", name="limit weekly")).to_have_count(1)
        look_everywhere(visitor, "campaign-performance")
        page.set_viewport_size({"width": 400, "height": 900})
        page.get_by_role("link", name="no consent for any channel").click()
        page.get_by_role("link", name=OPTED_OUT).wait_for()
        visitor.look("campaign-decided-400")
        page.get_by_role("link", name="win-back").click()
        page.get_by_role("link", name="Preview messages").click()
        page.get_by_role("heading", name=f"Customer {LAPSED}").wait_for()
        visitor.look("campaign-messages-400")
        page.get_by_role("link", name="win-back").click()
        page.get_by_label("Reason").fill("the offer is sold out")
        page.get_by_role("button", name="Stop the campaign").click()
        page.get_by_text("by marketer: the offer is sold out").wait_for()
        visitor.look("campaign-stopped-400")


def test_a_marketer_launches_a_campaign_after_the_count(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        sign_in(visitor.go("/campaigns/thank-you"))
        page = visitor.page
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Launch to 1 member").click()
        page.get_by_text("asked for 1 member of").wait_for(timeout=60_000)
        visitor.look("launch-job-1280")
        page.get_by_role("link", name="thank-you").click()
        page.get_by_text("asked for 1 member on").wait_for()
        visitor.look("campaign-launched-1280")


def test_a_marketer_creates_a_campaign_by_its_form_and_launches_it(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        sign_in(visitor.go("/campaigns"))
        page = visitor.page
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("link", name="New campaign").click()
        page.get_by_text("Still to fill in").wait_for()
        visitor.look("campaign-form-empty-1280")
        page.locator("#key-c").fill("spring")
        page.locator("#name-c").fill("Spring")
        page.locator("#segment-c").select_option("big-spenders")
        page.locator("#launch-c").select_option("by_operator")
        page.wait_for_load_state("networkidle")
        page.get_by_label("Channel 1").select_option("email")
        page.get_by_label("Channel 2").wait_for()
        page.get_by_label("Offer 1").select_option("1")
        page.get_by_label("Offer 2").wait_for()
        page.get_by_label("Message 1", exact=True).fill("Spring: {{ offer.nam }}")
        page.locator("#cooldown_days-c").fill("soon")
        page.get_by_text("an offer has no 'nam' for messages").wait_for()
        page.get_by_text("value 'soon'").wait_for()
        visitor.look("campaign-form-problems-1280")
        page.get_by_label("Message 1", exact=True).fill("Spring is here: {{ offer.name }}")
        page.locator("#cooldown_days-c").fill("30")
        page.get_by_role("button", name="+ Subject").click()
        page.get_by_label("Subject 1", exact=True).fill("For you: {{ offer.name }}")
        preview = page.get_by_role("region", name="Preview")
        preview.get_by_text("Spring is here").wait_for()
        preview.get_by_text("For you").wait_for()
        visitor.look("campaign-form-1280")
        page.set_viewport_size({"width": 400, "height": 900})
        visitor.look("campaign-form-400")
        page.emulate_media(color_scheme="dark")
        visitor.look("campaign-form-dark-400")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 900})
        backtest_draft(visitor, "Draft of campaign spring")
        visitor.look("campaign-draft-backtest-1280")
        page.get_by_role("link", name="Edit this draft").click()
        page.get_by_label("Reason", exact=True).fill("spring begins")
        page.get_by_role("button", name="Check it").click()
        page.get_by_text("a launch would ask for 1 member").wait_for()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("spring begins").wait_for()
        # The launch waits until the workers have the version.
        page.get_by_role("button", name="Launch to 1 member").click()
        page.get_by_text("asked for 1 member of").wait_for()


def test_what_is_entered_while_a_slow_answer_is_awaited_is_kept(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        page = start_rule(visitor)
        value = page.get_by_label("value of condition r-0", exact=True)
        answer = hold_answer(page, lambda: page.get_by_label("Comparison of condition r-0").select_option(">="))
        value.fill("1000")
        drawn_before = value.element_handle()
        answer.continue_()
        page.wait_for_function("element => !element.isConnected", arg=drawn_before)
        expect(value).to_have_value("1000")
        expect(page.get_by_label("Comparison of condition r-0")).to_have_value(">=")


def test_a_button_pressed_while_a_slow_answer_is_awaited_is_pressed_after_it(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        page = start_rule(visitor)
        answer = hold_answer(page, lambda: page.get_by_label("Comparison of condition r-0").select_option(">="))
        page.locator("#add-r").click()
        answer.continue_()
        page.get_by_label("Fact of condition r-1").wait_for()
        expect(page.get_by_label("Comparison of condition r-0")).to_have_value(">=")
        expect(page.get_by_label("Fact of condition r-2")).to_have_count(0)


def test_a_button_that_is_drawn_again_while_the_mouse_is_down_is_pressed(console: str, chromium: Browser) -> None:
    with visit(chromium, console) as visitor:
        page = start_rule(visitor)
        button = page.locator("#add-r")
        answer = hold_answer(page, lambda: page.get_by_label("Comparison of condition r-0").select_option(">="))
        drawn_before = button.element_handle()
        button.hover()
        page.mouse.down()
        answer.continue_()
        page.wait_for_function("element => !element.isConnected", arg=drawn_before)
        page.mouse.up()
        page.get_by_label("Fact of condition r-1").wait_for()
        expect(page.get_by_label("Fact of condition r-2")).to_have_count(0)


def look_everywhere(visitor: Visitor, name: str) -> None:
    """Look at a page on a wide and on a narrow screen, light and dark."""
    for scheme in ("dark", "light"):
        visitor.page.emulate_media(color_scheme=scheme)
        for width in (400, 1280):
            visitor.page.set_viewport_size({"width": width, "height": 900})
            visitor.look(f"{name}-{width}" if scheme == "light" else f"{name}-dark-{width}")


def save(page: Page, why: str) -> None:
    """Look at the effect of an edit, and save it."""
    page.get_by_role("button", name="Show who enters and leaves").click()
    page.get_by_label("Reason").fill(why)
    page.get_by_role("button", name="Save and activate").click()


def start_rule(visitor: Visitor) -> Page:
    """Return the builder of a new segment with one condition."""
    sign_in(visitor.go("/segments/_new"))
    page = visitor.page
    page.locator("#add-r").click()
    page.get_by_label("Fact of condition r-0").wait_for()
    page.get_by_label("Fact of condition r-0").select_option("total_revenue")
    # What is known of the fact is drawn with the answer: the next request is not for this change, too.
    page.locator("#part-r-0 .hint").wait_for()
    return page


def hold_answer(page: Page, ask: Callable[[], object]) -> Route:
    """Return the request that an action makes; it is answered when the caller lets it."""
    held: list[Route] = []
    page.route("**/segments/_new", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/segments/_new"):
        ask()
    while not held:
        page.wait_for_timeout(10)
    return held[0]
