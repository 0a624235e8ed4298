"""Scans that block, read from an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from features.table import FeatureTable


async def scan_in_threads(tables: Generator[FeatureTable, None, None]) -> AsyncGenerator[FeatureTable, None]:
    """Yield the tables of a generator that blocks, each read in a thread; close it at the end, and when left early."""
    try:
        while (table := await asyncio.to_thread(next, tables, None)) is not None:
            yield table
    finally:
        await asyncio.to_thread(tables.close)
