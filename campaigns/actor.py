"""Who acts: the name that the ledger keeps beside what a person or a worker changed."""

from __future__ import annotations

import getpass
import os


def name_actor() -> str:
    """Return the user's name, or the number of one without a name, as containers have them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
