"""The user of this process: the name that records of promotions, activations and requeues keep."""

from __future__ import annotations

import getpass
import os


def current_user() -> str:
    """Return the user's name, or `uid N` where the system has no name for the user, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
