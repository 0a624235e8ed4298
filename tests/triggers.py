"""Triggers as the workers publish them, for tests of their delivery."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec

from delivery.ports import Received
from delivery.trigger import read_trigger

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_NAMES = UUID(int=0)


def trigger_bytes(name: str = "ann", **changes: Any) -> bytes:
    """Return the value of a trigger for a customer of that name; its id is the same for the same name."""
    defaults: dict[str, Any] = {
        "trigger_id": uuid5(_NAMES, name),
        "customer_id": name,
        "campaign": "win-back",
        "variant": "treatment",
        "channel": "email",
        "message": "Hello",
        "message_format": "text",
        "expires_at": NOW + timedelta(days=1),
        "segment": "at-risk",
    }
    return msgspec.json.encode({**defaults, **changes})


def received(name: str = "ann", **changes: Any) -> Received:
    """Return a trigger as it is received."""
    body = trigger_bytes(name, **changes)
    return Received(read_trigger(body), body)
