"""The voice of the customer: conversations, trends of concerns, and concerns that the taxonomy does not cover."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from intelligence.conversations import Conversation, split_conversations, sum_up
from intelligence.errors import MessageStoreError, WeekError
from intelligence.postgres_messages import open_store
from intelligence.postgres_voice import PostgresVoice
from intelligence.weeks import last_complete_week, week_begins, write_week
from models.language import ALWAYS_READ
from models.taxonomy import Taxonomy, load_taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from intelligence.concern_trends import ConcernTrend
    from intelligence.conversations import HeardMessage
    from intelligence.discovery import DiscoveredConcern
    from intelligence.postgres_voice import KnownConcern
    from streams.settings import Settings

RECENT_DAYS = 28
DISCOVERY_WEEKS = 26
TREND_WEEKS = 12
_WEEK = timedelta(days=7)
_LONGEST_CONVERSATION = _WEEK


@dataclass(frozen=True, slots=True)
class Trends:
    """The weekly rate of each concern.

    Attributes:
        week: Monday of the week that is judged.
        conversations: that began in it.
        newest: time of the newest message in the store, None without any.
        concerns: alerts first, then the most frequent.
        false_alerts: the probability that a week without any change has an alert.
    """

    week: date
    conversations: int
    newest: datetime | None
    concerns: Sequence[ConcernTrend]
    false_alerts: float

    @property
    def alerts(self) -> list[ConcernTrend]:
        """The concerns whose rate has left its band."""
        return [each for each in self.concerns if each.is_alert]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Concerns that the taxonomy does not cover.

    Attributes:
        since: begin of the messages that were read.
        until: end of them.
        messages: of customers, in a language of the taxonomy.
        without_concern: those of them in which the taxonomy finds none.
        concerns: the most frequent first.
        examples: what some of the messages of each concern say, by its id.
        new: ids that no earlier run had.
    """

    since: datetime
    until: datetime
    messages: int
    without_concern: int
    concerns: Sequence[DiscoveredConcern]
    examples: Mapping[str, Sequence[str]]
    new: frozenset[str]


@dataclass(frozen=True, slots=True)
class WeekSummary:
    """The conversations that began in a week.

    Attributes:
        week: its Monday.
        conversations: with a message of the customer.
        moods: how many are positive, neutral or negative.
        satisfaction: their mean, 0 to 10; None without any.
        urgent: those of high urgency.
        cancelling: those that ask to cancel.
        languages: how many by language.
    """

    week: date
    conversations: int
    moods: Mapping[str, int]
    satisfaction: float | None
    urgent: int
    cancelling: int
    languages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class VoiceReport:
    """What a weekly report shows.

    Attributes:
        trends: of all concerns.
        week: the summary of the week.
        before: that of the week before.
        words: of each discovered concern, by its id.
        emerging: ids of the discovered concerns that are new or grow.
        worst: the least satisfied conversations of the week, the worst first.
    """

    trends: Trends
    week: WeekSummary
    before: WeekSummary
    words: Mapping[str, Sequence[str]]
    emerging: frozenset[str]
    worst: Sequence[Conversation]


def list_conversations(settings: Settings, customer_id: str) -> list[Conversation]:
    """Return the conversations of a customer, oldest first.

    Raises:
        MessageStoreError: the store cannot be used.
    """
    with _open_voice(settings, load_taxonomy(settings.concerns_file)) as voice:
        messages = voice.messages_of(customer_id)
    return [sum_up(each) for each in split_conversations(messages, settings.conversation_gap)]


def follow_trends(settings: Settings, week: date | None, now: datetime, *, shown: int, false_alerts: float) -> Trends:
    """Return the weekly rates up to a week, the last complete one where none is named.

    Raises:
        MessageStoreError: the store cannot be used.
        WeekError: the week has not ended.
    """
    taxonomy = load_taxonomy(settings.concerns_file)
    with _open_voice(settings, taxonomy) as voice:
        known = _not_adopted(voice, taxonomy)
        return _follow(voice, week, now, known, shown=shown, false_alerts=false_alerts)


def discover(settings: Settings, now: datetime, *, weeks: int, keep: bool = True) -> Discovery:
    """Find concerns that the taxonomy does not cover in the messages of the last weeks before the newest one.

    Args:
        settings: of the command.
        now: later messages are left out.
        weeks: how many.
        keep: whether the concerns replace those of the last run in the store.

    Raises:
        MessageStoreError: the store cannot be used, or has no messages.
    """
    # scikit-learn is imported here: other commands run without the extra `training`.
    from intelligence.discovery import discover_concerns  # noqa: PLC0415

    taxonomy = load_taxonomy(settings.concerns_file)
    with _open_voice(settings, taxonomy) as voice:
        newest = voice.newest()
        if newest is None:
            raise MessageStoreError("the message store is empty; run: holdfast messages sync")
        until = min(newest, now) + timedelta(microseconds=1)
        since = until - weeks * _WEEK
        messages = [_cover(each, taxonomy) for each in voice.heard(since, until)]
        # A discovered concern must not take the name of one in the taxonomy.
        known: dict[str, Sequence[str]] = dict.fromkeys(taxonomy.concerns, ())
        known |= {each.id: each.words for each in voice.known_concerns()}
        found = discover_concerns(messages, until - timedelta(days=RECENT_DAYS), known)
        if keep:
            voice.keep_concerns(found, taxonomy.concerns, until)
    texts = {each.key: each.text for each in messages}
    return Discovery(
        since,
        until,
        len(messages),
        sum(not each.covered for each in messages),
        found,
        {each.id: [texts[key] for key in each.examples] for each in found},
        frozenset(each.id for each in found if each.id not in known),
    )


def report_week(
    settings: Settings, week: date | None, now: datetime, *, shown: int, false_alerts: float, worst: int
) -> VoiceReport:
    """Return what the report of a week shows, the last complete one where none is named.

    Raises:
        MessageStoreError: the store cannot be used.
        WeekError: the week has not ended.
    """
    taxonomy = load_taxonomy(settings.concerns_file)
    with _open_voice(settings, taxonomy) as voice:
        known = _not_adopted(voice, taxonomy)
        trends = _follow(voice, week, now, known, shown=shown, false_alerts=false_alerts)
        first = week_begins(trends.week)
        messages = list(
            voice.messages_between(first - _WEEK - _LONGEST_CONVERSATION, first + _WEEK + _LONGEST_CONVERSATION)
        )
    conversations = [sum_up(each) for each in split_conversations(messages, settings.conversation_gap)]
    heard = [each for each in conversations if each.customer_messages]
    this, before = (
        [each for each in heard if monday <= each.began < monday + _WEEK] for monday in (first, first - _WEEK)
    )
    rated = [each for each in this if each.satisfaction is not None]
    return VoiceReport(
        trends,
        _summarize(trends.week, this),
        _summarize(trends.week - _WEEK, before),
        {each.id: each.words for each in known},
        frozenset(each.id for each in known if each.is_emerging),
        sorted(rated, key=lambda each: (each.satisfaction or 0.0, not each.wants_to_cancel, each.began))[:worst],
    )


def _not_adopted(voice: PostgresVoice, taxonomy: Taxonomy) -> list[KnownConcern]:
    return [each for each in voice.known_concerns() if each.id not in taxonomy.concerns]


def _follow(
    voice: PostgresVoice,
    week: date | None,
    now: datetime,
    known: Sequence[KnownConcern],
    *,
    shown: int,
    false_alerts: float,
) -> Trends:
    # It imports scipy, as above.
    from intelligence.concern_trends import BASELINE_WEEKS, follow_concerns  # noqa: PLC0415

    last = last_complete_week(now)
    if week is not None and week > last:
        raise WeekError(f"{write_week(week)} has not ended yet; the last complete week is {write_week(last)}")
    judged = week or last
    counts = voice.count_weeks(judged - (BASELINE_WEEKS + shown) * _WEEK, judged)
    discovered = {each.id for each in known}
    trends = follow_concerns(counts.named, counts.totals, judged, shown, discovered, false_alerts)
    return Trends(judged, counts.totals.get(judged, 0), voice.newest(), trends, false_alerts)


@contextmanager
def _open_voice(settings: Settings, taxonomy: Taxonomy) -> Iterator[PostgresVoice]:
    with open_store(settings.store_url) as store:
        yield PostgresVoice(store, settings.conversation_gap, sorted(taxonomy.languages | ALWAYS_READ))


def _cover(message: HeardMessage, taxonomy: Taxonomy) -> HeardMessage:
    """Return the message as the taxonomy of today reads it: it may have been read with an earlier one."""
    if message.covered:
        return message
    named = taxonomy.describe(message.text.lower())
    return message._replace(covered=not named.isdisjoint(taxonomy.concerns))


def _summarize(week: date, conversations: Sequence[Conversation]) -> WeekSummary:
    moods = Counter(each.mood for each in conversations)
    rated = [each.satisfaction for each in conversations if each.satisfaction is not None]
    return WeekSummary(
        week,
        len(conversations),
        {mood: moods[mood] for mood in ("positive", "neutral", "negative")},
        sum(rated) / len(rated) if rated else None,
        sum(each.urgency == "high" for each in conversations),
        sum(each.wants_to_cancel for each in conversations),
        dict(Counter(each.language or "unknown" for each in conversations).most_common()),
    )
