"""What a delivery needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from campaigns.consent import Consent
    from delivery.answers import Answer, Outcome
    from delivery.bursts import DomainCounts
    from delivery.outcomes import OptOut, Report
    from delivery.permission import Permission
    from delivery.trigger import Trigger


@dataclass(frozen=True, slots=True)
class Received:
    """A trigger and the bytes in which it was published."""

    trigger: Trigger
    body: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    """A trigger that this process may attempt until its claim ends; `attempts` counts this attempt too."""

    trigger: Trigger
    body: bytes
    attempts: int


class Deliveries(Protocol):
    """The triggers to deliver and what became of them, in the ledger's database.

    Every method raises LedgerUnavailableError when the ledger cannot be reached now: nothing is known to be stored.
    """

    async def accept(self, received: Sequence[Received], *, now: datetime) -> int:
        """Store triggers that are not stored yet, due now; return their number."""

    async def claim(self, channel: str, *, now: datetime, until: datetime, limit: int) -> Sequence[Claimed]:
        """Return triggers of a channel that are due, earliest first, and keep others from attempting them meanwhile.

        A trigger whose claim has ended without a result, as after a crash, is due.
        """

    async def postpone(self, claimed: Claimed, at: datetime) -> None:
        """End a claim without an attempt; the trigger is due at this time."""

    async def retry(self, claimed: Claimed, at: datetime, reason: str) -> None:
        """End a claim whose attempt failed; the trigger is due at this time."""

    async def settle(
        self, trigger: Trigger, outcome: Outcome, reason: str, *, at: datetime, mail_domain: str | None = None
    ) -> bool:
        """Store the outcome of a trigger; return False if it has one already, which stands."""

    async def opt_out(self, opt_out: OptOut) -> None:
        """Store an opt-out; one that is stored already changes nothing."""

    async def consent(self, customer_ids: Collection[str]) -> Mapping[str, Consent]:
        """Return the changes of consent of customers: those that workers have read, and opt-outs stored here."""

    async def unreported(self, limit: int) -> tuple[Sequence[Report], Sequence[OptOut]]:
        """Return outcomes and opt-outs that Kafka has not acknowledged, oldest first."""

    async def mark_reported(self, reports: Sequence[Report], opt_outs: Sequence[OptOut], *, at: datetime) -> None:
        """Mark them as acknowledged by Kafka."""

    async def count_domains(self, *, since: datetime) -> Sequence[DomainCounts]:
        """Return what happened since to the e-mails of each mail domain."""

    async def count_waiting(self) -> Mapping[str, int]:
        """Return the number of triggers without an outcome, by channel."""


class Record(Protocol):
    """A record of the topic of triggers."""

    @property
    def partition(self) -> int | None:
        """Number of the partition."""

    @property
    def offset(self) -> int | None:
        """Offset in the partition."""

    @property
    def value(self) -> bytes | None:
        """Value, unchanged."""


class Triggers(Protocol):
    """The topic of triggers, as a read_committed consumer sees it."""

    async def read(self) -> Sequence[Record]:
        """Return the next records, none if there are none within a short time.

        Raises:
            SinkUnavailableError: Kafka reports an error; read again.
        """

    async def commit(self, records: Sequence[Record]) -> None:
        """Commit that these records, and all before them, are stored.

        Raises:
            SinkUnavailableError: they are not committed; they may be read again.
        """


class Permissions(Protocol):
    """Whether customers may be contacted now."""

    async def find(self, triggers: Sequence[Trigger]) -> Sequence[Permission]:
        """Return the permission of each trigger, in their order.

        Raises:
            LedgerUnavailableError, WarehouseUnavailableError: it is not known; ask again later.
        """


class Transport(Protocol):
    """A way to send messages."""

    async def send(self, claimed: Claimed, address: str | None) -> Answer:
        """Send one message and return what the answer means; problems on the way are answers too."""


class Reports(Protocol):
    """The topic `outcomes`."""

    async def publish(self, reports: Sequence[Report], opt_outs: Sequence[OptOut]) -> None:
        """Publish outcome events, and return when all of them are acknowledged.

        Raises:
            SinkUnavailableError: some are not; publish all again.
        """
