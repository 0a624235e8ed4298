"""The examination of a deployment: every part is read at the same time, then every check is made."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from campaigns.postgres_inspection import inspect_ledger
from console.use_cases.doctor import (
    broker_checks,
    cache_checks,
    ledger_checks,
    settings_checks,
    warehouse_checks,
)
from console.use_cases.doctor.findings import Finding, Severity
from console.use_cases.doctor.inspection import inspect_warehouse
from console.use_cases.parts import Reading, attempt
from console.use_cases.services_status import WITHOUT
from features.redis_server import inspect_redis
from streams.definitions import read_definitions
from streams.kafka.broker_inspection import inspect_broker
from streams.runtime.model_reload import load_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from console.use_cases.parts import Part
    from streams.settings import Settings

TIMEOUT_S = 60.0
"""Of the slowest part, which counts the rows of the view."""
ANSWER_S = 5.0
REDIS_S = 2.0
ORDER = list(Severity)

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        findings: the worst first.
        checks: how many checks were made.
        not_made: how many were not, because what they need could not be read.
    """

    findings: Sequence[Finding]
    checks: int
    not_made: int

    @property
    def needs_attention(self) -> bool:
        """Whether there is more than notes."""
        return any(each.severity is not Severity.NOTE for each in self.findings)


def examine(settings: Settings, *, timeout_s: float = TIMEOUT_S) -> Examination:
    """Examine a deployment.

    Args:
        settings: where everything is.
        timeout_s: the longest wait for any part.
    """
    until = time.monotonic() + timeout_s
    broker = Reading(partial(inspect_broker, settings, timeout_s=ANSWER_S))
    ledger = Reading(partial(inspect_ledger, settings.ledger_url, timeout_s=ANSWER_S))
    definitions = attempt(partial(_load, settings))
    warehouse = Reading(partial(inspect_warehouse, settings)) if definitions.value else None
    cache = Reading(
        lambda: asyncio.run(inspect_redis(settings.redis_url, timeout_s=REDIS_S, ca_file=settings.redis_ca_file))
    )
    findings = [found for check in settings_checks.CHECKS for found in check(settings)]
    checks, not_made = len(settings_checks.CHECKS), 0
    for made, unread, found in (
        _make(settings, "Kafka", broker.wait(timeout_s, until), broker_checks.CHECKS),
        _make(settings, "ledger", ledger.wait(timeout_s, until), ledger_checks.CHECKS),
        _make(settings, "warehouse", warehouse.wait(timeout_s, until), warehouse_checks.CHECKS)
        if warehouse
        else (0, len(warehouse_checks.CHECKS), [_describe_unloaded(definitions.problem)]),
        _make(settings, "Redis", cache.wait(timeout_s, until), cache_checks.CHECKS),
    ):
        checks, not_made = checks + made, not_made + unread
        findings += found
    return Examination(sorted(findings, key=lambda each: ORDER.index(each.severity)), checks, not_made)


def _load(settings: Settings) -> bool:
    load_models(settings, read_definitions(settings).offers)
    return True


def _make(
    settings: Settings,
    name: str,
    part: Part[Facts],
    checks: Sequence[Callable[[Settings, Facts], Iterable[Finding]]],
) -> tuple[int, int, Sequence[Finding]]:
    """Return how many checks were made and not made, and what they found."""
    facts = part.value
    if facts is None:
        return 0, len(checks), [_describe_unread(name, part.problem)]
    return len(checks), 0, [found for check in checks for found in check(settings, facts)]


def _describe_unloaded(problem: str) -> Finding:
    return Finding(
        "definitions-unusable",
        Severity.ERROR,
        problem,
        "No worker starts, and the view cannot be compared with the definitions.",
        "correct the file that it names, in HOLDFAST_DEFINITIONS_DIR or HOLDFAST_MODELS_DIR; holdfast segments check",
    )


def _describe_unread(name: str, problem: str) -> Finding:
    severity = Severity.WARNING if name == "Redis" else Severity.ERROR
    setting = {"Kafka": "HOLDFAST_BROKER"}.get(name, f"HOLDFAST_{name.upper()}_URL")
    without = WITHOUT[name]
    return Finding(
        f"{name.lower()}-unusable",
        severity,
        f"{name}: {problem}",
        f"Its checks were not made. Without it {without}.",
        f"correct what it says, or {setting}; start the service if it is down",
    )
