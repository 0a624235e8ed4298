"""The feature cache in Redis.

One key per customer holds either a row or a lease, distinguished by the first byte:

* read: one MGET; for the missing keys one script of `SET key lease NX PX`, cheaper for both sides than a pipeline of as
  many commands;
* fill: one script that replaces a lease by its row, if it is the lease that the row was read under;
* invalidate: one UNLINK, which removes rows and leases.

The leases follow "Scaling Memcache at Facebook" (Nishtala and others, NSDI 2013), section 3.2.1. The content of Redis
is not trusted: a value of another type, or with another first byte, is a miss.

One Redis server, not Redis Cluster: each command addresses keys of many customers, which a cluster keeps in many slots.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from features.errors import CacheUnavailableError, ServiceAddressError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from redis.asyncio.connection import AbstractConnection

_ROW, _LEASE = b"r", b"l"
_TOKEN_BYTES = 12
# The number of arguments from which packing a command in C pays off.
_LONG = 16

# pcall: a refused SET (memory full, read only) grants no lease, but the rows found stay usable; and GET of a key of
# another type is an error that must not stop the other keys.
_GRANT = """
local granted = {}
for place, key in ipairs(KEYS) do
    local answer = redis.pcall('SET', key, ARGV[2], 'NX', 'PX', ARGV[1])
    granted[place] = type(answer) == 'table' and answer.ok and 1 or 0
end
return granted
"""
_FILL = """
for place, key in ipairs(KEYS) do
    if redis.pcall('GET', key) == ARGV[2 * place] then
        redis.call('SET', key, ARGV[2 * place + 1], 'PX', ARGV[1])
    end
end
"""


class RedisFeatureCache:
    """Rows under leases in one Redis; implements `features.ports.FeatureCache`."""

    def __init__(
        self,
        url: str,
        *,
        ttl_seconds: float = 3600.0,
        lease_ms: int = 5000,
        timeout: float = 0.25,
        rest_seconds: float = 1.0,
        prefix: str = "holdfast:features:",
        ca_file: Path | None = None,
    ) -> None:
        """Prepare a client; nothing connects before the first call.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            ttl_seconds: how long a row is kept.
            lease_ms: how long a reader may take between its miss and its fill.
            timeout: seconds to wait for a connection and for each answer; a call is tried twice.
            rest_seconds: after a call that could not reach Redis, every call fails at once for so long.
            prefix: the prefix of every key.
            ca_file: PEM certificates of the CA of Redis's certificate; without it the system's.

        Raises:
            ServiceAddressError: the URL is malformed.
        """
        self._ttl_ms = int(ttl_seconds * 1000)
        self._lease_ms = lease_ms
        self._prefix = prefix
        self._rest_seconds = rest_seconds
        self._resting_until = 0.0
        self._redis = build_client(url, timeout, ca_file)
        self._lease = self._redis.register_script(_GRANT)
        self._fill = self._redis.register_script(_FILL)

    async def open(self) -> None:
        """Check the user and the password; a Redis that is away now is no error.

        Raises:
            ServiceAddressError: the user or the password is wrong.
        """
        try:
            async with self._reaching("let in", 0):
                await self._redis.ping()
        except CacheUnavailableError as error:
            if isinstance(error.__cause__, AuthenticationError | NoPermissionError):
                reason = f"HOLDFAST_REDIS_URL: Redis refuses the user or the password: {error.__cause__}"
                raise ServiceAddressError(reason) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def read(self, customer_ids: Sequence[str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Return (rows found, leases for those missing), each by customer id.

        Raises:
            CacheUnavailableError: Redis cannot be reached or refuses.
        """
        if not customer_ids:
            return {}, {}
        async with self._reaching("read", len(customer_ids)):
            values: list[Any] = await self._redis.mget(self._keys(customer_ids))
            found = dict(zip(customer_ids, values, strict=True))
            leases = await self._grant([each for each, value in found.items() if value is None])
        rows = {each: value[1:] for each, value in found.items() if value and value.startswith(_ROW)}
        return rows, leases

    async def _grant(self, customer_ids: Sequence[str]) -> dict[str, bytes]:
        if not customer_ids:
            return {}
        # One token for all keys: it distinguishes this read from every other read.
        token = _LEASE + secrets.token_bytes(_TOKEN_BYTES)
        granted = await self._lease(keys=self._keys(customer_ids), args=[self._lease_ms, token])
        return {each: token for each, answer in zip(customer_ids, granted, strict=True) if answer}

    async def fill(self, rows: Mapping[str, bytes], leases: Mapping[str, bytes]) -> None:
        """Store each row whose lease is still held.

        Raises:
            CacheUnavailableError: Redis cannot be reached or refuses.
        """
        held = [customer_id for customer_id in rows if customer_id in leases]
        if not held:
            return
        args: list[bytes | int] = [self._ttl_ms]
        for customer_id in held:
            args += [leases[customer_id], _ROW + rows[customer_id]]
        async with self._reaching("fill", len(held)):
            await self._fill(keys=self._keys(held), args=args)

    async def invalidate(self, customer_ids: Sequence[str]) -> None:
        """Remove the customers' rows and leases.

        Raises:
            CacheUnavailableError: it is not certain that they are removed.
        """
        if not customer_ids:
            return
        async with self._reaching("invalidate", len(customer_ids)):
            await self._redis.unlink(*self._keys(customer_ids))

    @asynccontextmanager
    async def _reaching(self, action: str, count: int) -> AsyncIterator[None]:
        """Translate errors, and after an outage fail at once for a while: each attempt would cost the timeout."""
        clock = asyncio.get_running_loop().time
        if clock() < self._resting_until:
            raise CacheUnavailableError(f"Redis was away a moment ago; did not {action} {count} customers")
        try:
            yield
        except (RedisError, OSError) as error:
            if isinstance(error, OSError | RedisConnectionError | RedisTimeoutError):
                self._resting_until = clock() + self._rest_seconds
            raise CacheUnavailableError(
                f"Redis could not {action} {count} customers: {type(error).__name__}: {error}"
            ) from error

    def _keys(self, customer_ids: Sequence[str]) -> list[str]:
        prefix = self._prefix
        return [prefix + each for each in customer_ids]


def build_client(url: str, timeout: float, ca_file: Path | None) -> Redis:
    """Return a client of the cache's server; nothing connects before the first call.

    Raises:
        ServiceAddressError: the URL is malformed.
    """
    options: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    if url.startswith("rediss://"):
        options["ssl_check_hostname"] = True
        options["ssl_ca_certs"] = ca_file and str(ca_file)
    try:
        # One retry, at once: a connection that became stale while Redis restarted is no outage.
        client = Redis.from_url(url, retry=Retry(NoBackoff(), 1), decode_responses=False, **options)
    except ValueError:
        # Without the cause, which may quote the URL and its password.
        raise ServiceAddressError(
            "the URL of Redis cannot be understood; write redis://[user:password@]host:port/database"
        ) from None
    pool = client.connection_pool
    pool.connection_class = _pack_fast(pool.connection_class)
    return client


def _pack_fast(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return a connection class that packs long commands by hiredis, as redis-py's synchronous client does.

    `python -m benchmarks.parts` measures the gain.
    """

    class Packing(kind):  # type: ignore[misc, valid-type]
        def pack_command(self, *args: Any) -> list[bytes]:
            # Short commands may be redis-py's own, with two words in one argument.
            return [hiredis.pack_command(args)] if len(args) > _LONG else super().pack_command(*args)

    return Packing
