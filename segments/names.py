"""Names with dots, and what they lead to.

A name is that of a member with this whole name, where there is one, and otherwise leads into objects and arrays; a dot
behind a backslash belongs to the name. JavaScript knows the second reading only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MISSING = object()
"""What a look-up returns where there is nothing, not even null."""

_DOT = re.compile(r"(?<!\\)\.")


def split_name(name: str) -> tuple[str, ...]:
    """Return the parts of a name, between its dots."""
    return tuple(part.replace(r"\.", ".") for part in _DOT.split(name))


def look_up(data: Any, keys: Sequence[str]) -> Any:
    """Return the member of the whole name or the part that the keys lead to, or MISSING."""
    if len(keys) > 1 and isinstance(data, dict) and (name := ".".join(keys)) in data:
        return data[name]
    return find_part(data, keys)


def find_part(cell: Any, keys: Sequence[str]) -> Any:
    """Return the part of a value that the keys lead to, or MISSING."""
    for key in keys:
        if isinstance(cell, dict) and key in cell:
            cell = cell[key]
        elif isinstance(cell, list) and key.isdecimal() and int(key) < len(cell):
            cell = cell[int(key)]
        else:
            return MISSING
    return cell
