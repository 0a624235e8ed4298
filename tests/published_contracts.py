"""The published contracts: `python -m tests.published_contracts` writes docs/asyncapi.json from the code.

With `--release` it also writes what later changes are compared with, tests/data/released_messages.json, and refuses
changes that break a released message. Run it so with each release.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from streams.contracts.asyncapi import DOCUMENT, describe_topics, write_document
from streams.contracts.compatibility import find_breaks
from streams.contracts.messages import MessageContract, all_messages

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / DOCUMENT
RELEASED = ROOT / "tests" / "data" / "released_messages.json"


def read_released() -> list[MessageContract]:
    """Return the messages of the latest release."""
    return [MessageContract(**each) for each in json.loads(RELEASED.read_text(encoding="utf-8"))]


def write_released() -> None:
    """Let later changes be compared with the present messages.

    Raises:
        SystemExit: a released message would break.
    """
    if RELEASED.exists() and (breaks := find_breaks(read_released(), all_messages())):
        sys.exit("\n".join(["these changes need a new version of their message:", *breaks]))
    kept = [{name: part for name, part in asdict(each).items() if name != "examples"} for each in all_messages()]
    RELEASED.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if "--release" in sys.argv:
        write_released()
    PAGE.write_text(write_document(describe_topics()), encoding="utf-8")
