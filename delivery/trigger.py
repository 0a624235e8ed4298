"""What a delivery reads of a trigger. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import ValidationError

from campaigns.quiet_hours import QuietHours
from delivery.errors import UnreadableTriggerError


class Trigger(msgspec.Struct, frozen=True):
    """A trigger, by the names of campaigns/schemas/trigger.schema.json; the rest of it is not read."""

    trigger_id: UUID
    customer_id: str
    campaign: str
    variant: Literal["treatment"]
    channel: str
    message: str
    message_format: Literal["html", "text"]
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]
    deliver_after: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    quiet_hours: dict[str, Any] | None = None
    recipient: Literal["customer", "staff"] = "customer"
    subject: str | None = None

    @property
    def id(self) -> str:
        """The trigger's id, as text."""
        return str(self.trigger_id)

    def read_quiet_hours(self) -> QuietHours | None:
        """Return the quiet hours in which it must not be delivered.

        Raises:
            ValidationError: they cannot be understood.
        """
        return None if self.quiet_hours is None else QuietHours.model_validate(self.quiet_hours)


_decoder = msgspec.json.Decoder(Trigger)


def read_trigger(value: bytes | None) -> Trigger:
    """Return the trigger of a record's value.

    Raises:
        UnreadableTriggerError: it is none, or one of the control group; the message quotes no value of it.
    """
    if not value:
        raise UnreadableTriggerError("the record has no value")
    try:
        trigger = _decoder.decode(value)
        trigger.read_quiet_hours()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableTriggerError(str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UnreadableTriggerError(f"quiet_hours: {first['msg']}") from error
    return trigger
