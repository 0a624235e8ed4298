"""A stream of events with changes in the warehouse between them, decided by the pipeline over stores in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaigns.candidates import Definitions, launch_occasion
from campaigns.contact_limits import ContactLimit
from campaigns.decide import derive_trigger_id
from campaigns.definition import Offer
from features.store import FeatureStore
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from segments.engine import Activation
from streams.decision_config import DecisionConfig
from streams.pipeline import Pipeline
from tests.builders import AS_OF, campaign, offers, segment
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.warehouse import InMemoryWarehouse
from tests.records import arrive, body, decode_batch, feedback, message, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from campaigns.definition import Campaign
    from tests.records import Arrived

PARTITION = 1
LIMIT = ContactLimit(key="weekly", contacts=4, days=7)
SEGMENT = segment(rule={"==": [{"var": "member"}, 1]})
REPEAT_DAYS = 2
CHECKED = {"repeat_days": REPEAT_DAYS, "rule": {"==": [{"var": "email_consent"}, True]}}
OFFERS = {
    **offers(),
    2: Offer(id=2, key="offer-2", name="Offer 2", repeat_days=REPEAT_DAYS),
    4: Offer(id=4, key="offer-4", name="Offer 4", **CHECKED),
}
SCORERS = load_scorers(Path(), FEATURE_MAPPING, mock=True)
RFM_COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")
ROW = {"member": 0.0, "email_consent": True, "sms_consent": True, **dict.fromkeys(RFM_COLUMNS, 5.0)}
KINDS: Any = {
    **dict.fromkeys(("member", *RFM_COLUMNS), "number"),
    **dict.fromkeys(("email_consent", "sms_consent"), "boolean"),
}
# What each changes in the customer's row before its batch is read.
ROW_CHANGES: dict[str, dict[str, Any]] = {
    "enters": {"member": 1.0},
    "leaves": {"member": 0.0},
    "warehouse consents": {"email_consent": True, "sms_consent": True},
    "warehouse revokes": {"email_consent": False, "sms_consent": False},
}
OUTCOME_ACTS = ("delivered", "bounced", "failed", "converted", "unsubscribed", "complained", "resubscribed")
FEEDBACK_ACTS = ("blocked", "unblocked")
ACTS = (*ROW_CHANGES, "launched", "writes", *OUTCOME_ACTS)
BLOCKED = timedelta(days=3)


@dataclass(frozen=True)
class Act:
    """Something that happens to a customer, one of `ACTS` or `FEEDBACK_ACTS`.

    Attributes:
        customer: the customer.
        kind: what happens.
        number: of the launch, of the occasion that an outcome answers, or of the feedback that blocks contacts.
        hours: since the act before it.
        late_days: from the event to its record.
    """

    customer: str
    kind: str
    number: int = 1
    hours: int = 1
    late_days: int = 0


def campaigns(holdout_percent: float, **changes: Any) -> list[Campaign]:
    """Campaigns with and without a cooldown, of every audience; above 50 % the holdout is not validated."""
    made = [
        campaign(key="with-cooldown", cooldown_days=3, limits=[LIMIT], **changes),
        campaign(key="without-cooldown", limits=[LIMIT], **changes),
        campaign(key="launched", launch="by_operator", cooldown_days=1, limits=[LIMIT], **changes),
        campaign(key="as-well", competes=False, limits=[LIMIT], **changes),
        campaign(key="varied", competes=False, offers=(2, 4), offer_policy="experiment", limits=[LIMIT], **changes),
        campaign(key="on-leaving", launch="on_leave", limits=[LIMIT], **changes),
        campaign(key="on-message", launch="on_event", event="conversation.message", limits=[LIMIT], **changes),
        campaign(key="on-update", launch="on_event", event="customer.updated", priority=-1, limits=[LIMIT], **changes),
    ]
    return [each.model_copy(update={"holdout_percent": holdout_percent}) for each in made]


async def play(
    batches: Iterable[Sequence[Act]],
    *,
    holdout_percent: float = 0,
    customers: Iterable[str] = ("ann", "bob"),
    again: int = 0,
    publishes_transitions: bool = False,
    **changes: Any,
) -> InMemoryLedger:
    """Decide acts batch by batch, and return the ledger.

    Args:
        batches: the acts of each batch; the warehouse changes before its batch is read.
        holdout_percent: of every campaign, 0 to 100.
        customers: who there is.
        again: number of records that every batch delivers again from before it.
        publishes_transitions: whether entries and exits are published.
        changes: of the definition of every campaign.
    """
    warehouse = InMemoryWarehouse(KINDS, dict.fromkeys(customers, ROW))
    ledger = InMemoryLedger()
    await ledger.activate([SEGMENT], campaigns(holdout_percent, **changes), at=AS_OF)
    features = FeatureStore(warehouse, InMemoryFeatureCache(), generation=1)
    config = _config(holdout_percent, **changes)
    pipeline = Pipeline(features, ledger, config, decode=decode_batch, publishes_transitions=publishes_transitions)
    owners = {PARTITION: await ledger.claim(PARTITION)}
    records: list[Arrived] = []
    at = AS_OF
    for acts in batches:
        delivered = records[len(records) - again :] if again else []
        for act in acts:
            warehouse.rows[act.customer].update(ROW_CHANGES.get(act.kind, {}))
            at += timedelta(hours=act.hours)
            arrived_ms = round((at + timedelta(days=act.late_days)).timestamp() * 1000)
            place = {"offset": len(records), "partition": PARTITION, "timestamp": arrived_ms}
            records.append(arrive(_event(act, f"e{len(records)}", at.isoformat()), **place))
        batch = [*delivered, *records[len(records) - len(acts) :]]
        await pipeline.decide(await pipeline.prepare(batch), owners)
    return ledger


def _event(act: Act, event_id: str, at: str) -> dict[str, Any]:
    common = {"id": event_id, "customer_id": act.customer, "occurred_at": at}
    if act.kind == "launched":
        return body(type="evaluation.requested", campaign="launched", launch=f"l{act.number}", **common)
    if act.kind == "writes":
        return message(**common)
    if act.kind == "blocked":
        until = (datetime.fromisoformat(at) + BLOCKED).isoformat()
        return feedback("do_not_contact", **common | {"id": f"block-{act.number}"}, until=until)
    if act.kind == "unblocked":
        return feedback("withdrawn", withdraws=f"block-{act.number}", **common)
    if act.kind in OUTCOME_ACTS:
        answered = campaigns(0)[act.number % 3]
        occasion = launch_occasion(f"l{act.number}") if answered.key == "launched" else str(act.number)
        trigger_id = derive_trigger_id(act.customer, answered, occasion)
        return outcome(act.kind, trigger_id=trigger_id, value=10.0, **common)
    return body(**common)


def _config(holdout_percent: float, **changes: Any) -> DecisionConfig:
    defined = campaigns(holdout_percent, **changes)
    definitions = Definitions(defined, OFFERS, SCORERS.versions, {SEGMENT.key: SEGMENT.version})
    return DecisionConfig(SCORERS, [SEGMENT], {SEGMENT.key: Activation(SEGMENT.version, AS_OF, "emit")}, definitions)
