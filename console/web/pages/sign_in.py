"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from console.access.passwords import verify_password
from console.access.tokens import make_session_token
from console.web.authentication import COOKIE, SECURE_COOKIE, Reader, find_principal, find_session_token
from console.web.context import Context
from console.web.errors import ForbiddenError, TooManyRequestsError
from console.web.rendering import render

router = APIRouter()
_WRONG = "No account has this name and password."


@router.get("/sign-in")
def show_form(request: Request, context: Context, next: str = "/") -> Response:  # noqa: A002 - its name in the address
    """Show the form, or go on where somebody is signed in."""
    if find_principal(request, context) is not None:
        return RedirectResponse(_within_console(next), 303)
    return render(request, "sign_in.html", {"next": _within_console(next), "problem": "", "name": ""})


@router.post("/sign-in")
def sign_in(
    request: Request,
    context: Context,
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1_000)],
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the field's name
) -> Response:
    """Begin a session."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise ForbiddenError("the request comes from another site")
    address = request.client.host if request.client else ""
    shown = {"next": _within_console(next), "name": name}
    try:
        context.sign_ins.check(name, address)
    except TooManyRequestsError as error:
        page = render(request, "sign_in.html", {**shown, "problem": str(error)})
        page.status_code = error.status
        page.headers.update(error.headers)
        return page
    account = context.accounts.find_account(name)
    usable = account is not None and account.disabled_at is None
    if not verify_password(account.password_hash if account and usable else None, password):
        context.sign_ins.note_failure(name, address)
        context.accounts.record(name, "fail to sign in", "", address=address)
        page = render(request, "sign_in.html", {**shown, "problem": _WRONG})
        page.status_code = 401
        return page
    token = make_session_token()
    context.accounts.begin_session(name, token)
    context.accounts.record(name, "sign in", "", address=address)
    answer = RedirectResponse(_within_console(next), 303)
    is_secure = request.url.scheme == "https"
    answer.set_cookie(
        SECURE_COOKIE if is_secure else COOKIE, token, path="/", secure=is_secure, httponly=True, samesite="lax"
    )
    return answer


@router.post("/sign-out")
def sign_out(request: Request, context: Context, principal: Reader) -> Response:
    """End the session."""
    if (token := find_session_token(request)) is not None:
        context.accounts.end_session(token)
        context.accounts.record(principal.name, "sign out", "")
    answer = RedirectResponse("/sign-in", 303)
    for cookie in (COOKIE, SECURE_COOKIE):
        answer.delete_cookie(cookie, path="/", secure=cookie == SECURE_COOKIE, httponly=True, samesite="lax")
    return answer


def _within_console(address: str) -> str:
    """Return an address within the console: another site's could be smuggled into a link to the form."""
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_path and address.isprintable() else "/"
