"""An operator's working day: what went wrong, why, and what they do about it, without a terminal."""

from __future__ import annotations

import shutil
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests.browser.visitor import SCREENSHOTS, visit
from tests.journey.test_promotion import COLUMNS
from tests.journey.workplace import PARTITIONS, SCHEMA, wait_until, write_definitions
from tests.model_versions import SHIPPED, add_copy
from tests.served_console import serve_console
from tests.synthetic_runs import evidence, manifest
from training.report.html import render_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

    from playwright.sync_api import Browser

    from tests.browser.visitor import Visitor
    from tests.journey.workplace import Workplace

PASSWORD = "correct horse battery"  # noqa: S105 - of a test
HOSTILE = """
<p id="end">the end</p><img src="/api/v1/status"><img src=x onerror="document.title = 'hacked'">
<script>document.title = "hacked " + document.cookie; fetch("/api/v1/status")</script>
<form action="/sign-out" method="post"><button>Sign out</button></form>"""
"""What a report must not do."""
SECRET = "my secret illness"  # noqa: S105 - what a customer wrote


@pytest.fixture(scope="module")
def troubled(place: Workplace) -> Workplace:
    """A place where a producer has sent two events that cannot be decided."""
    definitions = str(write_definitions(place.folder / "definitions"))
    place.environment = place.environment | {"HOLDFAST_DEFINITIONS_DIR": definitions}
    place.do("topics", "create", "--partitions", str(PARTITIONS))
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(SCHEMA)
        warehouse.execute(COLUMNS)
    place.set_customers(["ann"], days=5)
    worker = place.start_worker()
    bad = b'{"id": "bad", "type": "customer.message", "customer_id": "ann", "text": "' + SECRET.encode() + b'"}'
    place.publish_bytes("conversations", b"ann", bad)
    place.publish_bytes("conversations", b"ann", b"no JSON at all")
    place.update("ann")
    worker.stop()
    place.do("console", "accounts", "add", "olga", "--role", "operator", "--password", PASSWORD)
    return place


@pytest.fixture(scope="module")
def console(troubled: Workplace) -> Iterator[str]:
    """The address of a console that has the shipped models, too."""
    models = troubled.folder / "models"
    shutil.copytree(SHIPPED, models)
    add_copy(models / "churn", "churn-copy")
    report = render_report(manifest("churn"), evidence("churn", rows=300))
    add_copy(models / "churn", "churn-reported", report=report.replace("</body>", f"{HOSTILE}</body>"))
    with serve_console(troubled.environment, HOLDFAST_MODELS_DIR=str(models), ML_MOCK_MODE="false") as address:
        yield address


@pytest.fixture(scope="module")
def api(console: str, troubled: Workplace) -> Iterator[httpx.Client]:
    """A client of the API with an operator's key."""
    key = troubled.do("console", "keys", "add", "olga").split()[-1]
    with httpx.Client(base_url=f"{console}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        yield client


def sign_in(visitor: Visitor, path: str) -> None:
    """Open a page as the operator."""
    page = visitor.go(path)
    page.get_by_label("Name").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_the_api_pages_through_dead_letters_and_counts_before_it_requeues(api: httpx.Client) -> None:
    """With what a customer wrote hidden from an operator."""
    first = api.get("/dead-letters", params={"limit": 1}).json()
    second = api.get("/dead-letters", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    ids = [each["letters"][0]["id"] for each in (first, second)]
    assert (first["matching"], len(set(ids))) == (2, 2)
    shown = [api.get(f"/dead-letters/{each}").json() for each in ids]
    assert all(SECRET not in each["value"] and "hidden" in each["value"] for each in shown)
    counted = api.post("/dead-letters/requeue", json={"all_matching": True, "dry_run": True}).json()
    assert (counted["matching"], counted["sent"]) == (2, [])
    assert api.get("/dead-letters/none").status_code == 404
    assert api.post("/dead-letters/requeue", json={}).status_code == 422
    assert api.get("/dead-letters", params={"reason": "a\x00b"}).status_code == 422


def test_the_api_shows_models_partitions_replays_and_who_looked(api: httpx.Client) -> None:
    models = {each["model"]: each["version"] for each in api.get("/models").json()}
    version = models["churn"]
    detail = api.get(f"/models/churn/versions/{version}").json()
    assert (detail["serves"], {each["passed"] for each in detail["verdicts"]} <= {True, None}) == (True, True)
    assert api.get("/models/churn/comparison", params={"one": version}).status_code == 200
    assert api.get("/models/churn/experiment").json() == {"latest": None, "history": []}
    refused = api.post("/models/churn/experiment/stop", json={"why": "none runs"})
    assert (refused.status_code, refused.json()) == (200, None)
    assert api.get("/models/nothing").status_code == 404
    assert {each["lag"] for each in api.get("/partitions").json()} == {0}
    assert api.get("/replays").json() == []
    assert api.get("/replays/0123abcd").status_code == 404
    audit = api.get("/audit", params={"actor": "olga", "limit": 1}).json()
    assert audit["entries"][0]["actor"] == "olga"


def test_the_api_promotes_a_version_once_and_rolls_it_back(api: httpx.Client) -> None:
    shipped = {each["model"]: each["version"] for each in api.get("/models").json()}["churn"]
    assert api.post("/models/churn/preview", json={"version": "churn-copy"}).json()["moved"] == 0
    wanted, key = {"version": "churn-copy", "why": "it is new"}, {"Idempotency-Key": "promote"}
    first, second = (api.post("/models/churn/promotion", json=wanted, headers=key) for _ in range(2))
    assert (first.json()["line"]["after"], first.json()) == ("churn-copy", second.json())
    assert second.headers["Idempotent-Replayed"] == "true"
    shadow = {"version": shipped, "shadow": True, "why": "to compare"}
    assert api.post("/models/churn/experiment", json=shadow).json()["challenger"] == shipped
    assert api.post("/models/churn/experiment", json=shadow).status_code == 409
    assert api.get("/models/churn/experiment").json()["latest"]["runs"]
    assert api.post("/models/churn/experiment/stop", json={"why": "seen"}).json()["stop_reason"] == "seen"
    assert api.post("/models/churn/rollback", json={"why": "it was worse"}).json()["line"]["after"] == shipped
    assert [each["by"] for each in api.get("/models/churn").json()["history"]][1:] == ["olga", "olga"]


def follow(api: httpx.Client, started: httpx.Response, *, until: tuple[str, ...]) -> dict[str, Any]:
    """Return a job that was started when it is in one of these states."""
    assert started.status_code == 202, started.text
    job: dict[str, Any] = {}

    def is_there() -> bool:
        nonlocal job
        job = api.get(started.headers["Location"].removeprefix("/api/v1")).json()
        return job["state"] in until

    wait_until(is_there)
    return job


JOB_MS = 60_000
OVER = ("done", "failed", "stopped")
PERIOD = {"begin": "2020-01-01", "end": "2100-01-01"}


def test_the_api_runs_a_replay_once_and_shows_the_diff(api: httpx.Client) -> None:
    key = {"Idempotency-Key": "replay"}
    first, second = (api.post("/replays", json={**PERIOD, "customers": ["ann"]}, headers=key) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    job = follow(api, first, until=OVER)
    assert (job["state"], job["error"], job["by"], job["done"]) == ("done", None, "olga", job["total"])
    assert job["subject"] in job["headline"]
    assert set(job["result"]["counts"]) == {"same", "changed", "added", "removed", "unsent"}
    assert "examples" not in job["result"]
    assert api.get("/replays").json() == []
    assert api.get("/jobs", params={"limit": 1}).json()["jobs"][0]["id"] == job["id"]


def test_the_api_runs_a_backtest(api: httpx.Client) -> None:
    job = follow(api, api.post("/backtests", json=PERIOD), until=OVER)
    assert (job["state"], job["error"]) == ("done", None)
    assert job["headline"].startswith("It would have sent 0 contacts")


def test_the_api_refuses_what_is_no_job(api: httpx.Client) -> None:
    for wrong in ({}, {"begin": "2026-01-02", "end": "2026-01-01T00:00Z"}, {"resume": "x"}, {"models": {"a": "../b"}}):
        assert api.post("/replays", json=wrong).status_code == 422
    assert api.post("/segments/none/re-evaluations").status_code == 404
    assert api.get("/jobs/0123456789ab").status_code == 404
    assert api.post("/jobs/0123456789ab/stop").status_code == 404
    failed = follow(api, api.post("/replays", json={"resume": "0123abcd"}), until=OVER)
    assert (failed["state"], "there is no replay '0123abcd'" in failed["error"]) == ("failed", True)


def test_a_job_is_stopped_and_says_how_it_ended_without_its_process_and_its_console(
    api: httpx.Client, troubled: Workplace
) -> None:
    """A re-evaluation of someone whom no worker evaluates, as none runs."""
    troubled.set_customer("bob", days=5)
    address = "/segments/lapsing/re-evaluations"
    stopped = follow(api, api.post(address), until=("running",))
    assert api.post(f"/jobs/{stopped['id']}/stop").status_code == 200
    stopped = follow(api, answer_of(stopped), until=OVER)
    assert (stopped["state"], stopped["stop_requested_by"]) == ("stopped", "olga")
    assert api.post(f"/jobs/{stopped['id']}/stop").status_code == 409

    killed = follow(api, api.post(address), until=("running",))
    wait_until(lambda: find_process(killed) is not None)
    process = find_process(killed)
    assert process is not None
    process.kill()
    killed = follow(api, answer_of(killed), until=OVER)
    assert (killed["state"], "by signal 9" in killed["error"]) == ("failed", True)

    with psycopg.connect(troubled.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute(
            "UPDATE console_job SET state = 'running', runner = 'gone', heartbeat_at = now() - interval '2 min'"
            " WHERE job_id = %s",
            [killed["id"]],
        )
    lost = follow(api, answer_of(killed), until=OVER)
    assert (lost["state"], "said nothing for a minute" in lost["error"]) == ("failed", True)
    with psycopg.connect(troubled.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute("DELETE FROM customer_features_view WHERE customer_id = 'bob'")


def find_process(job: dict[str, Any]) -> BaseProcess | None:
    """Return the process of a job, which the console in this process has started; None before it has."""
    return next((each for each in active_children() if each.name == f"job {job['id']}"), None)


def answer_of(job: dict[str, Any]) -> httpx.Response:
    """Return the answer that a job was started with."""
    return httpx.Response(202, headers={"Location": f"/api/v1/jobs/{job['id']}"})


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)], ids=["wide", "narrow and dark"])
def test_pages_of_operations_can_be_read(chromium: Browser, console: str, width: int, *, dark: bool) -> None:
    with visit(chromium, console, width=width, dark=dark) as visitor:
        sign_in(visitor, "/operations")
        visitor.page.get_by_role("heading", name="Operations").wait_for()
        visitor.look(f"operations-{width}")
        for name in ("Dead letters", "Jobs", "Replays", "Audit log"):
            visitor.page.get_by_role("link", name=name, exact=True).click()
            visitor.page.get_by_role("heading", name=name, level=1).wait_for()
            visitor.look(f"operations-{name.lower().replace(' ', '-')}-{width}")
        visitor.page.get_by_role("link", name="Models").click()
        visitor.page.get_by_role("heading", name="Models").wait_for()
        visitor.look(f"models-{width}")
        visitor.page.get_by_role("link", name="churn", exact=True).click()
        visitor.page.get_by_role("heading", name="churn", exact=True).wait_for()
        visitor.look(f"model-{width}")
        visitor.page.get_by_role("link", name="churn-").first.click()
        visitor.page.get_by_role("heading", name="Gates").wait_for()
        assert "passed" in visitor.page.get_by_role("main").inner_text()
        visitor.look(f"model-version-{width}")


def test_a_report_of_a_training_is_shown_without_its_scripts(chromium: Browser, console: str) -> None:
    with visit(chromium, console) as visitor:
        page, answered = visitor.page, list[str]()
        sign_in(visitor, "/models/churn/versions/churn-reported")
        page.get_by_text("Model card", exact=True).click()
        page.get_by_text("# Model card: churn").wait_for()
        visitor.look("model-card-1280")
        page.on("response", lambda response: answered.append(response.url))
        page.get_by_role("link", name="Report of its training").click()
        page.get_by_text("the end").wait_for()
        # Where scripts are blocked, no promise of an evaluation is ever kept: axe cannot look.
        page.screenshot(path=SCREENSHOTS / "model-report-1280.png", full_page=True)
        heading, button = (page.get_by_role(*each).first.bounding_box() for each in (("heading",), ("button",)))
        assert heading is not None
        assert button is not None
        assert heading["x"] > 50, "its styles leave a margin"
        page.mouse.click(button["x"] + 1, button["y"] + 1)
        assert (answered, page.title().startswith("hacked")) == ([page.url], False)
        assert any("Blocked script execution" in each for each in visitor.problems)
        visitor.problems.clear()
        page.goto(f"{console}/models/churn/versions/churn-copy/report")
        page.get_by_text("churn churn-copy has no report").wait_for()
        visitor.problems.clear()


def test_an_operator_replays_a_period_and_looks_at_a_backtest(chromium: Browser, console: str) -> None:
    with visit(chromium, console) as visitor:
        page = visitor.page
        sign_in(visitor, "/operations")
        page.get_by_role("link", name="Jobs", exact=True).click()
        replay = page.get_by_role("region", name="Replay", exact=True)
        replay.get_by_label("From, UTC").fill("2020-01-01T00:00")
        replay.get_by_label("To, UTC").fill("2100-01-01T00:00")
        replay.get_by_label("Keep its decisions").check()
        replay.get_by_role("button", name="Start the replay").click()
        page.get_by_role("heading", name="Result").wait_for(timeout=JOB_MS)
        visitor.look("job-1280")
        page.set_viewport_size({"width": 400, "height": 900})
        visitor.look("job-400")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.get_by_role("link", name="Compare its decisions").click()
        page.get_by_role("heading", name="Replay").wait_for()
        visitor.look("replay-1280")
        page.get_by_role("link", name="Replays", exact=True).click()
        page.get_by_role("link", name="Jobs", exact=True).click()
        backtest = page.get_by_role("region", name="Backtest", exact=True)
        backtest.get_by_label("From, UTC").fill("2020-01-01T00:00")
        backtest.get_by_label("To, UTC").fill("2100-01-01T00:00")
        backtest.get_by_role("button", name="Start the backtest").click()
        page.get_by_role("heading", name="Result").wait_for(timeout=JOB_MS)
        visitor.look("job-backtest-1280")


def test_an_operators_working_day(chromium: Browser, console: str) -> None:
    """From a dead letter and its reason to its requeue, a model promoted, and a campaign stopped and resumed."""
    with visit(chromium, console) as visitor:
        page = visitor.page
        page.on("dialog", lambda dialog: dialog.accept())
        sign_in(visitor, "/operations")
        page.get_by_role("link", name="Dead letters", exact=True).click()
        page.get_by_role("main").get_by_role("row").nth(1).get_by_role("link").click()
        page.get_by_role("heading", name="Content").wait_for()
        visitor.look("dead-letter-1280")
        page.set_viewport_size({"width": 400, "height": 900})
        visitor.look("dead-letter-400")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.get_by_role("link", name="Dead letters", exact=True).click()
        page.get_by_role("button", name="2 letters: requeue").click()
        page.get_by_text("requeued 2").wait_for()
        page.get_by_role("link", name="Audit log").click()
        page.get_by_role("heading", name="Audit log", level=1).wait_for()
        assert "requeue dead letters" in page.get_by_role("main").inner_text()
        visitor.go("/models/churn/versions/churn-copy")
        page.get_by_role("link", name="Preview the promotion").click()
        page.get_by_text("of 1 customers").wait_for()
        visitor.look("model-promotion-1280")
        page.get_by_label("Why").fill("it is new")
        page.get_by_role("button", name="Promote").click()
        page.get_by_role("heading", name="churn", exact=True).wait_for()
        visitor.look("model-promoted-1280")
        assert "churn-copy by olga" in page.get_by_role("main").inner_text()
        visitor.go("/operations")
        for act, state in (("Stop", "stopped"), ("Resume", "runs")):
            page.get_by_text(f"{act} win-back").click()
            page.get_by_label("Why").locator("visible=true").fill("the offer is wrong")
            page.get_by_role("button", name=f"{act} campaign").locator("visible=true").click()
            line = page.locator("#campaigns + ul > li").filter(has_text="win-back")
            line.get_by_text(state, exact=True).wait_for()
