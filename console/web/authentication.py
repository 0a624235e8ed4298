"""Who makes a request, and whether they may: the dependencies of every address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from console.access.names import LOCAL
from console.access.roles import Permission, Principal, Role
from console.access.tokens import derive_csrf_token, is_same
from console.web.context import Context
from console.web.errors import ForbiddenError, NotSignedInError
from console.web.idempotency import begin_once, is_keyed

if TYPE_CHECKING:
    from console.web.context import WebContext

COOKIE, SECURE_COOKIE = "holdfast_session", "__Host-holdfast_session"
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf_token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def find_session_token(request: Request, context: WebContext) -> str | None:
    """Return the token in a request's cookie.

    With https only the cookie that no other host and no page without TLS can set counts.
    """
    return request.cookies.get(SECURE_COOKIE if context.is_secure else COOKIE)


async def find_principal(request: Request, context: WebContext) -> Principal | None:
    """Return who makes a request; None without a session or a key."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = await context.keys.ask(key.strip())
        return None if found is None else Principal(*found)
    if context.is_open:
        return Principal(LOCAL, Role.ADMIN, derive_csrf_token(context.secret))
    token = find_session_token(request, context)
    found = None if token is None else await run_in_threadpool(context.accounts.find_session, token)
    return None if token is None or found is None else Principal(*found, derive_csrf_token(token))


async def _authenticate(request: Request, context: Context) -> Principal:
    is_limited = request.url.path.startswith("/api/")
    address = request.client.host if request.client else ""
    if is_limited:
        context.rates.check_address(address)
    principal = await find_principal(request, context)
    if is_limited and principal is not None:
        context.rates.count(principal.name)
    if is_limited and principal is None:
        context.rates.note_stranger(address)
    if principal is None:
        raise NotSignedInError("sign in, or send an API key as: Authorization: Bearer hf_...")
    request.state.principal = principal
    return principal


def refuse_other_sites(request: Request, context: WebContext) -> None:
    """Refuse a request that a page of another site has sent.

    Browsers say so in Sec-Fetch-Site, old ones in Origin; other programs say nothing, and have no one's cookie.

    Raises:
        ForbiddenError: it comes from another site.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is not None:
        own = {request.headers.get("Host"), urlsplit(context.settings.console_url or "").netloc}
        is_own = origin.partition("://")[2] in own - {""}
        site = "same-origin" if is_own else "cross-site"
    if site not in {None, "same-origin", "none"}:
        raise ForbiddenError("the request comes from another site")


async def check_csrf(
    request: Request, context: Context, principal: Annotated[Principal, Depends(_authenticate)]
) -> None:
    """Refuse a change that another site's page may have sent with the cookie of this one.

    Raises:
        ForbiddenError: the request carries no token of this session, or comes from another site.
    """
    if request.method in _SAFE or principal.csrf_token is None:
        return
    refuse_other_sites(request, context)
    given = request.headers.get(CSRF_HEADER)
    if given is None and _is_form(request):
        given = await _read_field(request)
    if not is_same(principal.csrf_token, given):
        raise ForbiddenError("the page is too old, or the request did not come from it: load the page again")


async def _read_field(request: Request) -> str | None:
    try:
        field = (await request.form()).get(CSRF_FIELD)
    except UnicodeError:  # a charset that cannot be decoded
        return None
    return field if isinstance(field, str) else None


def _is_form(request: Request) -> bool:
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in {"application/x-www-form-urlencoded", "multipart/form-data"}


@dataclass(frozen=True)
class Requires:
    """The dependency that an address needs a permission. Each address has one."""

    permission: Permission

    async def __call__(
        self,
        request: Request,
        context: Context,
        principal: Annotated[Principal, Depends(_authenticate)],
        _: Annotated[None, Depends(check_csrf)],
    ) -> Principal:
        """Return who makes the request, and begin it under its idempotency key where it has one.

        Raises:
            ForbiddenError: their role does not have the permission.
            ReplayedAnswer, ConflictError, InvalidRequestError: see console/web/idempotency.py.
        """
        if not principal.may(self.permission):
            raise ForbiddenError(f"the role {principal.role} may not {self.permission}; ask an admin for another role")
        if is_keyed(request):
            await run_in_threadpool(begin_once, request, context.accounts, principal.name)
        return principal


Reader = Annotated[Principal, Depends(Requires(Permission.READ))]
CustomerViewer = Annotated[Principal, Depends(Requires(Permission.VIEW_CUSTOMERS))]
CareWorker = Annotated[Principal, Depends(Requires(Permission.ACT_FOR_CUSTOMERS))]
Editor = Annotated[Principal, Depends(Requires(Permission.EDIT_DEFINITIONS))]
Stopper = Annotated[Principal, Depends(Requires(Permission.STOP_CAMPAIGNS))]
Backtester = Annotated[Principal, Depends(Requires(Permission.BACKTEST))]
Operator = Annotated[Principal, Depends(Requires(Permission.OPERATE))]
Admin = Annotated[Principal, Depends(Requires(Permission.ADMINISTER))]
