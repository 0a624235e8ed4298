"""The schedule of a soak's disturbances of workers and services, drawn from a seed and reproducible by it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.run import SESSION_S
from tests.faults.worker_with_faults import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEATS = ("first", "second")
SERVICES = ("kafka", "postgres", "redis")
GAP_S = 0.8
"""Mean time between two external disturbances; faults inside the workers are additional."""
REST_S = 2.0
"""Time without disturbances of a service after each one, so that workers make progress."""
START_S = 5.0
CALM_EVERY_S = 75.0
LATEST_OCCURRENCE = 120

# Kind: relative frequency, and the bounds of its duration, s.
OF_WORKERS = {
    "kill": (8, 0.0, 0.0),
    "terminate": (6, 0.0, 0.0),
    "freeze": (6, 0.1, SESSION_S - 2.0),
    "freeze-past-session": (3, SESSION_S + 1.0, SESSION_S + 5.0),
    "guest": (3, 1.0, 12.0),
    "guest-killed": (2, 1.0, 12.0),
}
OF_SERVICES = {
    "kafka-restart": (2, 0.0, 3.0),
    "kafka-cut": (6, 0.0, 1.0),
    "kafka-delay": (6, 0.5, 4.0),
    "kafka-hold": (3, 0.5, SESSION_S + 3.0),
    "postgres-restart": (3, 0.0, 3.0),
    "postgres-terminate": (8, 0.0, 1.0),
    "postgres-cut": (6, 0.0, 1.0),
    "postgres-delay": (6, 0.5, 4.0),
    "postgres-hold": (3, 0.5, SESSION_S + 3.0),
    "redis-restart": (3, 0.0, 3.0),
    "redis-flush": (6, 0.0, 0.0),
    "redis-cut": (5, 0.0, 1.0),
    "redis-delay": (4, 0.5, 4.0),
    "redis-hold": (3, 0.5, SESSION_S + 3.0),
}
KINDS = OF_WORKERS | OF_SERVICES
LONGEST_DELAY_S = 0.3


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A disturbance and its time, in seconds of a clock that stops while no worker works.

    `seat` is the disturbed worker, for disturbances of workers; `delay_s` is the added latency, for delays. A calm
    disturbance is a kill without other faults around it, so that the recovery can be measured.
    """

    at_s: float
    kind: str
    lasts_s: float
    seat: str
    delay_s: float
    is_calm: bool = False

    @property
    def service(self) -> str:
        """The disturbed service, for disturbances of services."""
        return self.kind.partition("-")[0] if self.kind in OF_SERVICES else ""


def plan(seed: int, seconds: float) -> list[Disturbance]:
    """Return the disturbances in order of time."""
    chance = random.Random(f"disturbances {seed}")
    planned, at, resting_until = list(_plan_calm(chance, seconds)), 0.0, dict.fromkeys(("", *SERVICES), 0.0)
    while (at := at + chance.expovariate(1 / GAP_S)) < seconds:
        drawn = _draw(chance, at)
        if at >= resting_until[drawn.service]:
            planned.append(drawn)
            if drawn.service:
                resting_until[drawn.service] = at + drawn.lasts_s + REST_S + START_S * drawn.kind.endswith("restart")
    return sorted(planned, key=lambda each: each.at_s)


def _plan_calm(chance: random.Random, seconds: float) -> Iterator[Disturbance]:
    number = math.ceil(seconds / CALM_EVERY_S)
    for place in range(number):
        at = (place + chance.uniform(0.2, 0.5)) * seconds / number
        yield Disturbance(at, "kill", 0.0, SEATS[place % len(SEATS)], 0.0, is_calm=True)


def _draw(chance: random.Random, at: float) -> Disturbance:
    kind = chance.choices(list(KINDS), [weight for weight, _, _ in KINDS.values()])[0]
    _, shortest, longest = KINDS[kind]
    lasts, delay = chance.uniform(shortest, longest), chance.uniform(0.01, LONGEST_DELAY_S)
    return Disturbance(at, kind, lasts, chance.choice(SEATS), delay)


def draw_inside(chance: random.Random) -> str:
    """Return the faults of a new worker as a value of HOLDFAST_FAULT; often empty."""
    away = [_draw_step(chance, "away") for _ in range(chance.choice((0, 0, 1, 2)))]
    end = chance.choice(("", "kill", "freeze", "crash"))
    return ",".join(away + ([_draw_step(chance, end)] if end else []))


def _draw_step(chance: random.Random, action: str) -> str:
    # Early occurrences are as likely as late ones, because most workers are disturbed early.
    occurrence = int(math.exp(chance.uniform(0, math.log(LATEST_OCCURRENCE))))
    steps: Sequence[str] = [step for step in STEPS if (step, action) != ("before_ack", "away")]
    return f"{chance.choice(steps)}:{occurrence}:{action}"


def draw_sleep(chance: random.Random) -> float:
    """Return the sleep of a worker that froze itself, s; half of the draws exceed its session timeout."""
    return chance.choice((chance.uniform(0.1, SESSION_S - 2), chance.uniform(SESSION_S + 1, SESSION_S + 4)))
