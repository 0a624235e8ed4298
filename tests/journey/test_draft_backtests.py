"""Backtests and replays with drafts and earlier revisions of the definitions, by HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests.journey.test_ledger_definitions import LAPSING, V1, save
from tests.journey.test_replay import moment, publish_now
from tests.journey.workplace import PARTITIONS, SCHEMA, campaign, lend_place, wait_until, write_definitions
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

GONE = [f"gone-{number:02}" for number in range(30)]
QUIET = [f"quiet-{number:02}" for number in range(40)]
OVER = ("done", "failed", "stopped")
NO_BACKTEST = "00000000"


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A place whose definitions are in the ledger: 30 customers lapsed, after 90 days; 40 are silent for 40 days."""
    folder = tmp_path_factory.mktemp("draft-backtests")
    with lend_place(endpoints, folder, {"HOLDFAST_DEFINITIONS": "ledger"}) as lent, ExitStack() as stack:
        lent.do("topics", "create", "--partitions", str(PARTITIONS))
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute(SCHEMA)
        lent.do("definitions", "import", str(write_definitions(folder / "definitions")), "--why", "the first ones")
        stack.callback(lent.start_worker().stop)
        lent.set_customers([*GONE, *QUIET])
        publish_now(lent, [*GONE, *QUIET])
        begin = moment()
        lent.set_customers(GONE, days=90)
        lent.set_customers(QUIET, days=40)
        publish_now(lent, [*GONE, *QUIET])
        lent.environment = {**lent.environment, "BEGIN": begin.isoformat(), "END": moment().isoformat()}
        for role in ("marketer", "operator"):
            lent.do("console", "accounts", "add", role, "--role", role, "--no-password")
        yield lent


@pytest.fixture(scope="module")
def console(place: Workplace) -> Iterator[str]:
    """The address of a console."""
    with serve_console(place.environment) as address:
        yield address


@pytest.fixture(scope="module")
def keys(place: Workplace) -> Mapping[str, Mapping[str, str]]:
    """The headers of each role."""
    made = {role: place.do("console", "keys", "add", role).split() for role in ("marketer", "operator")}
    return {
        role: {"Authorization": f"Bearer {next(each for each in words if each.startswith('hf_'))}"}
        for role, words in made.items()
    }


@pytest.fixture(scope="module")
def marketer(console: str, keys: Mapping[str, Mapping[str, str]]) -> Iterator[httpx.Client]:
    """A marketer at the API."""
    with httpx.Client(base_url=console, headers=keys["marketer"], timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def operator(console: str, keys: Mapping[str, Mapping[str, str]]) -> Iterator[httpx.Client]:
    """An operator at the API."""
    with httpx.Client(base_url=console, headers=keys["operator"], timeout=30) as client:
        yield client


def lapsing_after(days: int) -> dict[str, Any]:
    """Return a draft of the segment whose members have not bought for longer."""
    rule = {">": [{"var": "days_since_last_transaction"}, days]}
    return {"kind": "segment", "key": "lapsing", "content": {**LAPSING, "rule": rule}}


def start(client: httpx.Client, place: Workplace, what: str = "backtests", **more: Any) -> httpx.Response:
    """Return the answer to somebody who starts a job over the recorded period."""
    period = {"begin": place.environment["BEGIN"], "end": place.environment["END"]}
    return client.post(f"{V1}/{what}", json={**period, **more})


def follow(client: httpx.Client, started: httpx.Response) -> dict[str, Any]:
    """Return a job when it is over."""
    assert started.status_code == httpx.codes.ACCEPTED, started.text
    wait_until(lambda: client.get(started.headers["Location"]).json()["state"] in OVER)
    return dict(client.get(started.headers["Location"]).json())


def contacts(job: dict[str, Any]) -> tuple[int, int]:
    """Return how many contacts a backtest counts, and how many were recorded."""
    assert job["error"] is None
    return job["result"]["planned"]["contacts"], job["result"]["recorded"]["contacts"]


def test_a_marketer_sees_what_a_draft_would_have_sent(place: Workplace, marketer: httpx.Client) -> None:
    job = follow(marketer, start(marketer, place, drafts=[lapsing_after(30)]))
    assert contacts(job) == (70, 30)
    (draft,) = job["parameters"]["definitions"]["drafts"]
    assert draft["content"] == lapsing_after(30)["content"]
    assert [each.replace(" ", "") for each in draft["changes"] if each[0] in "+-"] == ["-60", "+30"]
    listed = marketer.get(f"{V1}/jobs", params={"limit": 1}).json()["jobs"][0]
    assert (listed["id"], listed["parameters"]["definitions"].get("drafts")) == (job["id"], [])


def test_a_backtest_that_was_stopped_goes_on_with_its_draft_after_the_live_definitions_changed(
    place: Workplace, marketer: httpx.Client
) -> None:
    started = start(marketer, place, drafts=[lapsing_after(30)])
    address = started.headers["Location"]
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        # It has begun and cannot decide meanwhile.
        warehouse.execute("LOCK TABLE customer_features_view IN ACCESS EXCLUSIVE MODE")
        wait_until(lambda: marketer.get(address).json()["subject"] is not None)
        marketer.post(f"{address}/stop")
        stopped = follow(marketer, started)
    assert stopped["state"] == "stopped"
    assert save(marketer, "segments", lapsing_after(1_000)["content"]).status_code == httpx.codes.OK
    resumed = follow(marketer, marketer.post(f"{V1}/backtests", json={"resume": stopped["subject"]}))
    assert contacts(resumed) == (70, 30)
    assert resumed["parameters"]["definitions"] == stopped["parameters"]["definitions"]
    assert place.do("replay", "list") == "no replays are left\n"


def test_an_earlier_revision_is_decided_with(place: Workplace, marketer: httpx.Client, operator: httpx.Client) -> None:
    """The present one has no lapsing customers, the first one sends what was sent."""
    save(marketer, "segments", lapsing_after(2_000)["content"])
    assert contacts(follow(marketer, start(marketer, place))) == (0, 30)
    versions = marketer.get(f"{V1}/segments/lapsing/history").json()["versions"]
    before = versions[0]["revision"] - 1
    ((imported,),) = place.ask_ledger("SELECT max(revision) FROM definition_version WHERE reason = 'the first ones'")
    assert before >= imported
    job = follow(operator, start(operator, place, "replays", definitions_revision=imported))
    assert (job["error"], job["result"]["counts"]["same"]) == (None, 30)
    drafted = {**campaign("win-back", "lapsing", "on_enter"), "channels": []}
    refused = start(marketer, place, definitions_revision=imported, drafts=[draft_of(drafted)])
    assert (refused.status_code, "win-back" in refused.json()["detail"]) == (422, True)


def draft_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return a draft of a campaign."""
    return {"kind": "campaign", "key": content["key"], "content": content}


UNKNOWN_FACT = {**LAPSING, "rule": {">": [{"var": "day_since_last_transaction"}, 30]}}


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (
            {"drafts": [{**lapsing_after(1), "content": UNKNOWN_FACT}]},
            422,
            "did you mean 'days_since_last_transaction'",
        ),
        ({"drafts": [{**lapsing_after(1), "key": "other"}]}, 422, "the key of a definition cannot be changed"),
        ({"drafts": [{**lapsing_after(1), "content": []}]}, 422, "a segment is a JSON object"),
        ({"drafts": [lapsing_after(1), lapsing_after(2)]}, 422, "two drafts have the same kind and key"),
        ({"drafts": [{"kind": "offers", "key": "gifts", "content": []}]}, 422, "the key of offers is 'offers'"),
        ({"drafts": [{**lapsing_after(1), "content": {**LAPSING, "description": "x" * 300_000}}]}, 422, "at most"),
        ({"drafts": [lapsing_after(1)] * 51}, 422, "drafts"),
        ({"definitions_revision": 999}, 409, "there is no revision 999 of the definitions"),
        ({"definitions_revision": 1, "resume": NO_BACKTEST}, 422, "name no others"),
    ],
    ids=["fact", "key", "shape", "twice", "kind", "large", "many", "revision", "resume"],
)
def test_what_cannot_be_decided_with_is_refused_at_once(
    place: Workplace, marketer: httpx.Client, asked: dict[str, Any], status: int, said: str
) -> None:
    refused = start(marketer, place, **asked)
    assert (refused.status_code, said in refused.text) == (status, True), refused.text


def test_a_marketer_lets_no_replay_of_an_operator_go_on(
    place: Workplace, marketer: httpx.Client, operator: httpx.Client
) -> None:
    """To go on as a backtest would drop what the operator keeps."""
    assert start(marketer, place, "replays").status_code == httpx.codes.FORBIDDEN
    kept = follow(operator, start(operator, place, "replays", keep=True))
    for replay_id in (kept["subject"], NO_BACKTEST):
        refused = marketer.post(f"{V1}/backtests", json={"resume": replay_id})
        assert refused.status_code == httpx.codes.FORBIDDEN
    assert operator.delete(f"{V1}/replays/{kept['subject']}").is_success


def test_files_have_no_revisions_but_drafts(place: Workplace, keys: Mapping[str, Mapping[str, str]]) -> None:
    files = {"HOLDFAST_DEFINITIONS": "files", "HOLDFAST_DEFINITIONS_DIR": str(place.folder / "definitions")}
    with (
        serve_console({**place.environment, **files}) as address,
        httpx.Client(base_url=address, headers=keys["marketer"], timeout=30) as client,
    ):
        refused = start(client, place, definitions_revision=1)
        assert (refused.status_code, "HOLDFAST_DEFINITIONS=ledger" in refused.json()["detail"]) == (409, True)
        assert contacts(follow(client, start(client, place, drafts=[lapsing_after(30)]))) == (70, 30)
