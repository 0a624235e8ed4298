"""Answers to requests that fail: problem details (RFC 9457) below /api, a page elsewhere."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from console.web.errors import KNOWN, NotSignedInError, describe, find_headers, find_status
from console.web.idempotency import ReplayedAnswer, answer_replayed
from console.web.rendering import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request, Response

PROBLEM = "application/problem+json"


def install_handlers(app: FastAPI) -> None:
    """Let the app answer each known error with its status and a sentence."""
    for error in KNOWN:
        app.add_exception_handler(error, answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(ReplayedAnswer, answer_replayed)


def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to a known error."""
    if isinstance(error, NotSignedInError) and _asks_for_page(request):
        return RedirectResponse(f"/sign-in?next={quote(_address(request))}", HTTPStatus.SEE_OTHER)
    return _answer(request, find_status(error), describe(error), find_headers(error))


def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for no other
    problems = [
        {"field": ".".join(str(part) for part in each["loc"]), "problem": each["msg"].removeprefix("Value error, ")}
        for each in error.errors()
    ]
    first = "; ".join(f"{each['field']}: {each['problem']}" for each in problems)
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, first, {}, problems)


def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for no other
    status = HTTPStatus(error.status_code)
    said = f"there is nothing at {request.url.path}" if status is HTTPStatus.NOT_FOUND else error.detail
    return _answer(request, status, said, error.headers or {})


def _answer(
    request: Request,
    status: HTTPStatus,
    detail: str,
    headers: Mapping[str, str],
    errors: list[dict[str, str]] | None = None,
) -> Response:
    if request.url.path.startswith("/api/"):
        body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        return JSONResponse(body | ({"errors": errors} if errors else {}), status, headers=headers, media_type=PROBLEM)
    page = render(request, "problem.html", {"status": status.value, "title": status.phrase, "detail": detail})
    page.status_code = status.value
    page.headers.update(headers)
    return page


def _asks_for_page(request: Request) -> bool:
    return request.method in {"GET", "HEAD"} and not request.url.path.startswith("/api/")


def _address(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
