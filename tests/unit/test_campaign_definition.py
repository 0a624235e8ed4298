"""Campaign and offer files: what is refused says which file, where in it, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import campaigns.definition
from campaigns.definition import MAX_FILE_BYTES, Campaign, Launch, load_campaigns
from campaigns.errors import CampaignDefinitionError
from segments.definition import SHIPPED, load_segments
from tests.builders import campaign

OFFERS = [{"id": 1, "key": "gift", "name": "A gift"}, {"id": 3, "key": "discount", "name": "A discount"}]
GOOD = {
    "key": "win-back",
    "name": "Win back",
    "segment": "at-risk",
    "offers": [1, 3],
    "channels": ["email"],
    "message": "For you: {{ offer.name }}",
}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(folder: Path) -> str:
    with pytest.raises(CampaignDefinitionError) as refused:
        load_campaigns(folder, segments=["at-risk", "vip"])
    return str(refused.value)


def test_the_shipped_definitions_load() -> None:
    """Each names a shipped segment and offers that exist; one of them waits for an operator."""
    folder = Path(campaigns.definition.__file__).parent / "definitions"
    found, offers = load_campaigns(folder, segments={segment.key for segment in load_segments(SHIPPED)})
    assert {each.key for each in found} >= {"retention-high-risk", "promotion-medium-risk", "vip-offers"}
    assert sorted(offers) == list(range(1, 9))
    assert [each.key for each in found if each.launch is Launch.BY_OPERATOR] == ["vip-offers"]


def test_a_good_folder_is_read_in_the_order_of_its_file_names(tmp_path: Path) -> None:
    write(tmp_path, "offers.json", OFFERS)
    write(tmp_path, "b.json", GOOD)
    write(tmp_path, "a.json", {**GOOD, "key": "second"})
    found, offers = load_campaigns(tmp_path, segments=["at-risk"])
    assert [each.key for each in found] == ["second", "win-back"]
    assert offers[3].name == "A discount"


@pytest.mark.parametrize(
    ("changes", "where", "why"),
    [
        ({"segment": "nowhere"}, "$.segment", "'nowhere', which is not defined; known segments: at-risk, vip"),
        ({"offers": [1, 2, 9]}, "$.offers", "[2, 9], which offers.json does not define"),
        ({"offers": []}, "$.offers", "at least 1 item"),
        ({"colour": "red"}, "$.colour", "Extra inputs are not permitted"),
        ({"channels": ["pigeon"]}, "$.channels[0]", "'email', 'sms' or 'push'"),
        ({"key": "Win Back"}, "$.key", "should match pattern"),
        ({"holdout_percent": 51}, "$.holdout_percent", "less than or equal to 50"),
        ({"cooldown_days": -1}, "$.cooldown_days", "greater than or equal to 0"),
        ({"valid_days": 0}, "$.valid_days", "greater than or equal to 1"),
        ({"launch": "whenever"}, "$.launch", "'on_enter' or 'by_operator'"),
        ({"message": "Hello {{ name"}, "$.message", "does not compile"),
        ({"message": "{% for a in b %}{{ a }}{% endfor %}"}, "$.message", "line 1 uses For"),
        ({"message": ""}, "$.message", "at least 1 character"),
    ],
)
def test_a_wrong_field_is_refused_with_file_path_and_reason(
    tmp_path: Path, changes: dict[str, Any], where: str, why: str
) -> None:
    write(tmp_path, "offers.json", OFFERS)
    path = write(tmp_path, "wrong.json", {**GOOD, **changes})
    said = refusal(tmp_path)
    assert said.startswith(f"{path}: {where}")
    assert why in said


@pytest.mark.parametrize("field", ["key", "name", "segment", "offers", "channels", "message"])
def test_a_missing_field_is_refused(tmp_path: Path, field: str) -> None:
    write(tmp_path, "offers.json", OFFERS)
    path = write(tmp_path, "wrong.json", {name: value for name, value in GOOD.items() if name != field})
    assert refusal(tmp_path) == f"{path}: $.{field}: Field required"


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "\ufeff{}", "nonsense"])
def test_bad_json_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, "offers.json", OFFERS)
    path = write(tmp_path, "wrong.json", text)
    assert refusal(tmp_path).startswith(f"{path}: $: Invalid JSON")


def test_a_key_used_twice_is_refused_with_both_files(tmp_path: Path) -> None:
    write(tmp_path, "offers.json", OFFERS)
    first, second = write(tmp_path, "a.json", GOOD), write(tmp_path, "b.json", GOOD)
    assert refusal(tmp_path) == f"{second}: $.key 'win-back' is already used by {first}; choose another"


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    write(tmp_path, "offers.json", OFFERS)
    path = write(tmp_path, "large.json", " " * (MAX_FILE_BYTES + 1))
    assert refusal(tmp_path) == f"{path}: 262,145 bytes; a definition file may have 262,144 at most"


def test_a_folder_without_offers_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.json", GOOD)
    assert refusal(tmp_path).startswith(f"{tmp_path / 'offers.json'}: cannot be read (No such file or directory)")


@pytest.mark.parametrize(
    ("offers", "why"),
    [
        ([OFFERS[0], OFFERS[0]], "two offers have the same id"),
        ([{**OFFERS[0], "id": 1001}], "$[0].id: Input should be less than or equal to 1000"),
        ([{**OFFERS[0], "price": 3}], "$[0].price: Extra inputs are not permitted"),
        ({"offers": OFFERS}, "$: Input should be a valid array"),
    ],
)
def test_wrong_offers_are_refused(tmp_path: Path, offers: Any, why: str) -> None:
    path = write(tmp_path, "offers.json", offers)
    assert refusal(tmp_path).startswith(f"{path}: {why}")


def test_the_version_changes_with_what_decides_and_not_with_the_description() -> None:
    one = campaign()
    assert campaign(description="in other words").version == one.version
    assert campaign(cooldown_days=1).version != one.version
    assert campaign(message="other words").version != one.version


def test_the_version_is_fixed_for_ever() -> None:
    """It is recorded with every decision: another release must give the same."""
    assert Campaign.model_validate(GOOD).version == "d925b668f756"
