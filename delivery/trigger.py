"""What a delivery reads of a trigger. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import ValidationError

from campaigns.quiet_hours import QuietHours
from delivery.errors import UnreadableTriggerError

# PostgreSQL stores no NUL.
Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]{1,200}$")]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
LAST_YEAR = 9_000
"""Quiet hours are looked for in the days around a time, which must exist."""


class Trigger(msgspec.Struct, frozen=True):
    """A trigger, by the names of campaigns/schemas/trigger.schema.json; the rest of it is not read."""

    trigger_id: UUID
    customer_id: Name
    campaign: Name
    variant: Literal["treatment"]
    channel: Name
    message: str
    message_format: Literal["html", "text"]
    expires_at: Time
    deliver_after: Time | None = None
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
    if max(trigger.expires_at, trigger.deliver_after or trigger.expires_at).year > LAST_YEAR:
        raise UnreadableTriggerError(f"a time is after the year {LAST_YEAR}")
    return trigger
