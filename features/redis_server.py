"""A look at the server of the feature cache, for commands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, RedisError

from features.errors import CacheUnavailableError
from features.redis_cache import build_client

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RedisServer:
    """What a server says of itself.

    Attributes:
        seconds: a round trip.
        version: None where the user may not read it.
        is_cluster: whether it is a node of Redis Cluster; None where the user may not read it.
    """

    seconds: float
    version: str | None
    is_cluster: bool | None


async def inspect_redis(url: str, *, timeout_s: float, ca_file: Path | None = None) -> RedisServer:
    """Ask a server.

    Raises:
        ServiceAddressError: the URL is malformed.
        CacheUnavailableError: it cannot be reached, or refuses the user.
    """
    client = build_client(url, timeout_s, ca_file)
    try:
        await client.ping()  # connects
        begun = time.monotonic()
        await client.ping()
        seconds = time.monotonic() - begun
        try:
            info: dict[str, Any] = await client.info()
        except NoPermissionError:
            return RedisServer(seconds, None, None)
        return RedisServer(seconds, str(info["redis_version"]), info.get("redis_mode") == "cluster")
    except (RedisError, OSError) as error:
        raise CacheUnavailableError(f"Redis cannot be reached: {type(error).__name__}: {error}") from error
    finally:
        await client.aclose()
