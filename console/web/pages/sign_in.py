"""Signing in and out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from console.access.names import UNKNOWN, is_name, normalize_name
from console.access.passwords import verify_password
from console.access.tokens import make_session_token
from console.web.authentication import (
    COOKIE,
    SECURE_COOKIE,
    Reader,
    find_principal,
    find_session_token,
    refuse_other_sites,
)
from console.web.context import Context, WebContext
from console.web.errors import TooManyRequestsError
from console.web.links import within_console
from console.web.rendering import render

router = APIRouter()
_WRONG = "No account has this name and password."


@router.get("/sign-in")
async def show_form(request: Request, context: Context, next: str = "/") -> Response:  # noqa: A002 - its name in the address
    """Show the form, or go on where somebody is signed in."""
    if await find_principal(request, context) is not None:
        return RedirectResponse(within_console(next), 303)
    return show_sign_in(request, context, "", HTTPStatus.OK, then=next)


def show_sign_in(
    request: Request, context: WebContext, problem: str, status: HTTPStatus, *, then: str = "/", name: str = ""
) -> Response:
    """Show the form.

    Args:
        request: to answer.
        context: says how people sign in.
        problem: why they are not signed in; empty where they have not tried.
        status: of the answer.
        then: where to go on, if it is within the console.
        name: that was entered.
    """
    provider = urlsplit(context.provider.issuer).hostname if context.provider else None
    shown = {"next": within_console(then), "problem": problem, "name": name, "provider": provider}
    page = render(request, "sign_in.html", shown)
    page.status_code = status
    return page


@router.post("/sign-in")
def sign_in(
    request: Request,
    context: Context,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1_000)],
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the field's name
) -> Response:
    """Begin a session."""
    refuse_other_sites(request, context)
    address = request.client.host if request.client else ""
    entered, name = name, normalize_name(name)
    try:
        begun = context.sign_ins.begin(name, address)
    except TooManyRequestsError as error:
        page = show_sign_in(request, context, str(error), error.status, then=next, name=entered)
        page.headers.update(error.headers)
        return page
    # No account: the same work is done, and what was typed is not recorded, because it may be a password.
    account = context.accounts.find_account(name if is_name(name) else UNKNOWN)
    usable = account is not None and account.disabled_at is None
    if not verify_password(account.password_hash if account and usable else None, password):
        context.accounts.record(account.name if account else UNKNOWN, "fail to sign in", "", address=address)
        return show_sign_in(request, context, _WRONG, HTTPStatus.UNAUTHORIZED, then=next, name=entered)
    context.sign_ins.note_success(name, address, begun)
    context.accounts.record(name, "sign in", "", address=address)
    return begin_session(context, name, next)


def begin_session(context: WebContext, name: str, then: str) -> Response:
    """Begin a session of an account, and go to an address within the console."""
    token = make_session_token()
    context.accounts.begin_session(name, token)
    answer = RedirectResponse(within_console(then), HTTPStatus.SEE_OTHER)
    cookie, is_secure = (SECURE_COOKIE, True) if context.is_secure else (COOKIE, False)
    answer.set_cookie(cookie, token, path="/", secure=is_secure, httponly=True, samesite="lax")
    return answer


@router.post("/sign-out")
def sign_out(request: Request, context: Context, principal: Reader) -> Response:
    """End the session."""
    if (token := find_session_token(request, context)) is not None:
        context.accounts.end_session(token)
        context.accounts.record(principal.name, "sign out", "")
    answer = RedirectResponse("/sign-in", 303)
    for cookie in (COOKIE, SECURE_COOKIE):
        answer.delete_cookie(cookie, path="/", secure=cookie == SECURE_COOKIE, httponly=True, samesite="lax")
    return answer
