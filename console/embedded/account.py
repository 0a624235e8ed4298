"""The account that runs PostgreSQL when this process is root: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from typing import TYPE_CHECKING

from console.embedded.errors import EmbeddedError
from console.embedded.process import Account

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PREFERRED = ("postgres", "nobody")


def choose_account(cluster: Path) -> Account | None:
    """Return an unprivileged account that exists, or None when this process is not root.

    An existing cluster is run by its owner.

    Raises:
        EmbeddedError: root owns the cluster, or the system has none of the usual accounts.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists():
        owner = cluster.stat()
        if owner.st_uid == 0:
            raise EmbeddedError(f"{cluster} belongs to root, and PostgreSQL does not run as root. Remove that folder.")
        return Account(owner.st_uid, owner.st_gid)
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and no account named {' or '.join(_PREFERRED)} exists. "
        "Run as an ordinary user, or create one of them."
    )


def open_way(path: Path, report: Callable[[str], None]) -> None:
    """Give every account the search permission, not the read permission, on the folders above `path`.

    Only as root; each changed folder is reported.
    """
    for folder in path.resolve().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            report(f"chmod o+x {folder}: PostgreSQL does not run as root and must reach its data")
