"""A campaign that is drawn as a form comes back as it was, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.definition import Campaign
from campaigns.definition_versions import read_contents
from console.web.campaign_form import NUMBERS, SWITCHES, build_campaign, draw_campaign, read_fields, write_fields
from tests.examples import examples
from tests.properties.test_jsonlogic_properties import JSON

WORDS = st.text(max_size=8)
LOCALES = st.sampled_from(["en", "de", "de_AT"])
CHANNELS = st.sampled_from(["email", "sms", "push"])
TEXTS = st.one_of(
    WORDS,
    st.dictionaries(CHANNELS, st.one_of(WORDS, st.dictionaries(LOCALES, WORDS, max_size=3)), max_size=3),
)
OFFERS = st.lists(st.integers(-1, 10**30), max_size=3)
USUAL: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(Campaign.model_fields, WORDS),
    **{
        name: st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
        for name in NUMBERS
        if name != "share"
    },
    **{name: st.booleans() for name in SWITCHES},
    "message": TEXTS,
    "subject": TEXTS,
    "offers": OFFERS,
    "channels": st.lists(CHANNELS, max_size=3),
    "breaker": st.fixed_dictionaries({}, optional={"contacts": st.integers(), "hours": st.integers()}),
    "variants": st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "key": WORDS,
                "share": st.floats(0, 9),
                "offers": OFFERS,
                "message": TEXTS,
                "subject": TEXTS,
                "note": JSON,
            },
        ),
        max_size=3,
    ),
}
CAMPAIGNS = st.builds(
    lambda usual, odd, others: usual | odd | others,
    st.fixed_dictionaries({}, optional=USUAL),
    st.dictionaries(st.sampled_from(sorted(Campaign.model_fields)), JSON, max_size=3),
    st.dictionaries(WORDS, JSON, max_size=2),
)


@examples(600)
@given(CAMPAIGNS)
def test_every_campaign_comes_back_from_the_fields_of_a_form(content: dict[str, Any]) -> None:
    form = draw_campaign(content)
    sent = {name: text.replace("\n", "\r\n") for name, text in write_fields(form).items()}  # as browsers do
    built, wrong = build_campaign(read_fields(sent))
    assert wrong == {}
    assert json.dumps(built, sort_keys=True) == json.dumps(content, sort_keys=True)


@pytest.mark.parametrize("content", [each for name, each in read_contents(None).items() if name.kind == "campaign"])
def test_a_shipped_campaign_is_drawn_whole_and_in_its_order(content: dict[str, Any]) -> None:
    form = draw_campaign(content)
    assert form.part.rest == ""
    built, _ = build_campaign(read_fields(write_fields(form)))
    assert json.dumps(built) == json.dumps(content)
