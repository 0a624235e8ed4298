"""Requests to the console's API on a real ledger: done once under a key, and no more of them than permitted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from pydantic import BaseModel

from campaigns.migrations import migrate
from console.access.roles import Role
from console.access.tokens import make_key
from console.web.app import build_app
from console.web.authentication import Operator  # noqa: TC001 - read when the address is made
from console.web.errors import ConflictError, TooManyRequestsError
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "/api/v1/letters"


class Letter(BaseModel):
    """What the action of these tests is about."""

    text: str


class Office:
    """An action that counts how often it is done."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.fails_with: Exception | None = None
        self.may_end = threading.Event()
        self.may_end.set()
        self.router = APIRouter()
        self.router.post("/letters", status_code=201)(self.post)

    def post(self, letter: Letter, _: Operator) -> dict[str, Any]:
        """Post a letter."""
        if self.fails_with is not None:
            raise self.fails_with
        self.posted.append(letter.text)
        self.may_end.wait(10)
        return {"number": len(self.posted)}


@pytest.fixture
def office() -> Office:
    """The action."""
    return Office()


@pytest.fixture
def client(ledger_url: str, office: Office) -> Iterator[TestClient]:
    """A client with the key of an operator, who may send twenty requests a minute."""
    migrate(ledger_url)
    settings = load_settings(HOLDFAST_LEDGER_URL=ledger_url, HOLDFAST_CONSOLE_RATE_PER_MINUTE="20")
    app = build_app(settings, is_open=False, hosts=["testserver"])
    app.include_router(office.router, prefix="/api/v1")
    with TestClient(app) as made:
        made.headers["Authorization"] = f"Bearer {add_key(app.state.context.accounts, 'ann')}"
        yield made


def add_key(accounts: Any, name: str) -> str:
    """Add an operator, and return a key of theirs."""
    key = make_key()
    accounts.add_account(name, Role.OPERATOR, None, by="test")
    accounts.add_key(f"of-{name}", key, name, by="test", expires_at=None)
    return key


def post(client: TestClient, key: str, text: str = "hello", **headers: str) -> Any:
    """Post a letter under a key."""
    return client.post(ADDRESS, json={"text": text}, headers={"Idempotency-Key": key, **headers})


def test_a_repetition_gets_the_answer_and_does_nothing(client: TestClient, office: Office) -> None:
    first, second = post(client, "k"), post(client, "k")
    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (201, {"number": 1})
    assert "Idempotent-Replayed" not in first.headers
    assert (second.headers["Idempotent-Replayed"], second.headers["Content-Type"]) == ("true", "application/json")
    assert office.posted == ["hello"]


def test_without_a_key_and_under_another_it_is_done_again(client: TestClient, office: Office) -> None:
    post(client, "k")
    client.post(ADDRESS, json={"text": "bye"})
    post(client, "l", "again")
    assert office.posted == ["hello", "bye", "again"]


def test_a_key_stands_for_one_request_of_one_account(client: TestClient, office: Office) -> None:
    post(client, "k")
    other = post(client, "k", "something else")
    assert (other.status_code, "another request" in other.json()["detail"]) == (422, True)
    bob = f"Bearer {add_key(client.app.state.context.accounts, 'bob')}"  # type: ignore[attr-defined]
    assert post(client, "k", "bob's", Authorization=bob).status_code == 201
    assert office.posted == ["hello", "bob's"]


def test_while_the_first_request_runs_the_second_is_refused(client: TestClient, office: Office) -> None:
    office.may_end.clear()
    first = threading.Thread(target=post, args=(client, "k"))
    first.start()
    while not office.posted:
        assert first.is_alive()
    assert post(client, "k").status_code == 409
    office.may_end.set()
    first.join()
    assert post(client, "k").json() == {"number": 1}


def test_what_became_of_a_request_whose_process_ended_is_not_guessed(
    client: TestClient, office: Office, ledger_url: str
) -> None:
    """A day later, the key is free again."""
    post(client, "k")
    with psycopg.connect(ledger_url, autocommit=True) as ledger:
        ledger.execute("UPDATE console_action SET status = NULL, begun_at = now() - interval '11 minutes'")
        refused = post(client, "k")
        assert (refused.status_code, "is not known" in refused.json()["detail"]) == (409, True)
        ledger.execute("UPDATE console_action SET begun_at = now() - interval '25 hours'")
    assert post(client, "k").json() == {"number": 2}
    assert office.posted == ["hello", "hello"]


@pytest.mark.parametrize(
    ("error", "statuses"),
    [(TooManyRequestsError("busy", retry_after_s=1), (429, 201)), (ConflictError("it is gone"), (409, 409))],
    ids=["a refusal that passes", "a refusal that stays"],
)
def test_a_refusal_is_an_answer_unless_it_passes(
    client: TestClient, office: Office, error: Exception, statuses: tuple[int, int]
) -> None:
    office.fails_with = error
    first = post(client, "k")
    office.fails_with = None
    assert (first.status_code, post(client, "k").status_code) == statuses


def test_an_account_is_told_when_to_come_again(client: TestClient) -> None:
    answers = [client.post(ADDRESS, json={"text": ""}) for _ in range(21)]
    assert [each.status_code for each in answers] == [201] * 20 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_an_address_without_a_valid_key_is_refused_before_the_ledger_is_asked(
    client: TestClient, ledger_url: str
) -> None:
    wrong = {"Authorization": "Bearer hf_wrong"}
    assert {client.get("/api/v1/status", headers=wrong).status_code for _ in range(20)} == {401}
    with psycopg.connect(ledger_url, autocommit=True) as ledger:
        ledger.execute("DROP TABLE console_key")
    refused = client.get("/api/v1/status", headers=wrong)
    assert (refused.status_code, refused.headers["Content-Type"]) == (429, "application/problem+json")
