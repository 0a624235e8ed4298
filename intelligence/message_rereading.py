"""Stored messages read again by the present reader, after a promotion or another file of concerns.

The place is committed with each batch, so that an interrupted run goes on where it ended. Only rows whose reading has
changed are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.signals import MessageReading
    from intelligence.postgres_messages import MessageStore
    from models.sentiment import MessageReader

READ_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RereadReport:
    """What a run read again.

    Attributes:
        version: of the reader.
        read: messages read again.
        changed: of them, those with another reading now.
    """

    version: str
    read: int = 0
    changed: int = 0


def reread_messages(
    store: MessageStore, reader: MessageReader, on_progress: Callable[[int, int], None], at_once: int = READ_AT_ONCE
) -> RereadReport:
    """Read all stored messages again, where the reader is another one than before.

    Args:
        store: the message store.
        reader: what reads.
        on_progress: receives the messages read again, and all messages.
        at_once: how many are read in one transaction.
    """
    read = changed = 0
    customer, message = _find_place(store, reader.version)
    total = 0 if customer is None else store.count()
    while customer is not None:
        # No erasure comes between the rows and the place, which names a customer.
        with store.writing():
            rows = store.execute("texts_after", customer_id=customer, message_id=message, most=at_once).fetchall()
            readings = reader.read([text for _, _, text in rows])
            values = [_as_values(row[0], row[1], reading) for row, reading in zip(rows, readings, strict=True)]
            changed += store.update_readings(values)
            customer, message = rows[-1][:2] if len(rows) == at_once else (None, None)
            store.execute("delete_reading_state")
            store.execute("write_reading_state", version=reader.version, customer_id=customer, message_id=message)
        read += len(rows)
        on_progress(read, total)
    return RereadReport(reader.version, read, changed)


def _find_place(store: MessageStore, version: str) -> tuple[str | None, str | None]:
    """Return the last message that this reader has read again, one before all, or None where it has read all."""
    state = store.execute("reading_state").fetchall()
    return (state[0][1], state[0][2]) if state and state[0][0] == version else ("", "")


def _as_values(customer: str, message: str, reading: MessageReading) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "message_id": message,
        "language": reading.language or None,
        "sentiment": reading.sentiment,
        "satisfaction": reading.satisfaction,
        "concerns": list(reading.concerns),
        "urgency": reading.urgency,
        "wants_to_cancel": reading.wants_to_cancel,
    }
