"""Checks of the feature cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.use_cases.doctor.findings import error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from console.use_cases.doctor.findings import Finding
    from features.redis_server import RedisServer
    from streams.settings import Settings


def check_cluster(settings: Settings, cache: RedisServer) -> Iterator[Finding]:
    """Redis is one server."""
    if cache.is_cluster:
        yield error(
            "redis-cluster",
            "HOLDFAST_REDIS_URL leads to a node of Redis Cluster",
            "A command for many customers is refused, since their keys are in several slots: nothing is cached.",
            "name a single Redis server in HOLDFAST_REDIS_URL",
        )


CHECKS: Sequence[Callable[[Settings, RedisServer], Iterator[Finding]]] = (check_cluster,)
