"""The types of messages and files, made ready before threads use them.

msgspec makes what it needs to read a type at the first use of it. Where two threads do so at once the process ends with
a segmentation fault (msgspec 0.22.0; tests/unit/test_struct_types.py has the loop that shows it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def build_struct_types() -> Sequence[type[msgspec.Struct]]:
    """Make every type that is imported by now ready, and return those that msgspec cannot read."""
    return [each for each in _list_subclasses(msgspec.Struct) if not _is_built(each)]


def _is_built(struct: type[msgspec.Struct]) -> bool:
    try:
        msgspec.json.Decoder(struct)
    except (NameError, TypeError):
        return False
    return True


def _list_subclasses(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for each in struct.__subclasses__():
        yield each
        yield from _list_subclasses(each)
