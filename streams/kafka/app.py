"""The Faust app: one agent reads all input topics and passes their chunks on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import faust
from faust.app.base import BootStrategy

from streams.formats.validation import MAX_BATCH_BYTES, MAX_EVENT_BYTES
from streams.kafka.consumer import ChunkTransport
from streams.observability.liveness import GroupState
from streams.runtime.batching import CHUNK_RECORDS
from streams.tasks import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from faust.types import AgentT
    from faust.types.auth import CredentialsT

    from streams.kafka.consumer import ChunkConsumer
    from streams.runtime.batching import Batch, Chunk

STOP_S = 20.0
NEVER_S = 1e7
# By its next heartbeat a worker learns of a rebalance; those who have joined wait for it.
LONGEST_HEARTBEAT_S = 0.3
"""A member learns of a rebalance with its next heartbeat, and until then the others wait."""
METADATA_MAX_AGE_MS = 5_000
"""The longest time that the group has no partitions after the leader failed to read the metadata of the topics.

aiokafka does not retry that read at once, and assigns no partition of a topic that it does not know.
"""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What the app needs to know. Durations are in seconds."""

    broker: str
    """Bootstrap servers as host:port, comma-separated."""
    group: str
    topics: tuple[str, ...]
    """Full names; all have the same number of partitions, see streams.kafka.topics.verify_topics."""
    credentials: CredentialsT | None = None
    """One of faust.auth's credentials, for TLS and SASL."""
    instance_id: str | None = None
    """Static group membership: a name that survives a restart, so that a quick restart moves no partition."""
    commit_interval_s: float = 0.5
    session_timeout_s: float = 10.0
    """A worker that sends no heartbeat for this long loses its partitions."""
    leave_s: float = 5.0
    """How long a worker that stops waits for the broker to let it leave the group."""
    chunk_records: int = CHUNK_RECORDS
    buffer_chunks: int = 16
    """Chunks in each of the two queues between the consumer and the worker."""
    find_topic_ids: Callable[[Collection[str]], Awaitable[Mapping[str, str]]] | None = None
    """Reads topic ids, see streams.kafka.topic_ids; None compares none."""
    topic_check_s: float = 2.0
    """How often topic ids are compared."""
    partitioner: str = "murmur2_random"
    """Of all producers, by librdkafka's name."""
    max_batch_bytes: int = MAX_BATCH_BYTES
    """A compressed batch that is larger when decompressed is one dead letter."""
    max_event_bytes: int = MAX_EVENT_BYTES
    """A larger record of a large compressed batch is cut when it is fetched."""


class _Boot(BootStrategy):
    """Start no producer and no web server: triggers have their own producer, and nothing listens on a port."""

    enable_kafka_producer = False
    enable_web = False


class StreamApp(faust.App):
    """A Faust app whose agent fills `intake`.

    Args:
        settings: See AppSettings.
    """

    BootStrategy = _Boot

    def __init__(self, settings: AppSettings) -> None:
        self.settings = settings
        self.intake: asyncio.Queue[Chunk] = asyncio.Queue(maxsize=settings.buffer_chunks)
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        super().__init__(settings.group, **faust_options(settings))

    def owns(self, chunk: Chunk) -> bool:
        """Return whether this worker still owns a chunk."""
        return self.chunk_consumer.owns(chunk)

    @property
    def chunk_consumer(self) -> ChunkConsumer:
        """The consumer, for its `find_progress`."""
        consumer: Any = self.consumer
        return consumer  # type: ignore[no-any-return]

    def find_group(self) -> GroupState:
        """Return this worker's membership in its group, as far as it is known."""
        consumer = self.chunk_consumer
        return GroupState(
            self.consumer_generation_id, self.rebalancing, consumer.find_progress(), consumer.chunks_acknowledged
        )

    @property
    def member_id(self) -> str:
        """This worker's id in its group, empty while it has none."""
        return self.chunk_consumer.member_id

    async def remove_member(self, member_id: str) -> bool:
        """Let a member that died leave the group; False where the broker did not answer."""
        return await self.chunk_consumer.remove_member(member_id)

    def acknowledge(self, batch: Batch) -> None:
        """Let a batch's records be committed; call it last, from the event loop."""
        for chunk in batch.chunks:
            self.chunk_consumer.acknowledge(chunk)

    def fail(self, error: BaseException) -> None:
        """Make `run_app` stop the app and raise the error; the first one counts."""
        if self.failure is None:
            self.failure = error
        self.failed.set()

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """End the app: Faust alone would restart the agent and continue after the failed event."""
        await super()._on_agent_error(agent, exc)
        self.fail(exc)

    def _new_transport(self) -> ChunkTransport:
        return ChunkTransport(self.conf.broker_consumer, self)

    def _new_consumer(self) -> Any:
        consumer: Any = super()._new_consumer()
        consumer.chunk_records = self.settings.chunk_records
        return consumer

    def _create_directories(self) -> None:
        """Create none: without tables there is nothing to keep on disk."""


def build_app(settings: AppSettings) -> StreamApp:
    """Build the app; its agent is a pump from the topics into `app.intake`."""
    app = StreamApp(settings)
    topic = app.topic(*settings.topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(topic, name="pump")
    async def pump(stream: Any) -> None:
        async for event in stream.noack().events():
            await app.intake.put(event.value)

    return app


def faust_options(settings: AppSettings) -> dict[str, Any]:
    """Return Faust's settings; those not here are Faust's defaults."""
    return {
        "broker": [f"kafka://{server.strip()}" for server in settings.broker.split(",")],
        "broker_client_id": "holdfast",
        "broker_credentials": settings.credentials,
        "broker_commit_interval": settings.commit_interval_s,
        "broker_session_timeout": settings.session_timeout_s,
        "broker_heartbeat_interval": min(LONGEST_HEARTBEAT_S, settings.session_timeout_s / 3),
        "broker_request_timeout": max(30.0, settings.session_timeout_s),
        # Never. A worker that fetches nothing because its buffers are full waits for a service, and the next owner
        # would wait for the same one; besides, aiokafka does not join again before a fetch, and Faust does not fetch
        # before it has joined: such a worker would never join. One that is stuck fails /health/live.
        "broker_max_poll_interval": NEVER_S,
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": METADATA_MAX_AGE_MS,
        "consumer_group_instance_id": settings.instance_id,
        "stream_buffer_maxsize": settings.buffer_chunks,
        # Waiting for the agent at a rebalance delays it, and redelivers more, not less.
        "stream_wait_empty": False,
        # Without standbys Faust falls back to an assignor that lets one customer's topics go to several workers.
        "table_standby_replicas": 1,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "web_enabled": False,
        # Faust lets the environment overrule what is written here; with a prefix no stray variable can.
        "env_prefix": "HOLDFAST_FAUST_",
    }


async def run_app(app: StreamApp, until: asyncio.Event) -> None:
    """Run the app in the running event loop until the event is set, then stop it.

    What is acknowledged by then is committed; stop the work on batches first.

    Raises:
        BaseException: the first error of the agent, of `app.fail`, or of one of Faust's services; then this process
            must be restarted: it may have skipped an event, which the group has not.
    """
    app.loop = asyncio.get_running_loop()
    waits = [
        asyncio.create_task(_start(app)),
        asyncio.create_task(until.wait()),
        asyncio.create_task(app.failed.wait()),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(waits)
        await _stop(app)
    error = app.failure or app.crash_reason
    if error is not None:
        raise error


async def _stop(app: StreamApp) -> None:
    """Stop the app, or give up: Faust's services swallow cancellation, so no timeout could end them."""
    stopping = asyncio.create_task(app.stop())
    await asyncio.wait([stopping], timeout=STOP_S)
    if not stopping.done():
        app.fail(TimeoutError(f"the consumer did not stop within {STOP_S:g} s; end this process"))
    elif (error := stopping.exception()) is not None:
        app.fail(error)


async def _start(app: StreamApp) -> None:
    """Start the app and return only when one of its services crashes."""
    try:
        await app.start()
        await app.wait_until_stopped()
    except Exception as error:  # noqa: BLE001 - run_app raises it
        app.fail(error)
