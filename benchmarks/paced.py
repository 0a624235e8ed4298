"""A producer with a fixed rate; arguments: broker, topic prefix, customers, events per second and seconds.

The id of each event begins with the time at which it was due, in ns since 1970: a producer that falls behind does not
hide how long its events wait ("coordinated omission"). Prints the rate achieved.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import numpy as np
from confluent_kafka import Producer

from benchmarks.workload import MESSAGES_PERCENT, PARTITIONS, TEXTS, Size, draw_customers

TICK_S = 0.002
NANOSECONDS = 1_000_000_000
UPDATE = '{"id":"%d-%d","type":"customer.updated","customer_id":"%s","occurred_at":"%s"}'
MESSAGE = (
    '{"id":"%d-%d","type":"conversation.message","customer_id":"%s","occurred_at":"%s",'
    '"role":"customer","channel":"mail","text":"' + TEXTS[1] + '"}'
)


def produce(broker: str, prefix: str, customers: int, rate: int, seconds: float) -> None:
    """Write events at a fixed rate: every 2 ms, or when the next one is due, those that have become due."""
    producer = Producer({"bootstrap.servers": broker, "acks": "all"})
    count = int(rate * seconds)
    drawn = draw_customers(Size(events=count, customers=customers, seed=rate), count).tolist()
    said = (np.random.default_rng(rate).random(count) * 100 < MESSAGES_PERCENT).tolist()
    began, began_ns, sent = time.perf_counter(), time.time_ns(), 0
    while sent < count:
        due = min(count, int((time.perf_counter() - began) * rate) + 1)
        occurred = datetime.now(UTC).isoformat()
        for number in range(sent, due):
            customer = f"c{drawn[number]}"
            text, topic = (MESSAGE, "conversations") if said[number] else (UPDATE, "customer-updates")
            value = text % (began_ns + number * NANOSECONDS // rate, number, customer, occurred)
            producer.produce(prefix + topic, value, customer, partition=drawn[number] % PARTITIONS)
        sent = due
        producer.poll(0)
        time.sleep(max(TICK_S, began + sent / rate - time.perf_counter()))
    took = time.perf_counter() - began
    producer.flush()
    sys.stdout.write(f"{count / took:.0f}\n")


if __name__ == "__main__":
    produce(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
