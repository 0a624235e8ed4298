"""Text messages are counted and limited in the parts that they are sent in."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from campaigns.channels import Channel
from campaigns.errors import MessageError
from campaigns.messages import refuse_segments
from campaigns.sms import count_segments
from campaigns.triggers import trigger_body
from tests.builders import decision


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # The euro sign does not fit into the last place of a part.
        ("a" * 152 + "€" + "a" * 153, 3),
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("Ç" * 160, 1),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        # 66 places of 67 are used: a character is not divided.
        ("😀" * 66, 2),
        ("😀" * 67, 3),
    ],
)
def test_parts_are_counted_by_the_alphabet_of_the_text(text: str, segments: int) -> None:
    assert count_segments(text) == segments


def test_a_message_of_too_many_parts_is_refused() -> None:
    refuse_segments("a" * 160, 1)
    with pytest.raises(MessageError, match="2 SMS segments; 1 are allowed"):
        refuse_segments("a" * 161, 1)


def test_parts_are_of_text_only() -> None:
    with pytest.raises(ValidationError, match="max_segments is for a channel of message_format text"):
        Channel(key="email", message_format="html", max_segments=1)


@pytest.mark.parametrize(("limit", "counted"), [(3, 1), (None, None)])
def test_a_trigger_says_how_many_parts_where_its_channel_counts_them(limit: int | None, counted: int | None) -> None:
    made = decision()
    channels = {"email": Channel(key="email", message_format="text", max_segments=limit)}
    campaign = type(made.candidate.campaign).model_validate(
        made.candidate.campaign.model_dump() | {"channels": ("email",)}, context={"channels": channels}
    )
    sent = replace(made, candidate=replace(made.candidate, campaign=campaign), channel="email", message="Hello")
    assert trigger_body(sent).get("message_segments") == counted
