"""Campaign and offer files: what is refused says which file, where in it, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.channels import SHIPPED, Channel
from campaigns.definition import Campaign, Launch, load_campaigns, load_definitions
from segments.definition_files import MAX_FILE_BYTES
from segments.errors import DefinitionError
from tests.builders import campaign

if TYPE_CHECKING:
    from pathlib import Path

OFFERS = [
    {"id": 1, "key": "gift", "name": "A gift"},
    {"id": 3, "key": "discount", "name": "A discount"},
    {"id": 2, "key": "points", "name": "Points"},
]
WHATSAPP = {"key": "whatsapp", "message_format": "text", "max_characters": 1000}
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
    with pytest.raises(DefinitionError) as refused:
        load_campaigns(folder, segments=["at-risk", "vip"])
    return str(refused.value)


def test_the_shipped_definitions_load() -> None:
    """Each names a shipped segment and offers that exist; one of them waits for an operator."""
    shipped = load_definitions(None)
    assert {each.key for each in shipped.campaigns} >= {"retention-high-risk", "promotion-medium-risk", "vip-offers"}
    assert sorted(shipped.offers) == list(range(1, 9))
    assert [each.key for each in shipped.campaigns if each.launch is Launch.BY_OPERATOR] == ["vip-offers"]
    assert {key: each.message_format for key, each in shipped.channels.items()} == {
        "email": "html",
        "sms": "text",
        "push": "text",
    }


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
        ({"offers": [1, 8, 9]}, "$.offers", "[8, 9], which offers.json does not define"),
        ({"offers": []}, "$.offers", "at least 1 item"),
        ({"colour": "red"}, "$.colour", "Extra inputs are not permitted"),
        ({"channels": ["pigeon"]}, "$.channels", "unknown channel 'pigeon'; known channels: email, push, sms"),
        ({"key": "Win Back"}, "$.key", "should match pattern"),
        ({"holdout_percent": 51}, "$.holdout_percent", "less than or equal to 50"),
        ({"cooldown_days": -1}, "$.cooldown_days", "greater than or equal to 0"),
        ({"valid_days": 0}, "$.valid_days", "greater than or equal to 1"),
        ({"launch": "whenever"}, "$.launch", "'on_enter', 'on_leave', 'on_event' or 'by_operator'"),
        ({"launch": "on_event"}, "$.event", "launch on_event waits for an event; name it: customer.updated or conv"),
        ({"event": "customer.updated"}, "$.event", "an event is for launch on_event, and this campaign has on_enter"),
        ({"launch": "on_event", "event": "outcome.opened"}, "$.event", "'customer.updated' or 'conversation.message'"),
        ({"message": "Hello {{ name"}, "$.message", "does not compile"),
        ({"message": "{% for a in b %}{{ a }}{% endfor %}"}, "$.message", "line 1 uses For"),
        ({"message": ""}, "$.message", "at least 1 character"),
        (
            {"message": "Take {{ offer.nmae }}"},
            "$.message",
            "an offer has no 'nmae' for messages; it has: id, key, name",
        ),
        (
            {"message": "Take {{ offer['price'] }}"},
            "$.message",
            "an offer has no 'price' for messages; it has: id, key, name",
        ),
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


@pytest.mark.parametrize("file", ["wrong.json", "offers.json", "channels.json"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[1, 2", "Expecting"),
        ("nonsense", "Expecting value"),
        ('{"key": "a", "key": "b"}', "key 'key' appears twice"),
        ('{"holdout_percent": NaN}', "NaN is not a JSON number"),
    ],
)
def test_bad_json_is_refused_in_every_file(tmp_path: Path, file: str, text: str, why: str) -> None:
    write(tmp_path, "offers.json", OFFERS)
    path = write(tmp_path, file, text)
    said = refusal(tmp_path)
    assert said.startswith(f"{path}: not valid JSON")
    assert why in said


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
        ([{**OFFERS[0], "id": 0}], "$[0].id: Input should be greater than or equal to 1"),
        (OFFERS[:2], "no offer has id 2; number the offers from 1 to 2 without gaps"),
        ([{**OFFERS[0], "price": 3}], "$[0].price: Extra inputs are not permitted"),
        ({"offers": OFFERS}, "$: Input should be a valid array"),
        ([{**OFFERS[0], "value": -1}], "$[0].value: Input should be greater than or equal to 0"),
        ([{**OFFERS[0], "value": 5}, {**OFFERS[0], "id": 2}], "offer 1 has a value and offer 2 has none; give every"),
    ],
)
def test_wrong_offers_are_refused(tmp_path: Path, offers: Any, why: str) -> None:
    path = write(tmp_path, "offers.json", offers)
    assert refusal(tmp_path).startswith(f"{path}: {why}")


def test_the_value_of_an_offer_is_part_of_the_versions_of_its_campaigns(tmp_path: Path) -> None:
    """A campaign with other offers keeps its version."""

    def versions(value: float) -> list[str]:
        worth = [{**OFFERS[0], "id": 1, "value": 10}, {**OFFERS[0], "id": 2, "value": value}]
        write(tmp_path, "offers.json", worth)
        write(tmp_path, "a.json", {**GOOD, "key": "first", "offers": [1]})
        write(tmp_path, "b.json", {**GOOD, "key": "second", "offers": [1, 2]})
        return [each.version for each in load_campaigns(tmp_path, segments=["at-risk"])[0]]

    cheap, dear = versions(10), versions(20)
    assert cheap[0] == dear[0]
    assert cheap[1] != dear[1]


def test_there_may_be_any_number_of_offers(tmp_path: Path) -> None:
    write(tmp_path, "offers.json", [{**OFFERS[0], "id": number} for number in range(1, 13)])
    write(tmp_path, "a.json", {**GOOD, "offers": [12]})
    assert sorted(load_campaigns(tmp_path, segments=["at-risk"])[1]) == list(range(1, 13))


def test_a_folder_in_the_place_of_the_offers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "offers.json").mkdir()
    write(tmp_path, "a.json", GOOD)
    assert refusal(tmp_path) == f"{tmp_path / 'offers.json'}: this is a folder; a JSON or YAML file is needed"


def test_a_channel_is_added_by_its_file_alone(tmp_path: Path) -> None:
    shipped = json.loads((SHIPPED / "channels.json").read_text())
    write(tmp_path, "offers.json", OFFERS)
    write(tmp_path, "channels.json", [*shipped, WHATSAPP])
    write(tmp_path, "a.json", {**GOOD, "channels": ["whatsapp", "email"]})
    ((found,), _) = load_campaigns(tmp_path, segments=["at-risk"])
    channel = found.channels_by_key["whatsapp"]
    assert (channel.consent_column, channel.message_format, channel.max_characters) == (
        "whatsapp_consent",
        "text",
        1000,
    )


@pytest.mark.parametrize(
    ("channels", "why"),
    [
        ([WHATSAPP, WHATSAPP], "$[1].key 'whatsapp' appears twice"),
        ([{"key": "whatsapp"}], "$[0].message_format: Field required"),
        ([{**WHATSAPP, "message_format": "markdown"}], "$[0].message_format: Input should be 'html' or 'text'"),
        ([{**WHATSAPP, "key": "Whats App"}], "$[0].key: String should match pattern"),
        (
            [{**WHATSAPP, "consent_values": {"given": ["Y"], "denied": ["Y "]}}],
            "$[0].consent_values: 'Y' is both given",
        ),
        (
            [{**WHATSAPP, "consent_values": {"given": []}}],
            "$[0].consent_values.given: Tuple should have at least 1 item",
        ),
        ([{**WHATSAPP, "colour": "green"}], "$[0].colour: Extra inputs are not permitted"),
        ([{**WHATSAPP, "max_characters": 0}], "$[0].max_characters: Input should be greater than or equal to 1"),
    ],
)
def test_wrong_channels_are_refused(tmp_path: Path, channels: Any, why: str) -> None:
    write(tmp_path, "offers.json", OFFERS)
    path = write(tmp_path, "channels.json", channels)
    assert refusal(tmp_path).startswith(f"{path}: {why}")


def test_the_version_changes_with_a_channel_that_is_not_as_shipped() -> None:
    """Its consent column decides, too."""
    email = {"key": "email", "message_format": "html", "consent_column": "may_mail"}
    own = {"email": Channel.model_validate(email)}
    changed = Campaign.model_validate(GOOD, context={"channels": own})
    assert changed.version != Campaign.model_validate(GOOD).version


def test_the_version_changes_with_what_decides_and_not_with_the_description() -> None:
    one = campaign()
    assert campaign(description="in other words").version == one.version
    assert campaign(cooldown_days=1).version != one.version
    assert campaign(message="other words").version != one.version


def test_the_version_is_fixed_for_ever() -> None:
    """It is recorded with every decision: another release must give the same."""
    assert Campaign.model_validate(GOOD).version == "d925b668f756"


VARIANTS = [{"key": "plain"}, {"key": "gift", "share": 3, "offers": [1], "message": "Take {{ offer.name }}"}]


def test_a_variant_is_the_campaign_with_what_it_changes() -> None:
    varied = campaign(variants=VARIANTS)
    assert (varied.by_variant["plain"].message, varied.by_variant["plain"].offers) == (varied.message, varied.offers)
    assert (varied.by_variant["gift"].message, varied.by_variant["gift"].offers) == ("Take {{ offer.name }}", (1,))
    assert varied.by_variant["gift"].channels_by_key == varied.channels_by_key


def test_variants_change_the_version_and_their_absence_does_not() -> None:
    assert campaign(variants=[]).version == campaign().version
    assert (
        len({campaign().version, campaign(variants=VARIANTS).version, campaign(variants=VARIANTS[::-1]).version}) == 3
    )


def test_the_facts_of_every_variant_are_read() -> None:
    varied = campaign(message="{{ a }}", variants=[{"key": "x", "message": "{{ b }}"}, {"key": "y"}])
    assert varied.message_facts == {"a", "b"}


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        ([{"key": "one"}], "2 to 10 variants, or none; here are 1"),
        ([{"key": "one"}, {"key": "one"}], "key 'one' is used twice"),
        (
            [{"key": "one"}, {"key": "two", "message": "{{ x"}],
            "$.variants[1].message: the message template does not compile",
        ),
        ([{"key": "one"}, {"key": "two", "message": "{{ offer.cost }}"}], "an offer has no 'cost' for messages"),
        ([{"key": "one"}, {"key": "two", "share": 0}], "$.variants[1].share"),
        ([{"key": "one"}, {"key": "two", "offers": [1, 9]}], "$.variants[1].offers names [9]"),
        ([{"key": "one"}, {"key": "two", "rule": {}}], "$.variants[1].rule"),
        (
            [{"key": "one"}, {"key": "two", "message": {"sms": "x"}}],
            "message of 'two': 'sms' is none of the campaign's",
        ),
    ],
)
def test_variants_that_cannot_be_used_are_refused(tmp_path: Path, variants: list[Any], says: str) -> None:
    write(tmp_path, "offers.json", OFFERS)
    write(tmp_path, "win-back.json", {**GOOD, "variants": variants})
    assert says in refusal(tmp_path)
