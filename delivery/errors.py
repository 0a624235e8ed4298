"""Errors of the delivery package.

DeliveryError
├── DeliveryConfigError      delivery.json or a variable of a channel cannot be used; the message says what to do
└── UnreadableTriggerError   a record is no trigger that can be delivered
"""

from __future__ import annotations


class DeliveryError(Exception):
    """Anything that goes wrong in this package."""


class DeliveryConfigError(DeliveryError):
    """delivery.json or a variable of a channel cannot be used; the message says what to do."""


class UnreadableTriggerError(DeliveryError):
    """A record is no trigger that can be delivered; the message says why."""
