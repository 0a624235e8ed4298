"""Exit codes of the command."""

from __future__ import annotations

REFUSED = 2
"""A person must correct something; a sentence on stderr says what."""
ALERT = 3
"""What is watched has left its limits; the output says what."""
INTERRUPTED = 130
"""Ctrl-C ended the command."""
