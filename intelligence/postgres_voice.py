"""What the voice of the customer reads of the message store, and the discovered concerns in it."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from campaigns.queries import load_queries
from intelligence.conversations import HeardMessage
from intelligence.postgres_messages import StoredMessage
from intelligence.weeks import week_begins

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import date, datetime

    from intelligence.discovery import DiscoveredConcern
    from intelligence.postgres_messages import MessageStore

QUERIES = load_queries("intelligence", "voice_queries.sql")
FETCHED_AT_ONCE = 5_000
_LONGEST = timedelta(days=7)
"""A conversation that began in a week is looked for so long before and after it."""


class KnownConcern(NamedTuple):
    """A concern that the last run discovered."""

    id: str
    words: Sequence[str]
    is_emerging: bool
    first_found_at: datetime


class WeeklyCounts(NamedTuple):
    """Conversations by the Monday of the week in which they began: all, and those that name each concern."""

    totals: dict[date, int]
    named: dict[str, dict[date, int]]


class PostgresVoice:
    """Reads the message store on its connection.

    Args:
        store: the open store.
        gap: a silence as long as this begins another conversation.
        languages: of the messages that are read; those without a known language are read, too.
    """

    def __init__(self, store: MessageStore, gap: timedelta, languages: Sequence[str]) -> None:
        self._store = store
        self._values = {"gap": gap, "languages": list(languages)}

    def messages_of(self, customer_id: str) -> list[StoredMessage]:
        """Return all messages of a customer, oldest first."""
        rows = self._execute("voice_messages_of_customer", customer_id=customer_id)
        return [StoredMessage(*row) for row in rows]

    def messages_between(self, since: datetime, before: datetime) -> Iterator[StoredMessage]:
        """Yield the messages of a period by customer and time."""
        with self._store.connection.transaction(), self._store.connection.cursor("voice_messages") as cursor:
            cursor.itersize = FETCHED_AT_ONCE
            cursor.execute(QUERIES["voice_messages_between"], {"since": since, "before": before})
            for row in cursor:
                yield StoredMessage(*row)

    def heard(self, since: datetime, before: datetime) -> list[HeardMessage]:
        """Return the readable messages that customers wrote in a period, by customer and time."""
        rows = self._execute("voice_heard", since=since, before=before)
        return [HeardMessage((customer, message), *rest) for customer, message, *rest in rows]

    def count_weeks(self, first: date, last: date) -> WeeklyCounts:
        """Return the conversations that began in the weeks from one Monday to another, that week included."""
        totals: dict[date, int] = {}
        named: dict[str, dict[date, int]] = defaultdict(dict)
        since = week_begins(first) - _LONGEST
        before = week_begins(last) + timedelta(days=7) + _LONGEST
        for week, concern, count in self._execute("voice_weeks", since=since, before=before, first_week=first):
            if week > last:
                continue
            if concern:
                named[concern][week] = count
            else:
                totals[week] = count
        return WeeklyCounts(totals, dict(named))

    def newest(self) -> datetime | None:
        """Return the time of the newest message, None without any."""
        found: datetime | None = self._execute("voice_newest")[0][0]
        return found

    def known_concerns(self) -> list[KnownConcern]:
        """Return the concerns that the last run discovered."""
        return [KnownConcern(*row) for row in self._execute("discovered_concerns")]

    def keep_concerns(self, concerns: Sequence[DiscoveredConcern], adopted: Collection[str], at: datetime) -> None:
        """Replace the discovered concerns by these; one that stays keeps the time when it was found first.

        Args:
            concerns: of this run.
            adopted: names in the taxonomy. Where one was discovered before, its words still find the messages that
                were read before it was adopted, so its rate has no step.
            at: the end of the messages of this run.
        """
        with self._store.connection.transaction():
            self._run("drop_discovered_concerns", kept=[*adopted, *(each.id for each in concerns)])
            for each in concerns:
                self._run(
                    "keep_discovered_concern",
                    concern_id=each.id,
                    words=list(each.words),
                    emerging=each.growth.is_emerging,
                    at=at,
                )

    def _run(self, query: str, **values: Any) -> None:
        self._store.connection.execute(QUERIES[query], values)

    def _execute(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._store.connection.execute(QUERIES[query], {**self._values, **values}).fetchall()
