"""The worker's wall clock jumps to a week ahead of the real time, then to a week behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.settings import OUTPUT_TOPICS
from tests.faults.clock import AHEAD, BEHIND
from tests.faults.kafka_options import TOPIC, set_options
from tests.faults.oracle import compare

if TYPE_CHECKING:
    from tests.faults.oracle import Outcome
    from tests.faults.run import Run

FAULTS = ["clock:+604800", "clock:-604800"]


def test_a_clock_that_jumps_changes_nothing(run: Run, undisturbed: Outcome) -> None:
    """On topics with LogAppendTime, as `holdfast topics create` creates them."""
    worker, lots = run.start(), run.send_lots(3)
    for fault, number in zip(FAULTS, (AHEAD, BEHIND), strict=True):
        run.wait_for(next(lots))
        worker.signal(number)
        run.wait_until(lambda fault=fault: fault in worker.faults())
    next(lots)
    assert compare(undisturbed, run.finish()).complaints == []
    assert worker.faults() == FAULTS


def test_a_clock_too_far_ahead_for_the_broker_costs_time_and_nothing_else(run: Run, undisturbed: Outcome) -> None:
    """Topics with CreateTime reject timestamps more than an hour ahead: the worker waits until its clock is right."""
    for topic in OUTPUT_TOPICS.values():
        set_options(run.world.endpoints.broker, TOPIC, run.prefix + topic, message_timestamp_type="CreateTime")
    lots = run.send_lots(2)
    worker = run.start()
    run.wait_for(next(lots) // 2)
    worker.signal(AHEAD)
    run.wait_until(lambda: worker.faults() != [])
    next(lots)
    run.wait_until(lambda: any("Invalid timestamp" in each["error"] for each in worker.said("service_unavailable")))
    assert run.committed() < len(run.records)
    worker.signal(BEHIND)
    assert compare(undisturbed, run.finish()).complaints == []
    assert worker.faults() == FAULTS
