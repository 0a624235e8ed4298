"""Discovered concerns are written as a file of concerns, which can be read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from console.use_cases.concern_proposals import write_proposals
from intelligence.discovery import DiscoveredConcern, Growth
from intelligence.errors import ConcernsFileError
from models.errors import TaxonomyError
from models.taxonomy import SHIPPED_FILE, load_taxonomy, read_taxonomy
from streams.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

FOUND = [
    DiscoveredConcern(
        "voucher_code", ("voucher", "code declined"), frozenset(), 9, 9, -0.4, 0.9, Growth(9, 9, 0, 9), ()
    ),
    DiscoveredConcern("price", ("pricey",), frozenset(), 9, 9, -0.4, 0.9, Growth(9, 9, 0, 9), ()),
]


@pytest.mark.parametrize("name", ["concerns.json", "concerns.yaml"])
def test_what_is_found_is_added_to_the_concerns_of_today(tmp_path: Path, name: str) -> None:
    """A name that is there already is not changed."""
    assert write_proposals(Settings(), tmp_path / name, FOUND) == ["voucher_code"]
    written, shipped = read_taxonomy(tmp_path / name), read_taxonomy(SHIPPED_FILE)
    assert written.concerns == {**shipped.concerns, "voucher_code": ["voucher", "code declined"]}
    assert written.urgency == shipped.urgency
    assert load_taxonomy(tmp_path / name).labels["code declined"] == {"voucher_code"}


def test_a_file_that_exists_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('{"concerns": {"voucher_code": ["mine"]}, "languages": ["en", "de"]}')
    assert write_proposals(Settings(), path, FOUND) == ["price"]
    written = read_taxonomy(path)
    assert written.concerns["voucher_code"] == ["mine"]
    assert (set(written.languages), written.urgency) == ({"en", "de"}, None)


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "letter.json"
    path.write_text("dear all")
    with pytest.raises(TaxonomyError, match="no file of concerns"):
        write_proposals(Settings(), path, FOUND)
    assert path.read_text() == "dear all"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "concerns.json"
    with pytest.raises(ConcernsFileError, match="cannot be written: No such file or directory"):
        write_proposals(Settings(), path, FOUND)
