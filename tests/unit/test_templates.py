"""Templates per channel and locale, and subjects."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from campaigns.candidates import Definitions
from campaigns.channels import Channel
from campaigns.decide import ContactHistory, Decision, Outcome
from campaigns.triggers import trigger_message
from campaigns.unknown_facts import find_unknown_facts
from tests.builders import campaign, candidate, decide, facts, offers, scores

GREETING = {
    "email": {"de": "<p>Hallo {{ name }}, {{ spent | number(1) }}</p>", "en": "<p>Hello {{ name }}</p>"},
    "sms": "For you: {{ offer.name }}",
}
TRIGGER = Draft202012Validator(
    json.loads(files("campaigns").joinpath("schemas/trigger.schema.json").read_text(encoding="utf-8"))
)


def decided(stated: Any = None, *, preferred: str = "email", name: Any = "Ann", **changes: Any) -> Decision:
    """The decision about a customer whose row states a locale."""
    written = campaign(**{"message": GREETING, "locale_column": "language", **changes})
    row = facts(language=stated, name=name, spent=1234.5, preferred_channel=preferred)
    return decide(candidate(campaign=written), row, ContactHistory(), offers(), scores(3))


def problem(**changes: Any) -> str:
    """The sentence with which a campaign is refused."""
    with pytest.raises(ValidationError) as refused:
        campaign(**changes)
    (error,) = refused.value.errors()
    return f"{error['loc'][0]}: {error['msg'].removeprefix('Value error, ')}"


@pytest.mark.parametrize("stated", ["de", "DE", "de-AT", "de_AT", "de_DE.UTF-8", " de ", "de-Latn-DE-1996"])
def test_a_customer_gets_the_text_of_their_language(stated: str) -> None:
    """With numbers as in the text's language."""
    assert decided(stated).message == "<p>Hallo Ann, 1.234,5</p>"


@pytest.mark.parametrize("stated", [None, "", "fr", "german", "d", "en-GB", "de1", 7.0, float("nan"), True, ["de"]])
def test_a_locale_that_is_null_unknown_or_without_a_text_gets_the_campaigns(stated: Any) -> None:
    """It never withholds the contact."""
    assert decided(stated).message == "<p>Hello Ann</p>"


def test_the_most_exact_locale_counts() -> None:
    by_locale = {"de": "Hallo", "de-CH": "Grüezi", "en": "Hello"}
    texts = {"email": by_locale, "sms": by_locale}
    said = {stated: decided(stated, message=texts).message for stated in ("de_CH", "de-AT", "de", "fr")}
    assert said == {"de_CH": "Grüezi", "de-AT": "Hallo", "de": "Hallo", "fr": "Hello"}


def test_the_fallback_is_the_locale_of_the_campaign() -> None:
    assert decided("fr", locale="de").message == "<p>Hallo Ann, 1.234,5</p>"


def test_each_channel_has_its_text_its_format_and_its_limit() -> None:
    """What is inserted is escaped in HTML, and in no other format."""
    assert decided("de", name="<b>").message == "<p>Hallo &lt;b&gt;, 1.234,5</p>"
    assert decided("de", preferred="sms").message == "For you: Offer 3"
    long = {**GREETING, "sms": "x" * 200}
    short = {"sms": Channel(key="sms", message_format="text", max_characters=160)}
    short["email"] = Channel(key="email", message_format="html")
    written = campaign(message=long, locale_column="language")
    limited = type(written).model_validate(written.model_dump(), context={"channels": short})
    found = decide(candidate(campaign=limited), facts(preferred_channel="sms"), ContactHistory(), offers(), scores(3))
    assert found.detail == "the message has 200 characters; 160 are allowed"


def test_one_text_for_all_channels_is_as_before() -> None:
    assert decided(message="For you: {{ offer.name }}", locale_column=None).message == "For you: Offer 3"


@pytest.mark.parametrize(
    ("subject", "email", "sms"),
    [
        ("For {{ name }}: {{ offer.name }}", "For Ann: Offer 3", None),
        ({"email": {"de": "Für {{ name }}", "en": "For {{ name }}"}}, "Für Ann", None),
        ({"sms": "Hello"}, None, "Hello"),
    ],
)
def test_a_subject_is_published_for_its_channels(subject: Any, email: str | None, sms: str | None) -> None:
    for channel, expected in (("email", email), ("sms", sms)):
        made = decided("de", preferred=channel, subject=subject)
        body = msgspec.json.decode(trigger_message(made).value or b"")
        TRIGGER.validate(body)
        assert body.get("subject") == expected


def test_a_subject_is_plain_text_in_one_line() -> None:
    """A line break in a fact is a space, as everywhere; it could add a header."""
    assert decided("de", subject=" {{ name }} ", name="O'Brien & <Söhne>\r\nBcc: all").subject == (
        "O'Brien & <Söhne> Bcc: all"
    )


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("{{ 'a\\nb' }}", "the subject has a line break, a tab or a control character"),
        ("{{ name | join('\\t') }}", "the subject cannot be written"),
        ("{% if false %}x{% endif %}", "the subject is empty for this customer"),
        ("x" * 251, "the subject has 251 characters; 250 are allowed"),
    ],
)
def test_a_subject_that_cannot_be_sent_withholds_the_contact(subject: str, said: str) -> None:
    made = decided("de", subject=subject)
    assert (made.outcome, made.reason) == (Outcome.WITHHELD, "message_failed")
    assert made.detail.startswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"message": {"email": "Hello"}}, "message: there is no text for the channel 'sms'"),
        ({"message": {**GREETING, "push": "x"}}, "message: 'push' is none of the campaign's channels: email, sms"),
        ({"message": {}}, "message: there are no texts; write one for each channel"),
        ({"message": {"email": {}, "sms": "x"}}, "message: there are no texts; write one for each locale of email"),
        ({"message": {"email": {"xx1": "x"}, "sms": "x"}}, "message: unknown locale 'xx1'"),
        (
            {"message": {"email": {"de_AT": "x", "de-at": "y"}, "sms": "x"}},
            "message: email has two texts of one locale",
        ),
        (
            {"message": {"email": {"de": "{{ x"}, "sms": "x"}},
            "message: email.de: the message template does not compile",
        ),
        ({"message": {"email": {"de": "{{ offer.value }}"}, "sms": "x"}}, "message: email.de: an offer has no 'value'"),
        ({"message": {"email": {"de": ""}, "sms": "x"}}, "message: email.de: a text has at least 1 character"),
        ({"message": {"email": {"de": 3}, "sms": "x"}}, "message: email.de: a text is needed, or texts by channel"),
        ({"message": {"email": "x", "sms": "x" * 10_001}}, "message: sms: a text has at least 1 character and 10,000"),
        ({"message": ["x"]}, "message: a text is needed, or texts by channel"),
        ({"message": GREETING}, "locale_column: there are texts by locale; name the view's column"),
        ({"locale_column": "language"}, "locale_column: there are no texts by locale to choose from"),
        (
            {"message": GREETING, "locale_column": "language", "locale": "fr"},
            "locale_column: email has no text for 'fr', the campaign's locale; it has: de, en",
        ),
        ({"subject": "a\nb"}, "subject: a subject has no line breaks, tabs and control characters"),
        ({"subject": {"push": "a"}}, "subject: 'push' is none of the campaign's channels"),
        (
            {"subject": "a", "channels": ("sms",)},
            "subject: no channel has the format html; write the subject by channel",
        ),
        (
            {"message": GREETING, "locale_column": "l", "subject": {"email": {"en": "a", "fr": "b"}}},
            "locale_column: the subject of email has other locales than its message",
        ),
    ],
)
def test_texts_that_contradict_the_campaign_are_refused(changes: dict[str, Any], said: str) -> None:
    assert problem(**changes).startswith(said)


def test_the_facts_of_every_template_are_read_and_recorded() -> None:
    written = campaign(
        message={"email": {"de": "{{ a }}", "en": "{{ b }}"}, "sms": "{{ c }}"},
        subject={"email": "{{ d }}"},
        locale_column="language",
    )
    definitions = Definitions([written], offers(), {}, {"at-risk": "s1"})
    assert {"a", "b", "c", "d", "language"} <= set(definitions.facts_read_for(written))
    unknown = find_unknown_facts([], [written], {"a", "b", "d"}, "view")
    assert [each.partition(",")[0] for each in unknown] == [
        ": $.message reads 'c'",
        ": $.locale_column reads 'language'",
    ]


def test_the_version_follows_the_texts_and_not_their_order() -> None:
    one = campaign(message=GREETING, locale_column="language")
    other = campaign(message=dict(reversed(GREETING.items())), locale_column="language")
    assert one.version == other.version
    changed = {**GREETING, "sms": "Another text"}
    versions = {
        campaign().version,
        one.version,
        campaign(message=changed, locale_column="language").version,
        campaign(message=GREETING, locale_column="tongue").version,
        campaign(message=GREETING, locale_column="language", subject="x").version,
    }
    assert len(versions) == 5


@given(st.one_of(st.none(), st.text(), st.floats(), st.lists(st.text())))
def test_whatever_the_row_states_a_text_is_chosen(stated: Any) -> None:
    assert decided(stated).outcome is Outcome.FIRED


@given(st.sampled_from([None, "de", "en"]), st.sampled_from(["email", "sms"]))
def test_both_arms_have_the_same_text(stated: str | None, preferred: str) -> None:
    treated = decided(stated, preferred=preferred, subject="x")
    held_out = decided(stated, preferred=preferred, subject="x", holdout_percent=50)
    assert held_out.outcome is Outcome.CONTROL
    assert (treated.message, treated.subject) == (held_out.message, held_out.subject)
