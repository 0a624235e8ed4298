"""Feedback of staff in a batch: what the ledger keeps of it, and what counts in the batch itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from campaigns.decide import ContactHistory
from campaigns.feedback import ALWAYS_VIP, Feedback, FeedbackKind, find_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from features.table import Column
    from streams.formats.events import Event


def read_feedback(events: Sequence[Event]) -> list[Feedback]:
    """Return the feedback of a batch; of one event id the first counts."""
    found: dict[tuple[str, str], Feedback] = {}
    for event in events:
        wire = event.wire
        found.setdefault(
            (event.customer_id, wire.id),
            Feedback(
                customer_id=event.customer_id,
                event_id=wire.id,
                kind=wire.type.removeprefix("feedback."),
                given_at=wire.occurred_at,
                actor=wire.by,
                why=wire.reason,
                until=wire.until,
                model=wire.model or None,
                value=wire.value,
                withdraws=wire.withdraws or None,
            ),
        )
    return list(found.values())


def fold_feedback(
    histories: Mapping[str, ContactHistory], feedback: Sequence[Feedback]
) -> Mapping[str, ContactHistory]:
    """Return contact histories with feedback added: it counts in its own batch."""
    if not feedback:
        return histories
    added = dict(histories)
    for each in feedback:
        added[each.customer_id] = added.get(each.customer_id, ContactHistory()).with_feedback(each)
    return added


def feedback_columns(
    histories: Mapping[str, ContactHistory], customer_ids: Sequence[str], as_of: Mapping[str, datetime]
) -> dict[str, Column]:
    """Return what rules read of feedback: `always_vip`, false for a customer of whom staff said nothing."""
    column = np.zeros(len(customer_ids), dtype=np.bool_)
    for row, customer_id in enumerate(customer_ids):
        history = histories.get(customer_id)
        if history is not None and history.feedback:
            vip = find_in_force(history.feedback, FeedbackKind.ALWAYS_VIP, as_of[customer_id])
            column[row] = vip is not None
    return {ALWAYS_VIP: column}
