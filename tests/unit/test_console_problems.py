"""What the console answers where something fails."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from campaigns.errors import LedgerUnavailableError, UnknownCustomerError
from console.web.middleware import SECURITY_HEADERS, SecurityHeaders
from console.web.problems import install_handlers


def ask(error: Exception, path: str = "/api/fails", headers: dict[str, str] | None = None) -> Any:
    """Return the answer of an app whose address fails with an error."""
    app = FastAPI(middleware=[Middleware(SecurityHeaders)])
    install_handlers(app)

    @app.get(path)
    def fail() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False).get(path, headers=headers)


@pytest.mark.parametrize("path", ["/api/fails", "/fails"], ids=["API", "page"])
def test_a_defect_shows_nothing_of_the_program(path: str) -> None:
    answer = ask(RuntimeError("secret"), path)
    assert answer.status_code == 500
    assert "its log has the traceback" in answer.text
    assert "secret" not in answer.text
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert answer.headers["Cache-Control"] == "no-store"


def test_known_errors_of_tasks_that_ran_together_are_answered_as_one() -> None:
    answer = ask(ExceptionGroup("tasks", [ExceptionGroup("inner", [UnknownCustomerError("no such customer")])]))
    assert (answer.status_code, answer.json()["detail"]) == (404, "no such customer")


def test_a_defect_among_known_errors_is_a_defect() -> None:
    assert ask(ExceptionGroup("tasks", [UnknownCustomerError("no such"), RuntimeError("secret")])).status_code == 500


@pytest.mark.parametrize(
    "error", [psycopg.DataError("no NUL"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogate")]
)
def test_a_value_that_cannot_be_stored_is_the_callers(error: Exception) -> None:
    answer = ask(error)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("a value cannot be stored or searched for")


@pytest.mark.parametrize("path", ["/api/fails", "/fails"], ids=["API", "page"])
def test_half_a_character_in_a_sentence_is_replaced(path: str) -> None:
    assert "no customer ?" in ask(UnknownCustomerError("no customer \ud800"), path).text


def test_strangers_do_not_learn_where_the_ledger_is() -> None:
    answer = ask(LedgerUnavailableError("connection to db.internal failed"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "db.internal" not in answer.text
