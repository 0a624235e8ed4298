"""What happens now: decisions and alerts, the latest and those that come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from campaigns.decide import Outcome
from campaigns.postgres_live import open_live
from console.explanation_views import describe_cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from campaigns.postgres_live import LiveMessage
    from campaigns.records import StopRecord
    from streams.settings import Settings

DECISION, HOT_LEAD, CHURN_WARNING, STOPPED = "decision", "hot_lead", "churn_warning", "campaign_stopped"
ALERTS = frozenset({HOT_LEAD, CHURN_WARNING, STOPPED})
REMEMBERED = 10_000
"""Of so many customers a warning is not repeated."""
COUNTED = 500
_SHOWN = ("customer_id", "campaign", "segment", "outcome", "reason", "detail", "as_of", "net_value")
_HIGH = "high"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """Something that has just happened.

    Attributes:
        sequence: of the message it was read from; of a stopped campaign, that of the latest message.
        kind: `decision`, `hot_lead`, `churn_warning` or `campaign_stopped`.
        at: when it was decided.
        body: what is known of it, as JSON values.
    """

    sequence: int
    kind: str
    at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LiveView:
    """The latest decisions and alerts, the newest first.

    Attributes:
        contacted: how many of the latest decisions led to a contact, by campaign, and how many there were.
        counted: how many decisions were counted.
    """

    decisions: Sequence[LiveEvent]
    alerts: Sequence[LiveEvent]
    contacted: Mapping[str, tuple[int, int]]
    counted: int


@dataclass(slots=True)
class AlertFinder:
    """Finds what is an alert; it remembers what it has warned of."""

    _warned: dict[str, None] = field(default_factory=dict)
    _stopped: frozenset[str] = frozenset()

    def read(self, message: LiveMessage) -> Iterator[LiveEvent]:
        """Yield the events of a message: a decision, and a warning where the churn risk is high for the first time."""
        body, at, sequence = message.body, message.created_at, message.sequence
        if message.destination != "decisions":
            lead = {name: body.get(name) for name in ("lead_id", "customer_id", "score", "score_before", "tier")}
            yield LiveEvent(sequence, HOT_LEAD, at, lead)
            return
        facts = body.get("facts", {})
        risk = {name: facts.get(name) for name in ("churn_risk", "churn_probability")}
        shown = {name: body.get(name) for name in _SHOWN} | {"why": _describe_why(body)}
        yield LiveEvent(sequence, DECISION, at, shown | risk)
        customer_id = body["customer_id"]
        if risk["churn_risk"] != _HIGH:
            self._warned.pop(customer_id, None)
        elif customer_id not in self._warned:
            self._warned[customer_id] = None
            if len(self._warned) > REMEMBERED:
                del self._warned[next(iter(self._warned))]
            yield LiveEvent(sequence, CHURN_WARNING, at, {"customer_id": customer_id, **risk})

    def compare_stops(self, stops: Sequence[StopRecord], sequence: int) -> Iterator[LiveEvent]:
        """Yield the campaigns that were not stopped before."""
        for each in stops:
            if each.campaign not in self._stopped:
                body = {"campaign": each.campaign, "reason": each.reason, "by": each.actor}
                yield LiveEvent(sequence, STOPPED, each.stopped_at, body)
        self._stopped = frozenset(each.campaign for each in stops)


def read_latest(settings: Settings, *, limit: int) -> LiveView:
    """Return the latest decisions and alerts.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    with open_live(settings.ledger_url) as live:
        messages, stops = [*reversed(live.latest(COUNTED))], live.stops()
    finder = AlertFinder()
    events = [event for message in messages for event in finder.read(message)]
    events += finder.compare_stops(stops, messages[-1].sequence if messages else 0)
    decisions = [each for each in events if each.kind == DECISION]
    alerts = sorted((each for each in events if each.kind in ALERTS), key=lambda each: each.at)
    of_campaign = Counter(each.body["campaign"] for each in decisions)
    fired = Counter(each.body["campaign"] for each in decisions if each.body["outcome"] == "fired")
    contacted = {key: (fired[key], count) for key, count in sorted(of_campaign.items())}
    return LiveView(decisions[::-1][:limit], alerts[::-1][:limit], contacted, len(decisions))


def _describe_why(body: Mapping[str, Any]) -> str:
    if body["outcome"] != Outcome.FIRED:
        return str(body["detail"])
    return describe_cause(body["reason"], body["segment"], body.get("event_id"), body["detail"])
