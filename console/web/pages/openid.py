"""Signing in with an OpenID provider."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from console.access.openid_provider import OpenIdProvider, SignInFlow, SignInRefusedError
from console.access.tokens import is_same, make_session_token
from console.errors import AccessError
from console.web.context import Context, WebContext
from console.web.errors import NotFoundError
from console.web.links import within_console
from console.web.pages.sign_in import begin_session, show_sign_in

router = APIRouter(prefix="/sign-in/openid")
_RETURN = "/sign-in/openid/return"
_FLOW, _NEXT = "holdfast_sign_in", "holdfast_next"
_FLOW_S = 600
_Answer = Annotated[str, Query(max_length=4_000)]


@router.get("")
def go_to_provider(
    request: Request,
    context: Context,
    next: str = "/",  # noqa: A002 - its name in the address
) -> Response:
    """Send the browser to the provider."""
    provider, flow = _find_provider(context), SignInFlow(make_session_token())
    try:
        answer = RedirectResponse(provider.find_authorization(flow, _find_return(request, context)), 303)
    except SignInRefusedError as error:
        return show_sign_in(request, context, str(error), HTTPStatus.BAD_GATEWAY)
    for name, text in ((_FLOW, flow.secret), (_NEXT, quote(within_console(next), safe=""))):
        answer.set_cookie(
            name, text, max_age=_FLOW_S, path=_RETURN, secure=context.is_secure, httponly=True, samesite="lax"
        )
    return answer


@router.get("/return")
def return_from_provider(
    request: Request,
    context: Context,
    state: _Answer = "",
    code: _Answer = "",
    iss: _Answer | None = None,
    error: _Answer = "",
) -> Response:
    """Begin a session for whom the provider has signed in."""
    provider, address = _find_provider(context), request.client.host if request.client else ""
    try:
        flow = SignInFlow(request.cookies.get(_FLOW, ""))
        if not flow.secret or not is_same(flow.state, state):
            raise SignInRefusedError("this sign-in did not begin in this browser, or took too long; try again")
        if error or not code:
            raise SignInRefusedError(f"the provider refuses: {error or 'no code'}")
        identity = provider.redeem(code, flow, _find_return(request, context), iss)
        name = context.accounts.admit(identity.subject, identity.name, identity.role)
    except AccessError as refusal:
        return _forget_flow(show_sign_in(request, context, str(refusal), HTTPStatus.FORBIDDEN))
    context.accounts.record(name, "sign in", "", address=address)
    return _forget_flow(begin_session(context, name, unquote(request.cookies.get(_NEXT, "/"))))


def _find_provider(context: WebContext) -> OpenIdProvider:
    if context.provider is None:
        raise NotFoundError("people sign in here with a name and a password")
    return context.provider


def _find_return(request: Request, context: WebContext) -> str:
    base = context.settings.console_url or str(request.base_url)
    return base.rstrip("/") + _RETURN


def _forget_flow(answer: Response) -> Response:
    for name in (_FLOW, _NEXT):
        answer.delete_cookie(name, path=_RETURN, httponly=True, samesite="lax")
    return answer
