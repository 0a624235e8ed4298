"""`holdfast deliver` that is killed at a step of its first e-mail: DELIVER_DIES is `before STEP` or `after STEP`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import delivery.services
from delivery.consent_check import ConsentCheck
from delivery.kafka import KafkaReports, TriggerConsumer
from delivery.postgres_deliveries import PostgresDeliveries
from delivery.smtp import SmtpTransport
from tests.forked_process import run_command

if TYPE_CHECKING:
    from collections.abc import Callable

# Each step, the adapter and the method that makes it, and whether a call is about an e-mail.
STEPS: dict[str, tuple[type, str, Callable[[tuple[Any, ...], Any], bool]]] = {
    "accept": (PostgresDeliveries, "accept", lambda given, _: bool(given[0])),
    "commit": (TriggerConsumer, "commit", lambda *_: True),
    "claim": (PostgresDeliveries, "claim", lambda given, result: given[0] == "email" and bool(result)),
    "check": (ConsentCheck, "find", lambda given, _: given[0][0].channel == "email"),
    "send": (SmtpTransport, "send", lambda *_: True),
    "settle": (PostgresDeliveries, "settle", lambda given, _: given[0].channel == "email"),
    "publish": (KafkaReports, "publish", lambda given, _: any(each.channel == "email" for each in given[0])),
    "mark": (PostgresDeliveries, "mark_reported", lambda given, _: any(each.channel == "email" for each in given[0])),
}


def run() -> None:
    """Run the command."""
    when, _, step = os.environ["DELIVER_DIES"].partition(" ")
    adapter, name, concerns = STEPS[step]
    plain = getattr(adapter, name)

    async def call(self: object, *given: Any, **named: Any) -> Any:
        # What a claim returns is known after it only.
        if when == "before" and concerns(given, ()):
            os.kill(os.getpid(), signal.SIGKILL)
        result = await plain(self, *given, **named)
        if concerns(given, result):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    faulty = type(adapter.__name__, (adapter,), {name: call})
    assert hasattr(delivery.services, adapter.__name__)
    setattr(delivery.services, adapter.__name__, faulty)
    run_command()
