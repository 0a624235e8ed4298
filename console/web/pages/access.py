"""The page of accounts and keys, for admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from console.access.key_issue import issue_key
from console.access.names import normalize_name
from console.access.passwords import hash_password
from console.access.roles import Role
from console.errors import AccessError
from console.web.authentication import Admin
from console.web.context import Context, WebContext
from console.web.rendering import render

router = APIRouter(prefix="/access")
_ADDRESS = "/access"
_Name = Annotated[str, Form(max_length=200)]
LONGEST_DAYS = 3_650


@router.get("")
def show_access(request: Request, context: Context, _: Admin) -> Response:
    """Show who may use the console, and with which keys."""
    return _show(request, context)


@router.post("/accounts")
def add_account(
    request: Request,
    context: Context,
    principal: Admin,
    name: _Name,
    role: Annotated[Role, Form()],
    password: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Add an account; without a password it has only keys."""
    wanted = normalize_name(name)
    try:
        context.accounts.add_account(wanted, role, hash_password(password) if password else None, by=principal.name)
    except AccessError as error:
        return _show(request, context, problem=str(error), entered={"name": name, "role": role})
    context.accounts.record(principal.name, f"add account with the role {role}", wanted)
    return _back()


@router.post("/accounts/role")
def set_role(
    request: Request, context: Context, principal: Admin, name: _Name, role: Annotated[Role, Form()]
) -> Response:
    """Change a role."""
    try:
        _refuse_self(principal.name, name)
        context.accounts.set_role(name, role)
    except AccessError as error:
        return _show(request, context, problem=str(error))
    context.accounts.record(principal.name, f"change role to {role}", name)
    return _back()


@router.post("/accounts/disable")
def disable_account(request: Request, context: Context, principal: Admin, name: _Name) -> Response:
    """Let an account in no longer."""
    try:
        _refuse_self(principal.name, name)
        context.accounts.disable_account(name)
    except AccessError as error:
        return _show(request, context, problem=str(error))
    context.accounts.record(principal.name, "disable account", name)
    return _back()


@router.post("/keys")
def add_key(
    request: Request,
    context: Context,
    principal: Admin,
    name: _Name,
    days: Annotated[int, Form(ge=1, le=LONGEST_DAYS)],
) -> Response:
    """Add a key, and show it once."""
    try:
        issued = issue_key(context.accounts, name, days=days, by=principal.name)
    except AccessError as error:
        return _show(request, context, problem=str(error))
    context.accounts.record(principal.name, f"add key {issued.key_id}", name)
    return _show(request, context, issued=issued)


@router.post("/keys/revoke")
def revoke_key(request: Request, context: Context, principal: Admin, key_id: _Name) -> Response:
    """Revoke a key."""
    try:
        context.accounts.revoke_key(key_id)
    except AccessError as error:
        return _show(request, context, problem=str(error))
    context.accounts.record(principal.name, "revoke key", key_id)
    return _back()


def _show(request: Request, context: WebContext, *, problem: str = "", **shown: Any) -> Response:
    values = {
        "accounts": context.accounts.list_accounts(),
        "keys": context.accounts.list_keys(),
        "roles": list(Role),
        "problem": problem,
        "issued": None,
        "entered": {"name": "", "role": Role.VIEWER},
        **shown,
    }
    page = render(request, "access.html", values)
    page.status_code = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    return page


def _back() -> Response:
    return RedirectResponse(_ADDRESS, HTTPStatus.SEE_OTHER)


def _refuse_self(admin: str, name: str) -> None:
    if admin == name:
        raise AccessError("you cannot take your own access; ask another admin, or use: holdfast console accounts")
