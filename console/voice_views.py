"""The voice of the customer in words and rows, for the terminal, as JSON and for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.printable import printable
from intelligence.weeks import write_week

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from console.use_cases.voice import Discovery, Trends, WeekSummary
    from intelligence.concern_trends import ConcernTrend, WeekRate
    from intelligence.conversations import Conversation
    from intelligence.discovery import DiscoveredConcern

CONVERSATION_HEADINGS = (
    "began (UTC)",
    "messages",
    "sentiment",
    "satisfaction",
    "concerns",
    "urgency",
    "cancels",
    "language",
)
TREND_HEADINGS = ("concern", "conversations", "rate", "expected", "band", "week before", "state")
DISCOVERY_HEADINGS = ("concern", "words", "conversations", "customers", "growth", "state")
STATES = {"above": "above its band", "below": "below its band", "within": "as expected", "unknown": "no band yet"}
EXAMPLE_AT_MOST = 160
LONGEST_RATIO = 100.0
LEAST_SHARE = 0.0005
"""Below it, a share above 0 is shown as < 0.1 %."""


def conversation_rows(conversations: Sequence[Conversation]) -> list[tuple[str, ...]]:
    """Return a row for each conversation."""
    return [
        (
            moment(each.began),
            f"{each.messages} ({each.customer_messages} of the customer)",
            mood(each),
            satisfaction(each.satisfaction),
            ", ".join(each.concerns) or "-",
            each.urgency or "-",
            "yes" if each.wants_to_cancel else "no",
            each.language or "-",
        )
        for each in conversations
    ]


def conversations_object(customer_id: str, conversations: Sequence[Conversation]) -> dict[str, Any]:
    """Return the conversations as JSON has them."""
    return {"customer_id": customer_id, "conversations": [conversation_object(each) for each in conversations]}


def conversation_object(conversation: Conversation) -> dict[str, Any]:
    """Return a conversation as JSON has it."""
    return {
        "began": conversation.began.isoformat(),
        "ended": conversation.ended.isoformat(),
        "messages": conversation.messages,
        "customer_messages": conversation.customer_messages,
        "overall_sentiment": conversation.mood,
        "sentiment": _rounded(conversation.sentiment),
        "satisfaction": _rounded(conversation.satisfaction),
        "key_concerns": list(conversation.concerns),
        "urgency": conversation.urgency,
        "wants_to_cancel": conversation.wants_to_cancel,
        "language": conversation.language,
    }


def trend_rows(trends: Trends) -> list[tuple[str, ...]]:
    """Return a row for each concern."""
    return [_trend_row(each) for each in trends.concerns]


def _trend_row(trend: ConcernTrend) -> tuple[str, ...]:
    latest = trend.latest
    before = trend.weeks[-2] if len(trend.weeks) > 1 else None
    return (
        f"{trend.concern} (discovered)" if trend.discovered else trend.concern,
        f"{latest.named:,} of {latest.total:,}",
        share(latest.rate),
        share(latest.band.expected) if latest.band else "-",
        band(latest),
        share(before.rate) if before else "-",
        STATES[latest.direction],
    )


def trends_headline(trends: Trends) -> str:
    """Return what a person needs to know first."""
    week = write_week(trends.week)
    if not trends.conversations:
        newest = f"the newest message is of {moment(trends.newest)} UTC" if trends.newest else "the store is empty"
        return f"No conversation began in {week}: {newest}. Run `holdfast messages sync`, or name a --week."
    alerts = trends.alerts
    if alerts:
        said = ", ".join(f"{each.concern} {STATES[each.latest.direction]}" for each in alerts)
        return f"Alert in {week}: {said}."
    if all(each.latest.band is None for each in trends.concerns):
        return f"{week}: no band yet. It needs 6 earlier weeks with conversations."
    return f"{week}: all concerns are within their bands."


def trends_object(trends: Trends) -> dict[str, Any]:
    """Return the trends as JSON has them."""
    return {
        "week": write_week(trends.week),
        "conversations": trends.conversations,
        "newest_message_at": trends.newest.isoformat() if trends.newest else None,
        "false_alerts": trends.false_alerts,
        "alerts": [each.concern for each in trends.alerts],
        "concerns": [
            {
                "concern": each.concern,
                "discovered": each.discovered,
                "alert": each.is_alert,
                "state": each.latest.direction,
                "weeks": [week_object(week) for week in each.weeks],
            }
            for each in trends.concerns
        ],
    }


def week_object(week: WeekRate) -> dict[str, Any]:
    """Return a week of a concern as JSON has it."""
    return {
        "week": write_week(week.week),
        "named": week.named,
        "conversations": week.total,
        "rate": _rounded(week.rate),
        "expected": _rounded(week.band.expected) if week.band else None,
        "low": _rounded(week.band.low) if week.band else None,
        "high": _rounded(week.band.high) if week.band else None,
        "state": week.direction,
    }


def discovery_headline(found: Discovery) -> str:
    """Return what a person needs to know first."""
    period = f"{moment(found.since)} to {moment(found.until)} UTC"
    return (
        f"{found.messages:,} messages of customers from {period}; the taxonomy finds no concern in "
        f"{found.without_concern:,}. Discovered: {len(found.concerns)}."
    )


def discovery_rows(found: Discovery) -> list[tuple[str, ...]]:
    """Return a row for each discovered concern."""
    return [
        (
            each.id,
            ", ".join(each.words),
            f"{each.conversations:,}",
            f"{each.customers:,}",
            growth(each),
            discovery_state(each, new=each.id in found.new),
        )
        for each in found.concerns
    ]


def discovery_state(concern: DiscoveredConcern, *, new: bool) -> str:
    """Return whether a concern emerges, is new, or was known before."""
    if concern.growth.is_emerging:
        return "emerging"
    return "new" if new else "known"


def growth(concern: DiscoveredConcern) -> str:
    """Return how the rate of the last 28 days compares with that of the days before."""
    found = concern.growth
    if not found.previous_all:
        return "unknown"
    if not found.previous:
        return f"first named ({found.recent:,})"
    ratio = found.ratio or 0.0
    times = f"x {ratio:.1f}" if ratio < LONGEST_RATIO else f"x {ratio:.0f}"
    return f"{times} ({found.recent:,} after {found.previous:,})"


def describe_examples(found: Discovery) -> Iterator[str]:
    """Yield a line for each example."""
    for each in found.concerns:
        for text in found.examples[each.id]:
            yield f"  {each.id}: {quote(text)}"


def discovery_object(found: Discovery) -> dict[str, Any]:
    """Return the discovered concerns as JSON has them."""
    return {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "messages": found.messages,
        "without_concern": found.without_concern,
        "concerns": [
            {
                "id": each.id,
                "words": list(each.words),
                "messages": len(each.members),
                "conversations": each.conversations,
                "customers": each.customers,
                "sentiment": _rounded(each.sentiment),
                "stability": _rounded(each.stability),
                "recent": {"conversations": each.growth.recent, "of": each.growth.recent_all},
                "previous": {"conversations": each.growth.previous, "of": each.growth.previous_all},
                "growth": _rounded(each.growth.ratio),
                "new": each.id in found.new,
                "emerging": each.growth.is_emerging,
                "examples": list(found.examples[each.id]),
            }
            for each in found.concerns
        ],
    }


def summary_tiles(week: WeekSummary, before: WeekSummary) -> list[tuple[str, str, str]]:
    """Return name, figure and meaning of the key figures of a week."""
    negative, earlier = (_share_of(each.moods["negative"], each.conversations) for each in (week, before))
    return [
        ("Conversations", f"{week.conversations:,}", f"{before.conversations:,} in the week before"),
        ("Satisfaction", satisfaction(week.satisfaction), f"of 10; {satisfaction(before.satisfaction)} before"),
        ("Negative", share(negative), f"of conversations; {share(earlier)} before"),
        ("Ask to cancel", f"{week.cancelling:,}", f"{before.cancelling:,} before"),
        ("Urgent", f"{week.urgent:,}", f"{before.urgent:,} before"),
    ]


def quote(text: str) -> str:
    """Return the beginning of a message in one line that is safe on a terminal."""
    line = " ".join(text[: 2 * EXAMPLE_AT_MOST].split())
    cut = line if len(line) <= EXAMPLE_AT_MOST else f"{line[: EXAMPLE_AT_MOST - 1]}\u2026"
    return f'"{printable(cut)}"'


def mood(conversation: Conversation) -> str:
    """Return the overall sentiment as a word and a number."""
    if conversation.sentiment is None:
        return conversation.mood
    return f"{conversation.mood} ({conversation.sentiment:+.2f})"


def moment(at: datetime) -> str:
    """Return a time to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


def satisfaction(value: float | None) -> str:
    """Return a satisfaction from 0 to 10."""
    return "-" if value is None else f"{value:.1f}"


def share(value: float | None) -> str:
    """Return a share in percent."""
    if value is None:
        return "-"
    return "< 0.1 %" if 0 < value < LEAST_SHARE else f"{value * 100:.1f} %"


def band(week: WeekRate) -> str:
    """Return the bounds of a week's band."""
    return f"{share(week.band.low)} to {share(week.band.high)}" if week.band else "-"


def _share_of(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
