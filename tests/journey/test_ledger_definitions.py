"""A worker whose definitions are versions in the ledger, and an editor at the API."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests.journey.test_worker import read_health
from tests.journey.workplace import PARTITIONS, SCHEMA, SEGMENTS, campaign, lend_place, wait_until, write_definitions
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.demo.worker_process import WorkerProcess
    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

LAPSING = {"key": "lapsing", "name": "lapsing", "rule": SEGMENTS["lapsing"]}
LOYAL = {"key": "loyal", "name": "Loyal", "rule": {">": [{"var": "total_revenue"}, 1]}}
V1 = "/api/v1"


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A place whose definitions are in the ledger."""
    folder = tmp_path_factory.mktemp("ledger-definitions")
    with lend_place(endpoints, folder, {"HOLDFAST_DEFINITIONS": "ledger"}) as lent:
        lent.do("topics", "create", "--partitions", str(PARTITIONS))
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute(SCHEMA)
        assert "holdfast definitions import" in lent.holdfast("segments", "list").stderr
        lent.do("definitions", "import", str(write_definitions(folder / "definitions")), "--why", "the first ones")
        yield lent


@pytest.fixture(scope="module")
def worker(place: Workplace) -> Iterator[WorkerProcess]:
    """A worker."""
    with ExitStack() as stack:
        running = place.start_worker()
        stack.callback(running.stop)
        yield running


@pytest.fixture(scope="module")
def api(place: Workplace) -> Iterator[httpx.Client]:
    """A client of the API that everything is allowed to."""
    for role in ("marketer", "viewer"):
        place.do("console", "accounts", "add", role, "--role", role, "--no-password")
    with serve_console(place.environment) as address, httpx.Client(base_url=address, timeout=30) as client:
        key = place.do("console", "keys", "add", "marketer").split()
        client.headers["Authorization"] = f"Bearer {next(each for each in key if each.startswith('hf_'))}"
        yield client


def wait_for_the_worker(place: Workplace) -> None:
    """Return when the worker decides by the latest definitions."""
    ((latest,),) = place.ask_ledger("SELECT max(revision) FROM definition_version")
    lines = (place.folder / "worker-0.log").read_text
    wait_until(
        lambda: any("definitions_reloaded" in each and f'"after": {latest},' in each for each in lines().splitlines())
    )


def save(api: httpx.Client, kind: str, definition: dict[str, Any], **more: Any) -> httpx.Response:
    """Store a version of what is there now."""
    path = f"{V1}/{kind}/{definition['key']}"
    tag = api.get(path).headers["ETag"]
    return api.put(path, json={"definition": definition, "why": "a test", **more}, headers={"If-Match": tag})


@pytest.mark.usefixtures("worker")
def test_a_worker_decides_by_an_edit_within_seconds_and_silently_at_first(place: Workplace, api: httpx.Client) -> None:
    place.set_customers(["before", "after"], days=40)
    place.update("before")
    edited = {**LAPSING, "rule": {">": [{"var": "days_since_last_transaction"}, 30]}}
    assert save(api, "segments", edited).json()["number"] == 2
    wait_for_the_worker(place)
    place.update("before", "after")
    assert place.decisions("before") == place.decisions("after") == [("win-back", "withheld", "first_evaluation")]
    place.set_customers(["before"], days=5)
    place.update("before")
    place.set_customers(["before"], days=40)
    place.update("before")
    first, second = (each.body for each in place.see("decisions") if each.key == b"before")
    assert (second["campaign"], second["outcome"]) == ("win-back", "fired")
    (version,) = {each["version"] for each in api.get(f"{V1}/segments").json()["items"] if each["key"] == "lapsing"}
    assert first["versions"]["segment"] == second["versions"]["segment"] == version


@pytest.mark.usefixtures("worker")
def test_a_new_segment_and_campaign_may_fire_at_once(place: Workplace, api: httpx.Client) -> None:
    body = {"definition": LOYAL, "why": "a test", "mode": "emit"}
    assert api.post(f"{V1}/segments", json=body).status_code == httpx.codes.CREATED
    body = {"definition": campaign("thanks", "loyal", "on_enter"), "why": "a test"}
    assert api.post(f"{V1}/campaigns", json=body).headers["Location"] == f"{V1}/campaigns/thanks"
    wait_for_the_worker(place)
    place.set_customer("new")
    place.update("new")
    assert [(campaign_key, outcome) for campaign_key, outcome, _ in place.decisions("new")] == [("thanks", "fired")]


def test_a_set_that_a_worker_cannot_use_is_refused_and_the_one_before_stays(
    place: Workplace, worker: WorkerProcess, api: httpx.Client
) -> None:
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute(
            "INSERT INTO definition_version SELECT revision + 1000, kind, key, number + 1000, "
            """'{"key": "big-spenders", "name": "b", "rule": {">": [{"var": "gone"}, 1]}}', '', 'eve', '' """
            "FROM definition_version WHERE key = 'big-spenders'"
        )
    wait_until(lambda: any("'gone'" in each for each in read_health(worker)["degraded"]))
    assert save(api, "segments", {**LAPSING, "name": "Lapsing"}).status_code == httpx.codes.UNPROCESSABLE_ENTITY
    good = {"key": "big-spenders", "name": "Big", "rule": SEGMENTS["big-spenders"]}
    assert save(api, "segments", good).status_code == httpx.codes.OK
    wait_until(lambda: not any("'gone'" in each for each in read_health(worker)["degraded"]))


def test_two_editors_never_overwrite_each_other(api: httpx.Client) -> None:
    path = f"{V1}/segments/angry"
    tag = api.get(path).headers["ETag"]
    definition = api.get(path).json()["definition"]
    first, second = ({**definition, "description": each} for each in ("one", "two"))
    unnamed = api.put(path, json={"definition": first, "why": "a test"})
    assert unnamed.status_code == httpx.codes.PRECONDITION_REQUIRED
    headers = {"If-Match": tag}
    assert api.put(path, json={"definition": first, "why": "a test"}, headers=headers).status_code == httpx.codes.OK
    late = api.put(path, json={"definition": second, "why": "a test"}, headers=headers)
    assert (late.status_code, "changed by marketer" in late.json()["detail"]) == (412, True)
    history = api.get(f"{path}/history").json()
    assert [each["definition"]["description"] for each in history["versions"][:-1]] == ["one"]


def test_what_is_wrong_with_a_definition_is_said(api: httpx.Client) -> None:
    unknown = {**LAPSING, "rule": {">": [{"var": "day_since_last_transaction"}, 30]}}
    refused = save(api, "segments", unknown)
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "did you mean 'days_since_last_transaction'" in refused.json()["detail"]
    assert api.post(f"{V1}/segments/check", json={"definition": unknown}).json()["problems"] != []
    assert api.post(f"{V1}/segments/check", json={"definition": LAPSING}).json() == {"problems": [], "notes": []}
    named = api.delete(f"{V1}/segments/angry", params={"why": "x"}, headers={"If-Match": tag_of(api, "segments/angry")})
    assert "names 'angry'" in named.json()["detail"]
    again = api.post(f"{V1}/segments", json={"definition": LAPSING, "why": "again"})
    assert again.status_code == httpx.codes.CONFLICT


def tag_of(api: httpx.Client, path: str) -> str:
    """Return the ETag of a definition."""
    return api.get(f"{V1}/{path}").headers["ETag"]


def test_a_draft_is_counted_and_shown_masked(place: Workplace, api: httpx.Client) -> None:
    place.set_customers(["rich"], revenue=90_000)
    draft = {**LOYAL, "key": "draft", "rule": {"and": [{">": [{"var": "total_revenue"}, 80_000]}, {"var": "email"}]}}
    found = api.post(f"{V1}/segments/preview", json={"definition": draft}).json()
    assert (found["matching"], [each["customer_id"] for each in found["examples"]]) == (1, ["rich"])
    assert found["examples"][0]["facts"]["email"] == "hidden"
    moved = api.post(f"{V1}/segments/diff", json={"definition": draft, "limit": 0}).json()
    assert (moved["entering"]["customers"], moved["leaving"]["customers"]) == (1, 0)


def test_members_come_page_by_page(place: Workplace, api: httpx.Client) -> None:
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute(
            "INSERT INTO membership (customer_id, segment, episode, is_member, entered_at, definition_version) "
            "SELECT id, 'angry', 1, true, now(), 'v' FROM unnest(%s::text[]) AS t (id)",
            [["a/b", "ö", "z"]],
        )
    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor:
        page = api.get(f"{V1}/segments/angry/members", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        cursor = page.json()["next_cursor"]
        pages.append([each["customer_id"] for each in page.json()["items"]])
    assert sorted(chain(*pages)) == ["a/b", "z", "ö"]
    assert len(pages[0]) == 2
    wrong = api.get(f"{V1}/segments/angry/members", params={"cursor": "no cursor"})
    assert wrong.status_code == httpx.codes.UNPROCESSABLE_ENTITY


@pytest.mark.usefixtures("worker")
def test_a_campaign_is_counted_launched_stopped_and_resumed(api: httpx.Client) -> None:
    path = f"{V1}/campaigns/thank-you"
    counted = api.post(f"{path}/launch", json={}).json()
    assert (counted["launch_id"], counted["members"]) == (None, 0)
    assert api.post(f"{path}/stop", json={"why": "a test"}).json()["changed"]
    assert api.post(f"{path}/launch", json={"dry_run": False}).status_code == httpx.codes.CONFLICT
    assert api.post(f"{path}/resume", json={"why": "a test"}).json()["changed"]
    assert api.post(f"{path}/launch", json={"dry_run": False, "launch_id": "one"}).status_code == httpx.codes.ACCEPTED
    assert "headline" in api.get(f"{path}/performance").json()
    assert api.get(f"{V1}/campaigns/nothing").status_code == httpx.codes.NOT_FOUND
    assert api.get(f"{V1}/launches/nothing").status_code == httpx.codes.NOT_FOUND


def test_viewers_read_and_do_not_edit(place: Workplace, api: httpx.Client) -> None:
    words = place.do("console", "keys", "add", "viewer").split()
    headers = {"Authorization": f"Bearer {next(each for each in words if each.startswith('hf_'))}"}
    assert api.get(f"{V1}/segments", headers=headers).json()["editable"]
    assert api.get(f"{V1}/segments/angry/members", headers=headers).status_code == httpx.codes.FORBIDDEN
    body = {"definition": LOYAL, "why": "a test"}
    assert api.post(f"{V1}/segments", json=body, headers=headers).status_code == httpx.codes.FORBIDDEN
    found = api.post(f"{V1}/segments/preview", json={"definition": LOYAL}, headers=headers).json()
    assert (found["matching"] > 0, found["examples"]) == (True, [])


def test_files_are_edited_as_files(place: Workplace, api: httpx.Client) -> None:
    folder = place.folder / "exported"
    place.do("definitions", "export", str(folder))
    settings = {"HOLDFAST_DEFINITIONS": "files", "HOLDFAST_DEFINITIONS_DIR": str(folder)}
    with serve_console({**place.environment, **settings}) as address:
        found = api.get(f"{address}{V1}/segments/angry")
        assert (found.json()["editable"], found.json()["number"]) == (False, None)
        refused = api.put(
            f"{address}{V1}/segments/angry", json={"definition": found.json()["definition"], "why": "a test"}
        )
    assert (refused.status_code, "HOLDFAST_DEFINITIONS=ledger" in refused.json()["detail"]) == (409, True)
    assert "nothing changed" in place.do("definitions", "import", str(folder), "--why", "the same")
