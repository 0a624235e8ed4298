"""`holdfast console`: the console in the browser and its API, and who may use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from console.access.key_issue import issue_key
from console.access.passwords import hash_password
from console.access.postgres_accounts import PostgresAccounts
from console.access.roles import Role
from console.errors import AccessError
from console.tables import print_table
from models.current_user import current_user
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")
_NAME = click.argument("name")
_ROLES = [each.value for each in Role]
_ROLE = click.option(
    "--role", type=click.Choice([role.value for role in Role]), required=True, help="What the account may do."
)


@click.group(invoke_without_command=True)
@click.pass_context
def console(context: click.Context) -> None:
    """Serve the console and its API until SIGTERM or Ctrl-C; its commands manage who may use them."""
    if context.invoked_subcommand is None:
        _serve()


def _serve() -> None:
    from console.web.serving import open_server  # noqa: PLC0415 - the commands need no web server

    settings = load_settings()
    is_open = settings.console_access == "open"
    if not is_open and settings.console_oidc_issuer is None:
        _require_account()
    server = open_server(settings)
    address = settings.console_url or f"http://{settings.console_host}:{server.sockets[0].getsockname()[1]}"
    whom = "no sign-in, everybody on this machine is an admin" if is_open else "sign in with an account"
    click.echo(f"console at {address} ({whom}); press Ctrl-C to stop")
    server.run()


def _require_account() -> None:
    if not any(each.disabled_at is None for each in _ask(PostgresAccounts.list_accounts)):
        raise AccessError(
            "nobody could sign in, because there is no account; add one with: holdfast console accounts add NAME "
            "--role admin; or let everybody on this machine in with HOLDFAST_CONSOLE_ACCESS=open"
        )


@console.group()
def accounts() -> None:
    """Manage who may sign in."""


@accounts.command("add")
@_NAME
@_ROLE
@click.option("--no-password", is_flag=True, help="The account has only keys.")
@click.password_option(prompt=False, help="The password; asked for by default.")
def add_account(name: str, role: str, no_password: bool, password: str | None) -> None:
    """Add an account; NAME is what its owner signs in with."""
    if not no_password and password is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    hashed = hash_password(password) if password is not None and not no_password else None
    _ask(lambda ledger: ledger.add_account(name, Role(role), hashed, by=current_user()))
    click.echo(f"added account {name} with the role {role}")


@accounts.command("list")
def list_accounts() -> None:
    """List the accounts."""
    rows = [
        (each.name, each.role, f"{each.created_at:%Y-%m-%d}", each.created_by, "disabled" if each.disabled_at else "")
        for each in _ask(PostgresAccounts.list_accounts)
    ]
    print_table(("account", "role", "added", "by", ""), rows)


@accounts.command("set-password")
@_NAME
@click.password_option(help="The new password; asked for by default.")
def set_password(name: str, password: str) -> None:
    """Change a password; the account's sessions end."""
    _ask(lambda ledger: ledger.set_password(name, hash_password(password)))
    click.echo(f"changed the password of {name}; its sessions have ended")


@accounts.command("set-role")
@_NAME
@_ROLE
def set_role(name: str, role: str) -> None:
    """Change a role."""
    _ask(lambda ledger: ledger.set_role(name, Role(role)))
    click.echo(f"{name} is {role} from now on")


@accounts.command("disable")
@_NAME
def disable_account(name: str) -> None:
    """Let an account in no longer, neither by password nor by key."""
    _ask(lambda ledger: ledger.disable_account(name))
    click.echo(f"disabled {name}; its sessions have ended")


@console.group()
def keys() -> None:
    """Manage API keys."""


@keys.command("add")
@_NAME
@click.option("--days", type=click.IntRange(min=1), help="The key expires after so many days; default: never.")
def add_key(name: str, days: int | None) -> None:
    """Add a key to the account NAME, and print it once."""
    issued = _ask(lambda ledger: issue_key(ledger, name, days=days, by=current_user()))
    click.echo(issued.secret)
    click.echo(f"key {issued.key_id} of {name}; it is shown only now", err=True)


@keys.command("list")
def list_keys() -> None:
    """List the keys, without their secrets."""
    rows = [
        (
            each.key_id,
            each.account,
            f"{each.created_at:%Y-%m-%d}",
            "never" if each.expires_at is None else f"{each.expires_at:%Y-%m-%d}",
            "revoked" if each.revoked_at else "",
        )
        for each in _ask(PostgresAccounts.list_keys)
    ]
    print_table(("key", "account", "added", "expires", ""), rows)


@keys.command("revoke")
@click.argument("key_id")
def revoke_key(key_id: str) -> None:
    """Revoke a key by its id, which `list` shows."""
    _ask(lambda ledger: ledger.revoke_key(key_id))
    click.echo(f"revoked key {key_id}")


def _ask(question: Callable[[PostgresAccounts], Found]) -> Found:
    ledger = PostgresAccounts(load_settings().ledger_url, size=1)
    ledger.open()
    try:
        return question(ledger)
    finally:
        ledger.close()
