"""The per-event baseline in Quix Streams: a dataframe of functions, triggers sent to a topic. See baseline.py."""

from __future__ import annotations

import json
import sys
from typing import Any

import psycopg
from psycopg.rows import dict_row
from quixstreams import Application
from redis import Redis

from benchmarks.contenders.baseline import CREATE, INSERT, KEY, SELECT, Addresses, BaselineJob, outcome
from benchmarks.contenders.stopwatch import Stopwatch

Event = dict[str, Any]


class Steps:
    """The functions of the dataframe, in their order."""

    def __init__(self) -> None:
        self._job = BaselineJob()
        self._cache = Redis.from_url(Addresses.redis)
        self._warehouse = psycopg.connect(Addresses.warehouse, autocommit=True, row_factory=dict_row)
        self._ledger = psycopg.connect(Addresses.ledger, autocommit=True)
        self._ledger.execute(CREATE)
        self.sent = 0

    def add_facts(self, event: Event) -> Event:
        """Read the customer's segments and warehouse row."""
        customer = event["customer_id"]
        known = json.loads(self._cache.get(KEY.format(customer)) or "[]")  # type: ignore[arg-type]
        row: Any = self._warehouse.execute(SELECT, [customer]).fetchone()
        return event | {"known": known, "facts": row | {"customer_since": row["customer_since"].isoformat()}}

    def add_score(self, event: Event) -> Event:
        """Score."""
        facts = event["facts"]
        return event | {"facts": facts | {"churn_probability": self._job.score(facts)}}

    def add_segments(self, event: Event) -> Event:
        """Apply the rules."""
        return event | {"segments": self._job.classify(event["facts"])}

    def keep_memberships(self, event: Event) -> Event:
        """Store the segments if they changed."""
        known = set(event["known"])
        if event["segments"] != known:
            self._cache.set(KEY.format(event["customer_id"]), json.dumps(sorted(event["segments"])))
        return event | {"entered": event["segments"] - known}

    def keep_outcome(self, event: Event) -> Event:
        """Write the outcome and return it."""
        facts = event["facts"]
        found = outcome(event, facts["churn_probability"], self._job.find_campaigns(facts, event["entered"]))
        self._ledger.execute(INSERT, list(found.values()))
        self.sent += len(found["campaigns"])
        return found


def read(broker: str, topic: str, group: str, events: int) -> None:
    """Process this many events in a new consumer group."""
    watch, steps = Stopwatch(events, Addresses.warm), Steps()

    def note(*_: object) -> None:
        if watch.note(1):
            watch.report(triggers=steps.sent)
            app.stop()

    app = Application(
        broker_address=broker,
        consumer_group=group,
        auto_offset_reset="earliest",
        on_message_processed=note,
        loglevel="ERROR",
    )
    updates = app.dataframe(app.topic(topic, value_deserializer="json"))
    updates = updates.apply(steps.add_facts).apply(steps.add_score).apply(steps.add_segments)
    updates = updates.apply(steps.keep_memberships).apply(steps.keep_outcome)
    updates.to_topic(app.topic(Addresses.outcomes, value_serializer="json"))
    app.run()


if __name__ == "__main__":
    read(*sys.argv[1:4], int(sys.argv[4]))
