"""Writes docs/settings.md from the code: `python -m tests.settings_table`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streams.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Every setting is an environment variable, read once when a command starts. A value that cannot be used ends the
command with one sentence that names the variable, and exit code 2. `holdfast up` prints the variables that reach
its services.

This page is written from `streams/settings.py` by `python -m tests.settings_table`, and a test compares the two.

"""


def render_page() -> str:
    """Return the page: one row for each field of the settings."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    rows += [
        f"| `{field.alias}` | {_tell_default(field.default)} | {field.description} |"
        for field in Settings.model_fields.values()
    ]
    return HEAD + "\n".join(rows) + "\n"


def _tell_default(default: Any) -> str:
    if default is None or default == "":
        return ""
    if isinstance(default, bool | dict):
        return f"`{json.dumps(default)}`"
    return f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
