"""The working day of customer care, in a real browser: find a customer, see why, try, record a wish, forget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import psycopg
import pytest
from playwright.sync_api import expect

from tests.browser.visitor import visit
from tests.journey.workplace import PARTITIONS, SCHEMA, write_definitions
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Request

    from tests.journey.workplace import Workplace

LAPSED = "lapsed <b>one</b>"
PURCHASES = """
CREATE TABLE purchases AS SELECT * FROM (VALUES ('active', timestamp '2026-01-05'), ('active', '2026-02-05'),
    ('spender', '2026-01-20'), ('spender', '2026-03-20')) AS t (customer_id, purchased_at)
"""
PASSWORD = "correct horse battery"  # noqa: S105 - of a test
NEXT_YEAR = f"{datetime.now(UTC) + timedelta(days=365):%Y-%m-%d}"


@pytest.fixture(scope="module")
def decided(place: Workplace) -> Iterator[Workplace]:
    """A place whose worker has contacted one customer and not another, and goes on."""
    definitions = write_definitions(place.folder / "definitions")
    place.environment = {**place.environment, "HOLDFAST_DEFINITIONS_DIR": str(definitions)}
    place.do("topics", "create", "--partitions", str(PARTITIONS))
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(SCHEMA)
        warehouse.execute(PURCHASES)
    place.set_customers([LAPSED, "active", "later", "spender", "leaving/soon"], days=5)
    place.set_customer("never seen", revenue=2_000)
    worker = place.start_worker()
    place.update(LAPSED, "active", "later", "spender", "leaving/soon")
    place.set_customer(LAPSED, days=90)
    place.update(LAPSED)
    yield place
    worker.stop()


@pytest.fixture(scope="module")
def console(decided: Workplace) -> Iterator[str]:
    """The address of a console with an account of each role; each one's name is the role."""
    for role in ("viewer", "care", "marketer", "operator", "admin"):
        decided.do("console", "accounts", "add", role, "--role", role, "--password", PASSWORD)
    with serve_console(decided.environment) as address:
        yield address


@pytest.fixture(scope="module")
def keys(decided: Workplace, console: str) -> dict[str, str]:
    """An API key of each role."""
    _ = console
    return {role: decided.do("console", "keys", "add", role).split()[0] for role in ("viewer", "care", "marketer")}


def sign_in(page: Page, name: str) -> None:
    """Sign in on the form that the browser shows."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)], ids=["wide", "narrow and dark"])
def test_care_sees_why_a_customer_was_contacted(chromium: Browser, console: str, width: int, *, dark: bool) -> None:
    with visit(chromium, console, width=width, dark=dark) as visitor:
        page = visitor.go("/customers")
        visitor.look(f"sign-in-{width}")
        sign_in(page, "care")
        page.get_by_label("Customer id").fill("laps")
        page.get_by_role("link", name=LAPSED).wait_for()
        visitor.look(f"customers-{width}")
        page.get_by_role("link", name=LAPSED).click()
        page.get_by_role("heading", name=f"Customer {LAPSED}").wait_for()
        assert "win-back: entered lapsing" in page.get_by_role("main").inner_text()
        page.get_by_role("spinbutton", name="Total revenue").fill("2000")
        page.get_by_role("button", name="Show what would be decided").click()
        page.get_by_text("enters big-spenders").first.wait_for()
        visitor.look(f"customer-{width}")
        page.get_by_role("link", name="Overview").click()
        page.get_by_role("heading", name="Overview").wait_for()
        visitor.look(f"overview-{width}")


def test_care_tries_values_on_a_slider_by_keyboard(chromium: Browser, console: str) -> None:
    """The field shows the number, and however fast the slider moves, one request runs at a time."""
    running, most = set[object](), list[int]()

    def note_begin(request: Request) -> None:
        if "what-if?" in request.url:
            running.add(request)
            most.append(len(running))

    with visit(chromium, console) as visitor:
        page = visitor.go("/customers/later")
        sign_in(page, "care")
        page.on("request", note_begin)
        page.on("requestfinished", lambda request: running.discard(request))  # noqa: PLW0108 - no built-in
        slider, field = (page.get_by_role(each, name="Total revenue") for each in ("slider", "spinbutton"))
        slider.focus()
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        page.get_by_text("You changed", exact=True).wait_for()
        page.keyboard.press("End")
        page.get_by_text("enters big-spenders").first.wait_for()
        assert field.input_value() == "2000"
        visitor.look("what-if-sliders")
        field.fill("700")
        assert float(slider.input_value()) == pytest.approx(700, abs=20)
        field.fill("")
        page.get_by_text("You changed no fact").wait_for()
    assert max(most) == 1
    assert len(most) < 10


def test_a_what_if_needs_no_script(console: str, keys: dict[str, str]) -> None:
    with httpx.Client(base_url=console, headers={"Authorization": f"Bearer {keys['care']}"}) as client:
        page = client.get("/customers/spender").text
        assert 'name="fact.total_revenue"' in page
        assert 'type="range" hidden' in page
        assert "big-spenders" in client.get("/care/what-if?customer_id=spender&fact.total_revenue=2000").text


def test_care_records_do_not_contact_and_it_counts(chromium: Browser, console: str, decided: Workplace) -> None:
    with visit(chromium, console) as visitor:
        page = visitor.go("/customers/active")
        sign_in(page, "care")
        page.get_by_label("Last day").fill(NEXT_YEAR)
        page.get_by_label("Why", exact=True).fill("asked on the phone")
        page.get_by_role("button", name="Record").click()
        page.get_by_role("status").wait_for()
        decided.settle()
        page.reload()
        assert "Do not contact until" in page.get_by_role("main").inner_text()
        decided.set_customer("active", days=90)
        decided.update("active")
        page.reload()
        assert "withheld" in page.locator("#decisions + ol").inner_text()
        page.get_by_text("Withdraw", exact=True).first.click()
        page.get_by_label("Why it is withdrawn").fill("changed their mind")
        visitor.look("customer-do-not-contact")
        page.get_by_role("button", name="Withdraw").click()
        page.get_by_role("status").wait_for()
        decided.settle()
        page.reload()
        assert "withdrawn" in page.locator("#care + ul").inner_text()


def test_care_forgets_a_customer(chromium: Browser, console: str) -> None:
    with visit(chromium, console) as visitor:
        page = visitor.go("/customers/leaving%2Fsoon")
        sign_in(page, "care")
        page.get_by_label("Type the customer's id").fill("leaving/soon")
        page.get_by_label("Reason for forgetting").fill("asked by letter")
        page.get_by_role("button", name="Forget").click()
        page.get_by_role("heading", name="Customer forgotten").wait_for()
        visitor.look("customer-forgotten")


def test_a_decision_appears_as_it_is_made(chromium: Browser, console: str, decided: Workplace) -> None:
    with visit(chromium, console) as visitor:
        page = visitor.go("/live")
        sign_in(page, "care")
        page.get_by_text("New ones appear as they come.").wait_for()
        decided.set_customer("later", days=90)
        decided.update("later")
        page.locator("#live-decisions").get_by_role("link", name="later").wait_for()
        visitor.look("live")
        page.get_by_role("link", name="Overview").click()  # ends the streams


@pytest.mark.parametrize("width", [1280, 400])
def test_an_analyst_sees_who_buys_again(chromium: Browser, console: str, width: int) -> None:
    with visit(chromium, console, width=width) as visitor:
        page = visitor.go("/analytics")
        sign_in(page, "marketer")
        page.get_by_role("link", name="2026-01, 2 months later").wait_for()
        expect(page.get_by_text("being computed")).to_have_count(0)
        visitor.look(f"analytics-{width}")
        page.get_by_role("link", name="2026-01, 2 months later").click()
        page.get_by_role("link", name="spender").wait_for()
        visitor.look(f"cohort-{width}")


def test_api_answers_care(console: str, keys: dict[str, str]) -> None:
    with httpx.Client(
        base_url=f"{console}/api/v1", headers={"Authorization": f"Bearer {keys['care']}"}, timeout=30
    ) as client:
        assert client.get("/customers", params={"starts_with": "spend"}).json() == {
            "customer_ids": ["spender"],
            "next_cursor": None,
        }
        assert client.get("/customers/spender/facts").json()["facts"]["email"] == "private@example.org"
        timeline = f"/customers/{quote(LAPSED, safe='')}/timeline"
        first = client.get(timeline, params={"limit": 1}).json()
        rest = client.get(timeline, params={"cursor": first["next_cursor"]}).json()
        everything = client.get(timeline).json()["entries"]
        assert [*first["entries"], *rest["entries"]] == everything
        what_if = client.post("/customers/spender/what-if", json={"values": {"total_revenue": 2000}}).json()
        assert [each["segment"] for each in what_if["memberships"] if each["after"]] == ["big-spenders"]
        said = client.post("/customers/spender/feedback", json={"kind": "always_vip", "why": "a test"})
        assert said.status_code == 202, said.text
        assert client.get("/customers/nobody/facts").status_code == 404
        assert client.get("/customers/x%00y/facts").status_code == 422


def test_api_predicts(console: str, keys: dict[str, str]) -> None:
    with httpx.Client(base_url=console, headers={"Authorization": f"Bearer {keys['care']}"}, timeout=30) as client:
        one = client.get("/api/v1/predictions/churn/customers/spender").json()
        assert one["customer_id"] == "spender"
        many = client.post("/api/v1/predictions/rfm", json={"customer_ids": ["spender", "nobody", "active"]}).json()
        assert [each["customer_id"] for each in many["predictions"]] == ["spender", "active"]
        assert [each["customer_id"] for each in many["problems"]] == ["nobody"]
        segment = client.get("/api/v1/predictions/ltv", params={"segment": "lapsing"}).json()
        assert LAPSED in [each["customer_id"] for each in segment["predictions"]]
        for kind, field in (("nbo", "recommended_offer"), ("churn", "churn_risk"), ("rfm", "segment")):
            found = client.post(f"/api/loyalty/v1/dwh/ml/{kind}/", json={"customer_id": "spender"})
            assert field in found.json(), found.text
        columns = client.get("/api/loyalty/v1/dwh/columns/").json()["columns"]
        assert {"name": "total_revenue", "type": "number"} in columns
        leads = client.post("/api/v1/leads/score", json={"leads": [{"lead_id": "l", "urgency_score": 1}]}).json()
        assert leads["leads"][0]["reasons"]


def test_who_may_not_see_personal_columns_gets_none(console: str, keys: dict[str, str]) -> None:
    with httpx.Client(base_url=console, headers={"Authorization": f"Bearer {keys['marketer']}"}, timeout=30) as client:
        for path in ("facts", "explanation", "timeline"):
            assert "private@example.org" not in client.get(f"/api/v1/customers/spender/{path}").text
        what_if = client.post("/api/v1/customers/spender/what-if", json={"values": {"days_since_last_transaction": 99}})
        assert {each["message"] for each in what_if.json()["decisions"]} == {"hidden"}
        said = client.post("/api/v1/customers/spender/feedback", json={"kind": "always_vip", "why": "a test"})
        assert said.status_code == 403
    with httpx.Client(base_url=console, headers={"Authorization": f"Bearer {keys['viewer']}"}, timeout=30) as client:
        assert client.get("/api/v1/customers/spender/facts").status_code == 403
