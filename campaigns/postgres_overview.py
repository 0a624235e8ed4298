"""What a ledger holds of whole segments and campaigns, page by page, for people who look at them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaigns.postgres_connections import connect_snapshot
from campaigns.queries import QUERIES
from campaigns.records import MemberRecord, SizeRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    import psycopg


@dataclass(frozen=True, slots=True)
class DecidedCount:
    """How often a campaign has decided one thing for one reason.

    Attributes:
        outcome: as campaigns.decide.Outcome has it.
        reason: as campaigns.guardrails.Reason has it.
        decisions: how many.
        customers: of how many customers.
        last_at: event time of the last one.
    """

    outcome: str
    reason: str
    decisions: int
    customers: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class DecidedCustomer:
    """A customer, and the latest decision of one outcome and reason.

    Attributes:
        as_of: its event time.
        detail: what the decision says of itself.
    """

    customer_id: str
    as_of: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class CampaignContacts:
    """The contacts of a campaign: those of customers it treats, those it holds out, and the latest of both."""

    treated: int
    control: int
    last_at: datetime


class PostgresOverview:
    """The segments and campaigns of a ledger: one connection, which only reads."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def segment_sizes(self) -> Mapping[str, int]:
        """Return the number of members by segment; a segment without members is left out."""
        return {key: int(count) for key, count in self._rows("segment_sizes")}

    def sizes_over_time(
        self, segments: Sequence[str], *, since: datetime, step: timedelta, steps: int
    ) -> Mapping[str, Sequence[SizeRecord]]:
        """Return the last recorded size of each step from a time on, in order, by segment.

        Steps without one are left out; a segment without any is missing.
        """
        sizes: dict[str, list[SizeRecord]] = {}
        values = {"since": since, "step_s": step.total_seconds(), "steps": steps}
        for segment, *size in self._rows("segment_sizes_over_time", segments=list(segments), **values):
            sizes.setdefault(segment, []).append(SizeRecord(*size))
        return sizes

    def count_evaluated(self) -> tuple[Mapping[tuple[str, str], int], int]:
        """Return how many customers were last evaluated under each segment and version, and how many under any."""
        counts: dict[tuple[str, str], int] = {}
        known = 0
        for versions, customers in self._rows("evaluated_by_roster"):
            known += int(customers)
            for segment, version in (versions or {}).items():
                # The changeovers of models follow the version of the rules.
                name = (segment, str(version).partition(" ")[0])
                counts[name] = counts.get(name, 0) + int(customers)
        return counts, known

    def list_members(self, segment: str, *, after: str, limit: int) -> Sequence[MemberRecord]:
        """Return members of a segment beyond a customer id, in the order of their ids."""
        return [MemberRecord(*row) for row in self._rows("members_page", segment=segment, after=after, limit=limit)]

    def count_contacts(self) -> Mapping[str, CampaignContacts]:
        """Return the contacts of each campaign that has made any."""
        return {key: CampaignContacts(*row) for key, *row in self._rows("contacts_by_campaign")}

    def count_decided(self, campaign: str, *, since: datetime) -> Sequence[DecidedCount]:
        """Return what a campaign has decided about events from a time on, the most frequent first."""
        return [DecidedCount(*row) for row in self._rows("count_decided", campaign=campaign, since=since)]

    def list_decided(
        self, campaign: str, outcome: str, reason: str, *, since: datetime, after: str, limit: int
    ) -> Sequence[DecidedCustomer]:
        """Return customers with a decision of one outcome and reason, beyond a customer id, by their ids."""
        values = {"campaign": campaign, "outcome": outcome, "reason": reason}
        rows = self._rows("decided_page", **values, since=since, after=after, limit=limit)
        return [DecidedCustomer(*row) for row in rows]

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_overview(ledger_url: str) -> Iterator[PostgresOverview]:
    """Open a ledger to read from; all answers are of the same moment.

    Raises:
        LedgerUnavailableError: the ledger cannot be reached, or has no tables yet.
    """
    with connect_snapshot(ledger_url) as connection:
        yield PostgresOverview(connection)
