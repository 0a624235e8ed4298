"""Issues API keys."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from console.access.tokens import make_key

if TYPE_CHECKING:
    from console.access.postgres_accounts import PostgresAccounts


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; its secret is nowhere else."""

    key_id: str
    account: str
    secret: str = field(repr=False)


def issue_key(accounts: PostgresAccounts, name: str, *, days: int | None, by: str) -> IssuedKey:
    """Add a key to an account.

    Args:
        accounts: the ledger's.
        name: of the account.
        days: the key expires after so many; None: never.
        by: who asks for it.

    Raises:
        AccessError: there is no such account, or it is disabled.
    """
    issued = IssuedKey(secrets.token_hex(4), name, make_key())
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    accounts.add_key(issued.key_id, issued.secret, name, by=by, expires_at=expires_at)
    return issued
