"""Discovered concerns as a file of concerns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from intelligence.errors import ConcernsFileError
from models.taxonomy import SHIPPED_FILE, read_taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from intelligence.discovery import DiscoveredConcern
    from streams.settings import Settings


def write_proposals(settings: Settings, path: Path, found: Sequence[DiscoveredConcern]) -> list[str]:
    """Write today's concerns and those found to a file, JSON or YAML by its name; return the names added.

    Where the file exists, its concerns are kept in place of today's. A name that is there already is not changed.

    Raises:
        ConcernsFileError: the file cannot be written.
        TaxonomyError: the file that exists, or today's, is no file of concerns.
    """
    today = read_taxonomy(path if path.exists() else settings.concerns_file or SHIPPED_FILE)
    added = {each.id: list(each.words) for each in found if each.id not in today.concerns}
    content = msgspec.to_builtins(msgspec.structs.replace(today, concerns={**today.concerns, **added}))
    if content["urgency"] is None:
        del content["urgency"]
    if path.suffix in {".yaml", ".yml"}:
        text = "".join(_as_yaml(content))
    else:
        text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConcernsFileError(f"{path} cannot be written: {error.strerror}") from error
    return list(added)


def _as_yaml(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines of YAML: one for each name, its value in JSON, which is YAML, too."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield f"{key}:\n"
            yield from (
                f"  {json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}\n" for name, each in value.items()
            )
        else:
            yield f"{key}: {json.dumps(value, ensure_ascii=False)}\n"
