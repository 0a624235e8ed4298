"""A worker that writes the records that it handled to a file, then acknowledges them; the journeys kill it.

Arguments: broker, group, topic, file.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from streams.kafka.app import AppSettings, build_app, run_app
from streams.runtime.batching import Collector


async def main(broker: str, group: str, topic: str, audit: Path) -> None:
    """Handle 100 records at a time, 10 ms each batch, until killed."""
    app = build_app(AppSettings(broker, group, (topic,), instance_id="audited", chunk_records=100))
    running = asyncio.create_task(run_app(app, asyncio.Event()))
    collector = Collector(app.intake, app.owns, max_records=100)
    with audit.open("ab", buffering=0) as file:
        while not running.done():
            batch = await collector.collect()
            await asyncio.sleep(0.010)
            file.write(b"".join(b"%d %d\n" % (record.partition, record.offset) for record in batch.records))
            app.acknowledge(batch)
    await running


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
