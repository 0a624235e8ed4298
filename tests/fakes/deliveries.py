"""In-memory deliveries."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.consent import ConsentChange, add_change
from delivery.bursts import DomainCounts
from delivery.outcomes import OptOut, Report
from delivery.ports import Claimed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from campaigns.consent import Consent
    from delivery.answers import Outcome
    from delivery.ports import Received
    from delivery.trigger import Trigger


@dataclass(slots=True)
class Row:
    """A trigger and what became of it."""

    received: Received
    due_at: datetime
    attempts: int = 0
    claimed_until: datetime | None = None
    last_problem: str | None = None
    report: Report | None = None
    mail_domain: str | None = None
    reported: bool = False


class InMemoryDeliveries:
    """Implements `delivery.ports.Deliveries`; `changes` are the changes of consent that workers have read."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.opt_outs: dict[str, OptOut] = {}
        self.reported_opt_outs: set[str] = set()
        self.changes: list[ConsentChange] = []

    async def accept(self, received: Sequence[Received], *, now: datetime) -> int:
        """See the port."""
        fresh = {each.trigger.id: each for each in received if each.trigger.id not in self.rows}
        self.rows.update({trigger_id: Row(each, now) for trigger_id, each in fresh.items()})
        return len(fresh)

    async def claim(self, channel: str, *, now: datetime, until: datetime, limit: int) -> Sequence[Claimed]:
        """See the port."""
        due = [
            row
            for row in self.rows.values()
            if row.received.trigger.channel == channel
            and row.report is None
            and row.due_at <= now
            and (row.claimed_until is None or row.claimed_until <= now)
        ]
        claimed = sorted(due, key=lambda row: row.due_at)[:limit]
        for row in claimed:
            row.claimed_until, row.attempts = until, row.attempts + 1
        return [Claimed(row.received.trigger, row.received.body, row.attempts) for row in claimed]

    async def postpone(self, claimed: Claimed, at: datetime) -> None:
        """See the port."""
        if row := self._held(claimed):
            row.due_at, row.claimed_until, row.attempts = at, None, row.attempts - 1

    async def retry(self, claimed: Claimed, at: datetime, reason: str) -> None:
        """See the port."""
        if row := self._held(claimed):
            row.due_at, row.claimed_until, row.last_problem = at, None, reason

    async def settle(
        self, trigger: Trigger, outcome: Outcome, reason: str, *, at: datetime, mail_domain: str | None = None
    ) -> bool:
        """See the port."""
        row = self.rows[trigger.id]
        if row.report is not None:
            return False
        row.report = Report(trigger.id, trigger.customer_id, trigger.channel, outcome, reason, at)
        row.mail_domain = mail_domain
        return True

    async def opt_out(self, opt_out: OptOut) -> None:
        """See the port."""
        self.opt_outs.setdefault(opt_out.event_id, opt_out)

    async def consent(self, customer_ids: Collection[str]) -> Mapping[str, Consent]:
        """See the port."""
        opted = [
            ConsentChange(each.customer_id, each.event_id, each.channel, granted=False, changed_at=each.at, source="")
            for each in self.opt_outs.values()
        ]
        found: dict[str, Consent] = {}
        for change in (*self.changes, *opted):
            if change.customer_id in customer_ids:
                found[change.customer_id] = add_change(found.get(change.customer_id, {}), change)
        return found

    async def unreported(self, limit: int) -> tuple[Sequence[Report], Sequence[OptOut]]:
        """See the port."""
        reports = [row.report for row in self.rows.values() if row.report is not None and not row.reported]
        opt_outs = [each for event_id, each in self.opt_outs.items() if event_id not in self.reported_opt_outs]
        return (
            sorted(reports, key=lambda each: each.at)[:limit],
            sorted(opt_outs, key=lambda each: each.at)[:limit],
        )

    async def mark_reported(self, reports: Sequence[Report], opt_outs: Sequence[OptOut], *, at: datetime) -> None:  # noqa: ARG002 - of the port
        """See the port."""
        for each in reports:
            self.rows[each.trigger_id].reported = True
        self.reported_opt_outs.update(each.event_id for each in opt_outs)

    async def count_domains(self, *, since: datetime) -> Sequence[DomainCounts]:
        """See the port."""
        settled: Counter[str] = Counter()
        bounced: Counter[str] = Counter()
        left: defaultdict[str, set[str]] = defaultdict(set)
        for row in self.rows.values():
            if row.mail_domain and row.report and row.report.at >= since and row.report.outcome != "failed":
                settled[row.mail_domain] += 1
                bounced[row.mail_domain] += row.report.outcome == "bounced"
        for each in self.opt_outs.values():
            domain = self.rows[each.trigger_id].mail_domain if each.trigger_id in self.rows else None
            if domain and each.at >= since:
                left[domain].add(each.customer_id)
        return [
            DomainCounts(domain, settled[domain], bounced[domain], len(left[domain])) for domain in {*settled, *left}
        ]

    async def count_waiting(self) -> Mapping[str, int]:
        """See the port."""
        return Counter(row.received.trigger.channel for row in self.rows.values() if row.report is None)

    def _held(self, claimed: Claimed) -> Row | None:
        row = self.rows[claimed.trigger.id]
        return row if row.report is None and row.attempts == claimed.attempts else None
