"""Roles and what each may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """The role of an account."""

    VIEWER = "viewer"
    CARE = "care"
    MARKETER = "marketer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Permission(StrEnum):
    """What an address needs. Each address needs one."""

    READ = "read"
    """Look at figures: status, segments, campaigns, models, analytics; no customer."""
    VIEW_CUSTOMERS = "view customers"
    """Look at single customers, and predict for them."""
    SEE_PERSONAL = "see personal columns"
    """See what identifies a customer: names, addresses, messages."""
    ACT_FOR_CUSTOMERS = "act for customers"
    """Give feedback, ask for no contact, forget."""
    EDIT_DEFINITIONS = "edit definitions"
    """Change segments and campaigns, activate and launch them."""
    STOP_CAMPAIGNS = "stop campaigns"
    """Stop and resume campaigns."""
    BACKTEST = "backtest"
    """Estimate from the record what other definitions would have sent."""
    OPERATE = "operate"
    """Requeue dead letters, replay, promote models, read the audit log."""
    ADMINISTER = "administer"
    """Manage accounts and keys."""


_LOOKS = frozenset({Permission.READ, Permission.VIEW_CUSTOMERS})
PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.CARE: _LOOKS | {Permission.SEE_PERSONAL, Permission.ACT_FOR_CUSTOMERS},
    Role.MARKETER: _LOOKS | {Permission.EDIT_DEFINITIONS, Permission.STOP_CAMPAIGNS, Permission.BACKTEST},
    Role.OPERATOR: _LOOKS | {Permission.STOP_CAMPAIGNS, Permission.BACKTEST, Permission.OPERATE},
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request.

    Attributes:
        name: of the account; `local` where no sign-in is needed.
        role: decides what they may do.
        csrf_token: what their forms must carry; None where the request came with an API key.
    """

    name: str
    role: Role
    csrf_token: str | None = None

    def may(self, permission: Permission) -> bool:
        """Return whether the role has a permission."""
        return permission in PERMISSIONS[self.role]
