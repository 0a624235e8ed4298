"""Numbers, money and dates in messages, as people of a locale write them."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.definition import Campaign
from campaigns.errors import MessageError
from campaigns.messages import read_template, render_message
from tests.builders import campaign

FACTS: dict[str, Any] = {"spent": 1234.5, "renewal": "2026-03-01T23:30:00+00:00", "language": "de-AT", "unknown": None}


@pytest.mark.parametrize(
    ("template", "locale", "message"),
    [
        ("{{ spent | number }}", "en", "1,234"),
        ("{{ spent | number(2) }}", "de", "1.234,50"),
        ("{{ spent | number(1) }}", "fr", "1\u202f234,5"),
        ("{{ spent | money('EUR') }}", "de", "1.234,50\xa0€"),
        ("{{ spent | money('JPY') }}", "en", "¥1,234"),
        ("{{ renewal | date }}", "en", "Mar 1, 2026"),
        ("{{ renewal | date('long') }}", "de-DE", "1. März 2026"),
        ("{{ renewal | date('long', locale=language) }}", "en", "1. März 2026"),
        ("{{ unknown | money('EUR') | default('nothing') }}", "en", "nothing"),
    ],
)
def test_values_are_written_by_locale(template: str, locale: str, message: str) -> None:
    assert render_message(template, FACTS, locale=locale) == message


def test_no_format_removes_the_escaping_of_html() -> None:
    message = render_message("{{ spent | number(2) }} {{ name }}", FACTS | {"name": "<b>"}, "html", locale="de")
    assert message == "1.234,50 &lt;b&gt;"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ spent | money('EURO') }}", "unknown currency 'EURO'"),
        ("{{ spent | money }}", "money"),
        ("{{ renewal | date('tiny') }}", "unknown style 'tiny'"),
        ("{{ spent | number(9) }}", "9 digits are asked for"),
        ("{{ spent | number(locale='xx-YY') }}", "unknown locale 'xx-YY'"),
    ],
)
def test_what_no_message_could_be_written_with_is_refused_at_load(template: str, problem: str) -> None:
    with pytest.raises(MessageError, match=problem):
        read_template(template)


def test_a_fact_that_is_no_date_withholds_the_message() -> None:
    with pytest.raises(MessageError, match="cannot be written"):
        render_message("{{ renewal | date }}", {"renewal": "soon"})


def test_an_unknown_locale_of_a_campaign_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown locale 'tlh-Q'"):
        campaign(locale="tlh-Q")


def test_a_locale_is_part_of_a_campaigns_version_where_it_is_set() -> None:
    """The versions of campaigns that were defined before there were locales stay."""
    as_before = campaign()
    assert Campaign.model_validate(as_before.model_dump() | {"locale": "en"}).version == as_before.version
    assert campaign(locale="de").version != as_before.version
