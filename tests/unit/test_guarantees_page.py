"""docs/failure-modes.md and docs/guarantees.md name tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [(ROOT / "docs" / page).read_text() for page in ("failure-modes.md", "guarantees.md")]
NAMED = [found for page in PAGES for found in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)]


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_of_a_trap_is_named() -> None:
    """Those of tests/faults/test_traps_*.py."""
    files = sorted((ROOT / "tests" / "faults").glob("test_traps_*.py"))
    written = {
        (file.relative_to(ROOT).as_posix(), name)
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert written
    assert written <= set(NAMED)
