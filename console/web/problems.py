"""Answers to requests that fail: problem details (RFC 9457) below /api, a page elsewhere."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from console.web.errors import KNOWN, NotSignedInError, describe, find_headers, find_status
from console.web.idempotency import ReplayedAnswer, answer_replayed
from console.web.middleware import SECURITY_HEADERS
from console.web.rendering import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request, Response

PROBLEM = "application/problem+json"
_DETAILS = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "examples": ["Not Found"]},
        "status": {"type": "integer", "examples": [404]},
        "detail": {"type": "string", "description": "What is wrong and what to do, for the person who asked."},
        "errors": {
            "type": "array",
            "description": "The fields that cannot be used.",
            "items": {
                "type": "object",
                "required": ["field", "problem"],
                "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}
RESPONSES: Mapping[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request is refused.", "content": {PROBLEM: {"schema": _DETAILS}}},
    "5XX": {"description": "A service is down, or the console failed.", "content": {PROBLEM: {"schema": _DETAILS}}},
}
"""What every address of the API may answer instead, for its description."""
_LOG = structlog.get_logger()


def install_handlers(app: FastAPI) -> None:
    """Let the app answer each known error with its status and a sentence."""
    for error in KNOWN:
        app.add_exception_handler(error, answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(ExceptionGroup, _answer_group)
    app.add_exception_handler(Exception, _answer_defect)
    app.add_exception_handler(ReplayedAnswer, answer_replayed)


def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to a known error."""
    status = find_status(error)
    if isinstance(error, NotSignedInError) and "HX-Request" in request.headers:
        # The whole page is loaded again, which leads to the form; a part of it must not be replaced by the form.
        return _answer(request, status, describe(error), {"HX-Refresh": "true"})
    if isinstance(error, NotSignedInError) and _asks_for_page(request):
        return RedirectResponse(f"/sign-in?next={quote(_address(request), safe='/')}", HTTPStatus.SEE_OTHER)
    if status is HTTPStatus.SERVICE_UNAVAILABLE and not hasattr(request.state, "principal"):
        # Strangers learn no addresses and no names of databases.
        _LOG.warning("console_unavailable", problem=describe(error))
        return _answer(request, status, "the console cannot work now; its log says why", find_headers(error))
    return _answer(request, status, describe(error), find_headers(error))


def _answer_group(request: Request, group: Exception) -> Response:
    assert isinstance(group, ExceptionGroup)  # noqa: S101 - it is registered for no other
    _, unknown = group.split(KNOWN)
    if unknown is not None:
        raise group
    first: Exception = group
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return answer_error(request, first)


def _answer_defect(request: Request, _: Exception) -> Response:
    """Answer where the program failed; the server logs the traceback."""
    said = "the console failed; its log has the traceback"
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, said, {**SECURITY_HEADERS, "Cache-Control": "no-store"})


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
    said = f"there is nothing at {request.scope['path']}" if status is HTTPStatus.NOT_FOUND else error.detail
    return _answer(request, status, said, error.headers or {})


def _answer(
    request: Request,
    status: HTTPStatus,
    detail: str,
    headers: Mapping[str, str],
    errors: list[dict[str, str]] | None = None,
) -> Response:
    detail = _replace_surrogates(detail)
    if _is_api(request):
        errors = [{name: _replace_surrogates(text) for name, text in each.items()} for each in errors or []]
        body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        return JSONResponse(body | ({"errors": errors} if errors else {}), status, headers=headers, media_type=PROBLEM)
    page = render(request, "problem.html", {"status": status.value, "title": status.phrase, "detail": detail})
    page.status_code = status.value
    page.headers.update(headers)
    return page


def _asks_for_page(request: Request) -> bool:
    return request.method in {"GET", "HEAD"} and not _is_api(request)


def _is_api(request: Request) -> bool:
    # Not by `request.url`, which is composed of the Host header too.
    return bool(request.scope["path"].startswith("/api/"))


def _address(request: Request) -> str:
    path, query = request.scope["raw_path"].decode("latin-1"), request.url.query
    return f"{path}?{query}" if query else path


def _replace_surrogates(text: str) -> str:
    return text.encode(errors="replace").decode()
