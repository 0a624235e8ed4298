"""The file of concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from models.errors import TaxonomyError
from models.sentiment import MessageReader, load_concerns

if TYPE_CHECKING:
    from pathlib import Path

    from features.signals import MessageReading

YAML = """
languages: [en, de]
concerns:
  invoice: [invoice, rechnung, "bill is wrong"]
  wrong_bill: ["bill"]
urgency:
  high: {words: [sofort], exclamation_marks: 2}
"""


def read(path: Path, text: str) -> MessageReading:
    return MessageReader(load_concerns(path)).read([text])[0]


def test_a_file_replaces_the_concerns(tmp_path: Path) -> None:
    path = tmp_path / "concerns.yaml"
    path.write_text(YAML)
    assert read(path, "The INVOICE is too expensive").concerns == ("invoice",)
    assert read(path, "My bill is wrong").concerns == ("invoice", "wrong_bill")
    assert read(path, "the billing").concerns == ()
    assert read(path, "cancel my account").wants_to_cancel


def test_urgency_is_by_words_and_marks_and_the_shipped_one_where_a_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "concerns.yaml"
    path.write_text(YAML)
    assert [read(path, text).urgency for text in ("sofort", "now!!", "soon")] == ["high", "high", "none"]
    path = tmp_path / "concerns.json"
    path.write_text('{"concerns": {"invoice": ["invoice"]}}')
    assert [read(path, text).urgency for text in ("It is URGENT", "reply soon", "hello")] == ["high", "normal", "none"]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("", "Expected `object`"),
        ("{", "malformed"),
        ('{"concerns": {}}', "length >= 1"),
        ('{"concerns": {"Price": ["x"]}}', "matching regex"),
        ('{"concerns": {"price": []}}', "length >= 1"),
        ('{"concerns": {"price": ["  "]}}', "matching regex"),
        ('{"concerns": {"price": "expensive"}}', "Expected `array`"),
        ('{"concern": {"price": ["x"]}}', "unknown field `concern`"),
        ('{"concerns": {"price": ["x"]}, "languages": ["English"]}', "matching regex"),
        ('{"concerns": {"price": ["x"]}, "urgency": {"low": {}}}', "unknown field `low`"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_file_that_cannot_be_used_is_refused_with_the_place(
    tmp_path: Path, content: str, wrong: str, suffix: str
) -> None:
    path = tmp_path / f"concerns{suffix}"
    path.write_text(content)
    with pytest.raises(TaxonomyError, match=r"no file of concerns: .*write lowercase names") as refused:
        load_concerns(path)
    assert wrong in str(refused.value) or not content or content == "{"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match=r"gone\.json: cannot be read"):
        load_concerns(tmp_path / "gone.json")
