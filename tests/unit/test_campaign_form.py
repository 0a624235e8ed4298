"""The form of a campaign: its buttons, its texts, and where it shows what the check of definitions says."""

from __future__ import annotations

from typing import Any

import pytest

from console.web.campaign_form import (
    CampaignForm,
    Part,
    Text,
    apply_button,
    build_campaign,
    draw_campaign,
    find_problems,
    is_entered,
)

EMAIL, SMS = Text("email", "en", "Hello"), Text("sms", "", "Hi")
VARIANTS = (Part({"key": "plain"}), Part({"key": "gift"}))
FORM = CampaignForm(Part({"key": "spring"}, texts={"message": (EMAIL, SMS)}), VARIANTS)


@pytest.mark.parametrize(
    ("button", "rows"),
    [
        ("add message c", (EMAIL, SMS, Text())),
        ("remove message c 0", (SMS,)),
        ("remove message c 7", (EMAIL, SMS)),
        ("remove message v9 0", (EMAIL, SMS)),
        ("", (EMAIL, SMS)),
    ],
)
def test_a_button_adds_and_removes_texts(button: str, rows: tuple[Text, ...]) -> None:
    assert apply_button(FORM, button).part.texts["message"] == rows


def test_a_button_adds_removes_and_moves_variants() -> None:
    plain, gift = VARIANTS
    assert apply_button(FORM, "add variant").variants == (plain, gift, Part())
    assert apply_button(FORM, "remove variant 0").variants == (gift,)
    assert apply_button(FORM, "up variant 1").variants == (gift, plain)


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ((Text("", "", "Hello"), Text()), "Hello"),
        ((EMAIL, Text("email", "de", "Hallo"), SMS), {"email": {"en": "Hello", "de": "Hallo"}, "sms": "Hi"}),
    ],
)
def test_texts_are_written_as_definitions_have_them(rows: tuple[Text, ...], texts: Any) -> None:
    assert build_campaign(CampaignForm(Part(texts={"message": rows}))) == ({"message": texts}, {})


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (Text("", "", "Hello"), "stands alone"),
        (Text("email", "en", "Hi"), "another text in en"),
        (Text("email", "", "Hi"), "a language of its own"),
    ],
)
def test_a_text_that_cannot_stand_next_to_another_is_named(second: Text, problem: str) -> None:
    _, wrong = build_campaign(CampaignForm(Part(texts={"message": (EMAIL, second)})))
    assert problem in wrong["message-1:c"]


def test_what_is_in_a_field_and_in_the_json_is_refused() -> None:
    _, wrong = build_campaign(CampaignForm(Part({"key": "a"}, rest='{"key": "b"}')))
    assert "key is in the fields, too" in wrong["rest:c"]
    _, wrong = build_campaign(CampaignForm(Part(rest="[1]")))
    assert "JSON object" in wrong["rest:c"]


def test_what_is_no_number_is_left_to_the_check() -> None:
    content, wrong = build_campaign(CampaignForm(Part({"cooldown_days": "soon", "priority": " 5 "})))
    assert (content, wrong) == ({"cooldown_days": "soon", "priority": 5}, {})


def test_each_problem_is_said_at_its_field() -> None:
    said = (
        "campaign spring: $.segment names 'x', which is not defined; known segments: a; "
        "$.message: email.en: no such filter; $.variants[1].offers names [9]; $.breaker.hours: too many; "
        "$.odd: Extra inputs are not permitted"
    )
    assert find_problems(said, "spring", FORM) == {
        "segment:c": "names 'x', which is not defined; known segments: a",
        "message-0:c": "no such filter",
        "offers:v1": "names [9]",
        "breaker_hours:c": "too many",
        "": "$.odd: Extra inputs are not permitted",
    }


def test_a_problem_of_another_definition_is_said_above_the_form() -> None:
    assert find_problems("segment a: $.rule reads 'x'", "spring", FORM) == {"": "segment a: $.rule reads 'x'"}


def test_an_empty_field_is_not_entered() -> None:
    form = draw_campaign({"key": "a", "channels": ["email"]})
    assert [is_entered(form, f"{name}:c") for name in ("key", "name", "channels", "offers", "message")] == [
        True,
        False,
        True,
        False,
        False,
    ]
