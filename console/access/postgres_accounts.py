"""Accounts, sessions, keys, the audit log and the answers to repeated requests in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from psycopg import errors as pg
from psycopg.types.json import Jsonb

from campaigns.postgres_connections import ThreadedPool
from campaigns.queries import load_queries
from console.access.names import check_name
from console.access.roles import Role
from console.access.tokens import digest
from console.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

QUERIES = load_queries("console.access")
SESSION_LIFE = timedelta(hours=12)
DEVICE_LIFE = timedelta(days=180)
"""How long a browser is known in which somebody has signed in."""
ACTION_LIFE = timedelta(hours=24)
"""How long an idempotency key stands for its request."""


@dataclass(frozen=True, slots=True)
class Account:
    """Someone who may use the console.

    Attributes:
        password_hash: None where the account has only keys, or signs in with the OpenID provider.
        subject: issuer and id at the OpenID provider; None where the account does not sign in there.
    """

    name: str
    role: Role
    password_hash: str | None
    subject: str | None
    created_at: datetime
    created_by: str
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Key:
    """An API key, without its secret."""

    key_id: str
    account: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class View:
    """Somebody looked at customers.

    Attributes:
        actor: who.
        action: what they looked at, as `view churn prediction`.
        customer_ids: at whom.
    """

    actor: str
    action: str
    customer_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log."""

    entry_id: int
    at: datetime
    actor: str
    action: str
    subject: str
    customer_id: str | None
    detail: Mapping[str, Any]
    address: str | None


@dataclass(frozen=True, slots=True)
class BegunAction:
    """A request that was begun under an idempotency key before.

    Attributes:
        fingerprint: of the request that the key stands for.
        begun_at: when.
        status: of its answer; None while it has none.
        headers: of its answer.
        body: of its answer.
    """

    fingerprint: bytes
    begun_at: datetime
    status: int | None
    headers: Mapping[str, str] | None
    body: bytes | None


class PostgresAccounts:
    """Accounts and the audit log, on a pool of connections; safe for threads.

    Args:
        ledger_url: libpq connection string.
        size: the most connections.
    """

    def __init__(self, ledger_url: str, *, size: int = 4) -> None:
        self._pool = ThreadedPool(ledger_url, size=size)

    def open(self) -> None:
        """Open the pool; connections are made when they are needed."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def check(self) -> bool:
        """Return true, or raise.

        Raises:
            LedgerUnavailableError: the ledger does not answer, or has no tables.
        """
        self._ask("check", {})
        return True

    # Accounts

    def add_account(self, name: str, role: Role, password_hash: str | None, *, by: str) -> None:
        """Add an account.

        Raises:
            AccessError: there is one of that name, or no account can have it.
        """
        values = {"name": check_name(name), "role": role, "password_hash": password_hash, "by": by}
        if not self._ask("add_account", values):
            raise AccessError(f"there is an account {name!r} already; choose another name, or change that one")

    def admit(self, subject: str, name: str, role: Role) -> str:
        """Return the name of the account of somebody whom an OpenID provider has signed in; add it at the first time.

        Args:
            subject: issuer and id, which never change.
            name: of a new account; who has one keeps its name.
            role: as the provider says.

        Raises:
            AccessError: the account is disabled, or another one has the name.
        """
        try:
            rows = self._ask("admit", {"subject": subject, "name": check_name(name), "role": role})
        except pg.UniqueViolation as error:
            raise AccessError(f"the account {name!r} is another's; ask an admin") from error
        if not rows:
            raise AccessError(f"the account of {name!r} is disabled; ask an admin")
        return str(rows[0][0])

    def list_accounts(self) -> Sequence[Account]:
        """Return every account, in the order of names."""
        return [_account(row) for row in self._ask("list_accounts", {})]

    def find_account(self, name: str) -> Account | None:
        """Return an account, None where there is none."""
        rows = self._ask("find_account", {"name": name})
        return _account(rows[0]) if rows else None

    def set_password(self, name: str, password_hash: str) -> None:
        """Change an account's password, end its sessions, and know none of its browsers any more.

        Raises:
            AccessError: there is no such account.
        """
        self._change("set_password", name, {"password_hash": password_hash})

    def set_role(self, name: str, role: Role) -> None:
        """Change an account's role; it counts from the next request on.

        Raises:
            AccessError: there is no such account.
        """
        self._change("set_role", name, {"role": role})

    def disable_account(self, name: str) -> None:
        """Let an account in no longer, neither by session nor by key.

        Raises:
            AccessError: there is no such account.
        """
        self._change("disable_account", name, {})

    def _change(self, query: str, name: str, values: Mapping[str, Any]) -> None:
        if not self._ask(query, {"name": name, **values}):
            raise AccessError(f"no account {name!r}; list them with: holdfast console accounts list")

    # Sessions

    def begin_session(self, name: str, token: str) -> None:
        """Begin a session of an account, and forget those that have expired."""
        self._ask("begin_session", {"name": name, "digest": digest(token), "life": SESSION_LIFE})

    def end_session(self, token: str) -> None:
        """End a session."""
        self._ask("end_session", {"digest": digest(token)})

    def find_session(self, token: str) -> tuple[str, Role] | None:
        """Return name and role of a session's account; None where it has ended or the account is disabled."""
        return _one(self._ask("find_session", {"digest": digest(token)}))

    # Tries to sign in

    def add_device(self, name: str, token: str, *, replaced: str | None) -> None:
        """Know a browser in which somebody has signed in.

        Args:
            name: of the account.
            token: that the browser has from now on.
            replaced: the token that it had; None where it had none.
        """
        old = None if replaced is None else digest(replaced)
        values = {"name": name, "digest": digest(token), "replaced": old, "life": DEVICE_LIFE}
        self._ask("add_device", values)

    def knows_device(self, token: str, name: str) -> bool:
        """Return whether the account has signed in with the browser that has a token."""
        return bool(self._ask("find_device", {"digest": digest(token), "name": name}))

    def count_try(self, subject: str, window: timedelta) -> tuple[int, float]:
        """Count a try of a subject, and return how many it has in its window, and in how many seconds that ends.

        A window begins with its first try. Of the subject only the digest is kept: the name in it is what somebody
        typed, which may be a password. Rows whose window has ended are deleted.
        """
        self._ask("forget_ended_tries", {})
        ((tries, wait_s),) = self._ask("count_try", {"digest": digest(subject), "window": window})
        return tries, wait_s

    def forget_tries(self, subject: str, others: Sequence[str]) -> None:
        """Forget the tries of a subject, and one of each of the others."""
        self._ask("forget_try", {"digest": digest(subject)})
        for each in others:
            self._ask("uncount_try", {"digest": digest(each)})

    # Keys

    def add_key(self, key_id: str, key: str, name: str, *, by: str, expires_at: datetime | None) -> None:
        """Add a key to an account.

        Raises:
            AccessError: there is no such account, or it is disabled.
        """
        values = {"key_id": key_id, "digest": digest(key), "name": name, "by": by, "expires_at": expires_at}
        if not self._ask("add_key", values):
            raise AccessError(
                f"no account {name!r} that is not disabled; list them with: holdfast console accounts list"
            )

    def find_keys(self, keys: Sequence[str]) -> list[tuple[str, Role] | None]:
        """Return name and role of each key's account; None where the key or the account is of no use."""
        digests = [digest(key) for key in keys]
        found = {found: (name, Role(role)) for found, name, role in self._ask("find_keys", {"digests": digests})}
        return [found.get(each) for each in digests]

    def list_keys(self) -> Sequence[Key]:
        """Return every key, the latest first."""
        return [Key(*row) for row in self._ask("list_keys", {})]

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key.

        Raises:
            AccessError: there is no such key, or it is revoked.
        """
        if not self._ask("revoke_key", {"key_id": key_id}):
            raise AccessError(f"no key {key_id!r} that is in use; list them with: holdfast console keys list")

    # Audit

    def record(
        self,
        actor: str,
        action: str,
        subject: str,
        *,
        customer_id: str | None = None,
        detail: Mapping[str, Any] | None = None,
        address: str | None = None,
    ) -> None:
        """Add a line to the audit log.

        Args:
            actor: who.
            action: what they did, as `view customer`.
            subject: with what, as the key of a segment.
            customer_id: the customer concerned.
            detail: what else is known; no personal columns.
            address: where the request came from.
        """
        self._ask(
            "record",
            {
                "actor": actor,
                "action": action,
                "subject": subject,
                "customer_id": customer_id,
                "detail": Jsonb(detail or {}),
                "address": address,
            },
        )

    def record_views(self, views: Sequence[View]) -> Sequence[None]:
        """Add a line for each customer whom somebody looked at, and return nothing for each view."""
        lines = [(each.actor, each.action, customer) for each in views for customer in each.customer_ids]
        if lines:
            actors, actions, customers = map(list, zip(*lines, strict=True))
            self._ask("record_views", {"actors": actors, "actions": actions, "customers": customers})
        return [None] * len(views)

    def list_audit(
        self, *, before: int | None, limit: int, actor: str | None = None, customer_id: str | None = None
    ) -> Sequence[AuditEntry]:
        """Return lines of the audit log, the latest first.

        Args:
            before: only entries with a smaller id.
            limit: the most lines.
            actor: only of this account.
            customer_id: only about this customer.
        """
        values = {"before": before, "limit": limit, "actor": actor, "customer_id": customer_id}
        return [AuditEntry(*row) for row in self._ask("list_audit", values)]

    # Actions with an idempotency key

    def begin_action(self, account: str, key: str, fingerprint: bytes) -> BegunAction | None:
        """Begin a request under a key, and return None; or return the one that was begun under it before.

        Keys count for a day. The insertion decides between two requests that come at the same time.
        """
        values = {"account": account, "key": key, "fingerprint": fingerprint}
        self._ask("forget_actions", {"life": ACTION_LIFE})
        if self._ask("begin_action", values):
            return None
        rows = self._ask("find_action", values)
        # There are no rows where the other request has released the key in between.
        return BegunAction(*rows[0]) if rows else self.begin_action(account, key, fingerprint)

    def end_action(self, account: str, key: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Store the answer of a request."""
        values = {"account": account, "key": key, "status": status, "headers": Jsonb(dict(headers)), "body": body}
        self._ask("end_action", values)

    def release_action(self, account: str, key: str) -> None:
        """Let the key of a request that did nothing be used again."""
        self._ask("release_action", {"account": account, "key": key})

    def _ask(self, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._pool.ask(QUERIES[query], values)


def _account(row: tuple[Any, ...]) -> Account:
    name, role, *rest = row
    return Account(name, Role(role), *rest)


def _one(rows: Sequence[tuple[Any, ...]]) -> tuple[str, Role] | None:
    return (rows[0][0], Role(rows[0][1])) if rows else None
