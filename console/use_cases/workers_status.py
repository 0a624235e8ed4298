"""The workers of a deployment: the members of the consumer group, and what their probes say."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.kafka.group_inspection import Group, Member
    from streams.settings import Settings

COMMIT_AGE = "holdfast_commit_age_seconds"
PROBES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker.

    Attributes:
        name: its instance id, or the end of the id that Kafka gave it.
        host: its address as the broker sees it.
        partitions: the partition numbers that it owns, of every input topic.
        health: the status that /health reports; None where the probe was not reached.
        problems: what /health names: degraded, retrying or stuck.
        commit_age_s: the longest time for which one of its partitions with lag has committed nothing; None is unknown.
    """

    name: str
    host: str
    partitions: Sequence[int]
    health: str | None = None
    problems: Sequence[str] = ()
    commit_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """All workers.

    Attributes:
        group_state: of the consumer group, in Kafka's words.
        workers: its members.
    """

    group_state: str
    workers: Sequence[WorkerStatus] = field(default_factory=tuple)


def find_workers(settings: Settings, group: Group, *, timeout_s: float) -> Workers:
    """Return the workers; this function alone knows where they are read from.

    The probe of a worker is asked at its host and the port of the settings, unless several workers run on that host:
    it is then not known whose probe it is.

    Args:
        settings: the port of the probes.
        group: the consumer group.
        timeout_s: the longest wait for a probe.
    """
    on_host = Counter(each.host for each in group.members)
    with ThreadPoolExecutor(PROBES_AT_ONCE) as pool:
        found = pool.map(
            lambda each: _describe(each, settings.health_port if on_host[each.host] == 1 else 0, timeout_s),
            group.members,
        )
        return Workers(group.state, sorted(found, key=lambda each: (each.name, each.partitions)))


def _describe(member: Member, port: int, timeout_s: float) -> WorkerStatus:
    numbers = sorted({number for partitions in member.partitions.values() for number in partitions})
    report = _read_probe(f"http://{member.host}:{port}/health", timeout_s) if port else None
    if report is None:
        return WorkerStatus(member.name, member.host, numbers)
    try:
        health: Mapping[str, Any] = json.loads(report)
        problems = [*health["degraded"], *(f"waits for {each}" for each in health["retrying"]), *health["stuck"]]
        status = str(health["status"])
    except (ValueError, KeyError, TypeError):  # another program listens there
        return WorkerStatus(member.name, member.host, numbers)
    metrics = _read_probe(f"http://{member.host}:{port}/metrics", timeout_s)
    return WorkerStatus(member.name, member.host, numbers, status, problems, _find_commit_age(metrics))


def _read_probe(url: str, timeout_s: float) -> str | None:
    try:
        with urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - http alone, see above
            return str(answer.read().decode())
    except HTTPError as answer:  # 503 while it is not ready
        with answer:
            return str(answer.read().decode(errors="replace"))
    except (OSError, ValueError):
        return None


def _find_commit_age(metrics: str | None) -> float | None:
    families = text_string_to_metric_families(metrics or "")
    return max(
        (sample.value for family in families for sample in family.samples if sample.name == COMMIT_AGE), default=None
    )
