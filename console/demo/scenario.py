"""Half a year, day by day: orders, messages, one lead, one launch and one malformed event.

No event says that a customer has stopped to buy: the worker finds those by itself, see docs/silent-customers.md.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec

from console.demo.intelligence import LAUNCHED, add_complaints, lead_events
from console.demo.publisher import first_event, message_event, order_event
from console.use_cases.launches import launch_campaign
from console.warehouse import connect, example_days, insert_day

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psycopg

    from console.demo.publisher import Publisher
    from console.warehouse import Day
    from streams.settings import Settings

BEGIN = date(2011, 6, 1)
END = date(2011, 12, 10)
MALFORMED_ON = date(2011, 7, 4)
LAUNCH_ON = date(2011, 10, 3)
MONDAY = 0
MALFORMED = b'{"id": "cut-short", "type": "customer.updated", "customer_id": "178'


class Scenario:
    """Plays days: inserts their data into the warehouse and publishes their events.

    Args:
        settings: of the demo's services.
        folder: the example's files.
        publisher: publishes and counts.
    """

    def __init__(self, settings: Settings, folder: Path, publisher: Publisher) -> None:
        self._settings = settings
        self._folder = folder
        self._publisher = publisher
        self.day = BEGIN
        self.launched = 0
        self._latest = datetime.combine(BEGIN, time(), UTC)

    def play(self, until: date, catch_up: Callable[[datetime], None]) -> None:
        """Play every day before `until`; each Monday wait until the worker has caught up.

        First every customer is evaluated once: memberships are recorded, and all triggers are suppressed.

        Args:
            until: the first day that is not played.
            catch_up: waits until the worker has decided all, customers who are due at a time included.
        """
        with connect(self._settings.warehouse_url) as connection:
            catch_up(self._evaluate_everybody(connection))
            for day in example_days(BEGIN, until - timedelta(days=1), self._folder):
                self.day = day.date
                latest = self._live(connection, add_complaints(day))
                if day.date.weekday() == MONDAY:
                    catch_up(latest)
                if day.date == LAUNCH_ON:
                    self._launch()
            catch_up(self._latest)

    def _live(self, connection: psycopg.Connection, day: Day) -> datetime:
        """Play a day, and return the time of its last event."""
        insert_day(connection, day)
        connection.commit()
        for invoice in day.invoices:
            self._publisher.publish("customer-updates", order_event(invoice))
        for message in day.conversations:
            self._publisher.publish("conversations", message_event(message))
        for event in lead_events(day.date):
            self._publisher.publish_bytes("leads", event["lead_id"].encode(), msgspec.json.encode(event))
        if day.date == MALFORMED_ON:
            self._publisher.publish_bytes("customer-updates", b"17850", MALFORMED)
        self._publisher.flush()
        times = [each.ordered_at for each in day.invoices] + [each.occurred_at for each in day.conversations]
        self._latest = max([self._latest, *times])
        return self._latest

    def _evaluate_everybody(self, connection: psycopg.Connection) -> datetime:
        for (customer_id,) in connection.execute("SELECT customer_id FROM customers ORDER BY customer_id"):
            self._publisher.publish("customer-updates", first_event(customer_id, self._latest))
        self._publisher.flush()
        return self._latest

    def _launch(self) -> None:
        at = datetime.combine(LAUNCH_ON, time(10), UTC)
        launched = launch_campaign(self._settings, LAUNCHED, by="demo", at=at, launch_id="demo")
        self.launched = launched.members
        self._publisher.sent += launched.members
