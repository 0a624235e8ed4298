"""A worker that dies, or gets a false error, at any step loses and duplicates no trigger.

HOLDFAST_FAULT_REPEATS=20 runs each test 20 times, with kills at other occurrences of the steps.
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.faults.oracle import compare
from tests.faults.worker_with_faults import STEPS

if TYPE_CHECKING:
    from tests.faults.oracle import Outcome
    from tests.faults.run import Run

REPEATS = int(os.environ.get("HOLDFAST_FAULT_REPEATS", "1"))
MAX_OCCURRENCE = 20
SEED = 4


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_a_kill_at_every_step_in_turn_loses_and_doubles_nothing(run: Run, undisturbed: Outcome, repeat: int) -> None:
    """Each worker kills itself at another step, in its first batch or later; the last one finishes."""
    chance = random.Random(SEED + repeat)
    run.send()
    for step in chance.sample(STEPS, len(STEPS)):
        killed = run.start(f"{step}:{chance.randint(1, 6)}:kill")
        assert killed.wait() == -signal.SIGKILL, killed.tail()
    run.start()
    assert compare(undisturbed, run.finish()).complaints == []


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_answers_that_never_arrive_lose_and_double_nothing(run: Run, undisturbed: Outcome, repeat: int) -> None:
    """Each operation succeeds but is reported as failed, three times at every step; the worker continues."""
    chance = random.Random(repeat)
    steps = [step for step in STEPS if step != "before_ack"]
    faults = [f"{step}:{place}:away" for step in steps for place in chance.sample(range(1, MAX_OCCURRENCE), 3)]
    run.send()
    worker = run.start(",".join(faults))
    assert compare(undisturbed, run.finish()).complaints == []
    assert sorted(worker.faults()) == sorted(faults)


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_unexpected_errors_end_the_worker_and_lose_nothing(run: Run, undisturbed: Outcome, repeat: int) -> None:
    """At one step after another; each time the process exits with an error and is restarted."""
    run.send()
    for step in ("in_transaction", "after_publish", "before_ack"):
        crashed = run.start(f"{step}:{1 + repeat % 5}:crash")
        assert crashed.wait() == 1, crashed.tail()
    run.start()
    assert compare(undisturbed, run.finish()).complaints == []
