"""Half a year, day by day: orders, messages, weekly refreshes, one launch and one malformed event."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from console.demo.publisher import message_event, order_event, refresh_event
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
LAUNCHED = "vip-offers"
MALFORMED = b'{"id": "cut-short", "type": "customer.updated", "customer_id": "178'
MONDAY = 0


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

    def play(self, until: date, catch_up: Callable[[], None]) -> None:
        """Play every day before `until`; after each weekly refresh wait until the worker has caught up.

        The refresh of the first day is the first evaluation of every customer: memberships are recorded, and all
        triggers are suppressed.
        """
        with connect(self._settings.warehouse_url) as connection:
            self._refresh(connection, BEGIN)
            catch_up()
            for day in example_days(BEGIN, until - timedelta(days=1), self._folder):
                self.day = day.date
                self._live(connection, day)
                if day.date.weekday() == MONDAY:
                    self._refresh(connection, day.date)
                    catch_up()
                if day.date == LAUNCH_ON:
                    self._launch()

    def _live(self, connection: psycopg.Connection, day: Day) -> None:
        insert_day(connection, day)
        connection.commit()
        for invoice in day.invoices:
            self._publisher.publish("customer-updates", order_event(invoice))
        for message in day.conversations:
            self._publisher.publish("conversations", message_event(message))
        if day.date == MALFORMED_ON:
            self._publisher.publish_bytes("customer-updates", b"17850", MALFORMED)
        self._publisher.flush()

    def _refresh(self, connection: psycopg.Connection, day: date) -> None:
        at = datetime.combine(day, time(23), UTC)
        for (customer_id,) in connection.execute("SELECT customer_id FROM customers ORDER BY customer_id"):
            self._publisher.publish("customer-updates", refresh_event(customer_id, at))
        connection.commit()
        self._publisher.flush()

    def _launch(self) -> None:
        at = datetime.combine(LAUNCH_ON, time(10), UTC)
        launched = launch_campaign(self._settings, LAUNCHED, by="demo", at=at, launch_id="demo")
        self.launched = launched.members
        self._publisher.sent += launched.members
