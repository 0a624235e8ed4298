"""Quiet hours: which times are quiet, where, and when each quiet period ends."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whenever import PlainDateTime

from campaigns.channels import Channel, shipped_channels
from campaigns.decide import ContactHistory, Outcome
from campaigns.definition import Campaign
from campaigns.guardrails import Reason
from campaigns.holiday_calendars import Holidays
from campaigns.quiet_hours import QuietHours, find_period
from campaigns.triggers import trigger_body, trigger_message
from campaigns.unknown_facts import find_unknown_facts
from tests.builders import campaign, candidate, decide, facts, offers, scores
from tests.unit.test_triggers import VALIDATOR

BERLIN = "Europe/Berlin"
NIGHT = QuietHours.model_validate({"from": "21:00", "to": "08:00", "zone": BERLIN, "zone_column": "time_zone"})
ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))
TIMES = st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
HOURS = st.times().map(lambda each: f"{each:%H:%M}")


def quiet_campaign(hours: QuietHours = NIGHT, **changes: Any) -> Campaign:
    """A campaign by e-mail, which is quiet at night."""
    mail = Channel.model_validate({"key": "email", "message_format": "html", "quiet_hours": hours.describe()})
    words = {**campaign().model_dump(), "channels": ("email",), **changes}
    return Campaign.model_validate(words, context={"channels": {"email": mail}})


def at(text: str) -> datetime:
    """A time."""
    return datetime.fromisoformat(text)


def in_ms(text: str) -> int:
    """A record's timestamp."""
    return round(at(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "zone", "end"),
    [
        ("2026-01-15T20:59:59+01:00", BERLIN, None),
        ("2026-01-15T21:00+01:00", BERLIN, "2026-01-16T08:00+01:00"),
        ("2026-01-16T07:59+01:00", BERLIN, "2026-01-16T08:00+01:00"),
        ("2026-01-16T08:00+01:00", BERLIN, None),
        ("2026-03-28T22:00+01:00", BERLIN, "2026-03-29T08:00+02:00"),
        ("2026-10-24T22:00+02:00", BERLIN, "2026-10-25T08:00+01:00"),
        ("2026-01-15T21:00+01:00", "Asia/Tokyo", "2026-01-16T08:00+09:00"),
        ("2026-01-15T21:00+01:00", "America/New_York", None),
        # Samoa had no 30th of December in 2011.
        ("2011-12-29T22:00-10:00", "Pacific/Apia", "2011-12-31T08:00+14:00"),
    ],
)
def test_a_time_in_quiet_hours_is_deferred_to_their_end(moment: str, zone: str, end: str | None) -> None:
    assert NIGHT.find_end(at(moment), ZoneInfo(zone)) == (None if end is None else at(end))


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        # 02:00 to 03:00 does not exist on this day: 02:30 is half an hour after the change.
        ("2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"),
        ("2026-03-29T03:15+02:00", "2026-03-29T03:30+02:00"),
        # 02:00 to 03:00 occurs twice: the first one counts.
        ("2026-10-25T01:30+02:00", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:15+01:00", None),
    ],
)
def test_a_change_of_the_clocks_gives_each_period_one_end(moment: str, end: str | None) -> None:
    hours = QuietHours.model_validate({"from": "01:00", "to": "02:30", "zone": BERLIN})
    assert hours.find_end(at(moment), ZoneInfo(BERLIN)) == (None if end is None else at(end))


@given(st.dates(date(1975, 1, 1), date(2037, 1, 1)), HOURS, HOURS, ZONES)
def test_a_period_begins_and_ends_when_another_library_says(day: date, begin: str, end: str, zone: str) -> None:
    """In every zone, on days with a change of the clocks too, and on days that were skipped."""

    def instant(of: date, local: str) -> datetime:
        wall = datetime.combine(of, time.fromisoformat(local))
        return PlainDateTime.parse_iso(wall.isoformat()).assume_tz(zone).to_instant().to_stdlib()

    last = day if end > begin else day + timedelta(days=1)
    assert find_period(begin, end, day, ZoneInfo(zone)) == (instant(day, begin), instant(last, end))


@given(TIMES, HOURS, HOURS, ZONES)
def test_a_contact_is_deferred_once_and_by_less_than_two_days(
    moment: datetime, begin: str, end: str, zone: str
) -> None:
    if begin == end:
        return
    hours = QuietHours.model_validate({"from": begin, "to": end, "zone": zone})
    until = hours.find_end(moment, ZoneInfo(zone))
    if until is not None:
        assert moment < until <= moment + timedelta(days=2)
        assert hours.find_end(until - timedelta(microseconds=1), ZoneInfo(zone)) == until


@pytest.mark.parametrize(
    ("stated", "zone"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (" Asia/Tokyo ", "Asia/Tokyo"),
        (None, BERLIN),
        ("Mars", BERLIN),
        ("../x", BERLIN),
        (3.0, BERLIN),
    ],
)
def test_a_customer_without_a_zone_that_exists_has_the_one_of_the_channel(stated: object, zone: str) -> None:
    assert NIGHT.choose_zone(stated).key == zone


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"zone": "Berlin"}, "no such time zone; write an IANA name such as Europe/Berlin"),
        ({"to": "21:00"}, "from and to are the same"),
        ({"from": "24:00"}, "should match pattern"),
        ({"until": "08:00"}, "Extra inputs"),
    ],
)
def test_wrong_quiet_hours_are_refused(changes: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        QuietHours.model_validate({"from": "21:00", "to": "08:00", "zone": BERLIN, **changes})


def test_a_contact_in_quiet_hours_is_made_and_says_when_to_deliver() -> None:
    """The arrival of the event counts: its time may be long past."""
    made = candidate(campaign=quiet_campaign(), received_ms=in_ms("2011-06-01T22:00+09:00"))
    decided = decide(made, facts(time_zone="Asia/Tokyo"), ContactHistory(), offers(), scores(3))
    assert (decided.outcome, decided.deferred_to) == (Outcome.FIRED, at("2011-06-02T08:00+09:00"))
    assert decided.detail == "entered_segment: at-risk; quiet hours of email until 2011-06-01 23:00 UTC"
    body = trigger_body(decided)
    assert body["deliver_after"] == at("2011-06-01T23:00+00:00")
    assert body["quiet_hours"] == {"from": "21:00", "to": "08:00", "zone": "Asia/Tokyo"}


def test_a_contact_outside_quiet_hours_states_them_too() -> None:
    """It may be delivered later than it was decided."""
    body = trigger_body(decide(candidate(campaign=quiet_campaign()), facts(), ContactHistory(), offers(), scores(3)))
    assert "deliver_after" not in body
    assert body["quiet_hours"] == {"from": "21:00", "to": "08:00", "zone": BERLIN}


def test_a_contact_that_expires_in_quiet_hours_is_withheld() -> None:
    almost_always = QuietHours.model_validate({"from": "13:00", "to": "12:59", "zone": "UTC"})
    late = candidate(campaign=quiet_campaign(almost_always, valid_days=1), received_ms=in_ms("2011-06-01T23:00+00:00"))
    decided = decide(late, facts(), ContactHistory(), offers(), scores(3))
    assert decided.reason is Reason.EXPIRED
    assert decided.detail == "quiet hours of email until 2011-06-02 12:59, when the trigger has expired"


def test_a_zone_column_that_the_view_lacks_is_refused_by_name() -> None:
    (problem,) = find_unknown_facts([], [quiet_campaign()], [*facts()], "customer_features_view")
    assert "reads 'time_zone', which neither the warehouse view customer_features_view nor Holdfast supplies" in problem


def test_a_channel_with_quiet_hours_is_described_as_it_is_defined() -> None:
    channel = quiet_campaign().channels_by_key["email"]
    assert Channel.model_validate(channel.describe()) == channel
    assert all(each.quiet_hours is None for each in shipped_channels().values())


CHRISTMAS = QuietHours.model_validate({**NIGHT.describe(), "holidays": ["2026-12-25", "2026-12-26"]})


@pytest.mark.parametrize(
    ("moment", "zone", "end"),
    [
        ("2026-12-24T12:00+01:00", BERLIN, None),
        # From the evening before through both days to the morning after.
        ("2026-12-24T21:00+01:00", BERLIN, "2026-12-27T08:00+01:00"),
        ("2026-12-25T12:00+01:00", BERLIN, "2026-12-27T08:00+01:00"),
        ("2026-12-26T23:59+01:00", BERLIN, "2026-12-27T08:00+01:00"),
        ("2026-12-27T09:00+01:00", BERLIN, None),
        # The day is that of the customer.
        ("2026-12-24T22:30+00:00", "Asia/Tokyo", "2026-12-26T23:00+00:00"),
        ("2026-12-25T02:00+00:00", "America/New_York", "2026-12-27T13:00+00:00"),
    ],
)
def test_a_holiday_defers_to_the_end_of_its_quiet_time(moment: str, zone: str, end: str | None) -> None:
    assert CHRISTMAS.find_end(at(moment), ZoneInfo(zone)) == (None if end is None else at(end))


@pytest.mark.parametrize(
    ("zone", "day", "begin", "end"),
    [
        # 23 and 25 hours long, in Berlin.
        (BERLIN, "2026-03-29", "2026-03-28T23:00+00:00", "2026-03-29T22:00+00:00"),
        (BERLIN, "2026-10-25", "2026-10-24T22:00+00:00", "2026-10-25T23:00+00:00"),
        # Cairo's clocks go from midnight to 01:00: the day begins then.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00+00:00", "2026-04-24T21:00+00:00"),
        # Samoa had no 30th of December in 2011: nothing is deferred by it.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00+00:00", "2011-12-30T10:00+00:00"),
    ],
)
def test_a_holiday_is_as_long_as_its_local_day(zone: str, day: str, begin: str, end: str) -> None:
    noon = QuietHours.model_validate({"from": "12:00", "to": "12:01", "zone": zone, "holidays": [day]})
    instant = timedelta(microseconds=1)
    ends = [
        noon.find_end(each, ZoneInfo(zone)) for each in (at(begin) - instant, at(begin), at(end) - instant, at(end))
    ]
    within = at(end) if begin != end else None
    assert ends == [None, within, within, None]


@given(TIMES, HOURS, HOURS, ZONES, st.sets(st.integers(-3, 4)))
def test_a_contact_is_deferred_to_the_first_time_that_is_neither_quiet_nor_a_holiday(
    moment: datetime, begin: str, end: str, zone: str, days: set[int]
) -> None:
    """Another library says which times those are: the periods that touch the moment, one after the other."""
    if begin == end:
        return
    today = moment.astimezone(ZoneInfo(zone)).date()
    named = [today + timedelta(days=each) for each in days]
    hours = QuietHours.model_validate(
        {"from": begin, "to": end, "zone": zone, "holidays": [each.isoformat() for each in named]}
    )

    def instant(of: date, local: str) -> datetime:
        wall = datetime.combine(of, time.fromisoformat(local))
        return PlainDateTime.parse_iso(wall.isoformat()).assume_tz(zone).to_instant().to_stdlib()

    next_day = timedelta(days=1)
    quiet = [(instant(day, "00:00"), instant(day + next_day, "00:00")) for day in named]
    near = [today + timedelta(days=each) for each in range(-5, 9)]
    quiet += [(instant(day, begin), instant(day if end > begin else day + next_day, end)) for day in near]
    free = moment
    while later := max((until for since, until in quiet if since <= free < until), default=None):
        free = later
    assert hours.find_end(moment, ZoneInfo(zone)) == (None if free == moment else free)


def test_a_country_has_its_public_holidays_and_a_region_those_of_its_own() -> None:
    """Corpus Christi is one in Bavaria, and not in Berlin."""
    first_of_may, corpus_christi = date(2026, 5, 1), date(2026, 6, 4)
    assert first_of_may in Holidays(["DE"])
    assert first_of_may not in Holidays(["GB"])
    assert corpus_christi in Holidays(["DE-BY"])
    assert corpus_christi not in Holidays(["DE-BE", "2026-06-05"])
    assert corpus_christi + timedelta(days=1) in Holidays(["DE-BE", "2026-06-05"])
    alone, listed = (QuietHours.model_validate({**NIGHT.describe(), "holidays": each}) for each in ("DE", ["DE"]))
    assert alone == listed


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("2026-02-30", "'2026-02-30' is neither a date such as 2026-12-24 nor a country such as DE or DE-BY"),
        ("20261224", "'20261224' is neither a date"),
        ("Germany", "'Germany' is neither a date"),
        ("QQ", "there is no calendar of 'QQ'; list the dates"),
        ("DE-XX", "there is no calendar of 'DE-XX'"),
    ],
)
def test_holidays_that_do_not_exist_are_refused(named: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        QuietHours.model_validate({**NIGHT.describe(), "holidays": [named]})


def test_calendars_are_loaded_only_where_a_definition_names_a_country() -> None:
    """They take as long to load as the rest of the definitions."""
    code = (
        "import sys\nfrom campaigns.quiet_hours import QuietHours\n"
        "made = {'from': '21:00', 'to': '08:00', 'zone': 'UTC', 'holidays': ['2026-12-24']}\n"
        "QuietHours.model_validate(made)\nassert 'holidays' not in sys.modules\n"
        "QuietHours.model_validate({**made, 'holidays': ['DE']})\nassert 'holidays' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_package_a_country_is_refused_and_dates_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ValueError, match="install Holdfast's extra `holidays`, or list the dates"):
        Holidays(["FR"])
    assert date(2026, 12, 24) in Holidays(["2026-12-24"])


def test_holidays_are_part_of_a_channels_definition_and_their_absence_is_not() -> None:
    assert "holidays" not in NIGHT.describe()
    assert quiet_campaign(CHRISTMAS).version != quiet_campaign().version
    assert (
        Channel.model_validate(quiet_campaign(CHRISTMAS).channels_by_key["email"].describe()).quiet_hours == CHRISTMAS
    )


def test_a_trigger_names_the_holidays_until_it_expires() -> None:
    """It may be delivered later than it was decided; and nothing where there are none."""
    day = QuietHours.model_validate({**NIGHT.describe(), "holidays": ["2011-06-02", "2011-06-13", "2011-07-01"]})
    made = candidate(campaign=quiet_campaign(day), received_ms=in_ms("2011-06-02T09:00+02:00"))
    decided = decide(made, facts(), ContactHistory(), offers(), scores(3))
    assert decided.deferred_to == at("2011-06-03T08:00+02:00")
    message = trigger_message(decided)
    found = json.loads(message.value or b"")["quiet_hours"]
    assert found == {"from": "21:00", "to": "08:00", "zone": BERLIN, "holidays": ["2011-06-02", "2011-06-13"]}
    assert VALIDATOR.is_valid(json.loads(message.value or b""))
