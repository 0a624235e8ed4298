"""The receipt of an erasure in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.erasure import Receipt

DAY_S = 86_400


def describe_receipt(receipt: Receipt, cache_ttl_s: float) -> Iterator[str]:
    """Yield a receipt, line by line."""
    yield f"customers erased: {receipt.customers:,}; their events are left out from now on"
    for table, rows in sorted(receipt.rows.items()):
        if rows:
            yield f"  rows of {table}: {rows:,}"
    if receipt.unsent:
        yield f"  {receipt.unsent:,} of the messages were not marked as published: a worker may publish them now"
    if receipt.cache_erased:
        yield "  cache: removed"
    else:
        yield f"  cache: Redis was away; its rows are never read again, and expire within {cache_ttl_s / 3600:g} h"
    yield "not covered, erase there what must not be kept:"
    for topic, kept_s in sorted(receipt.retention_s.items()):
        until = "without limit of time" if kept_s is None else f"for {kept_s / DAY_S:g} days"
        yield f"  topic {topic}: keeps its records {until}"
    if receipt.broker:
        yield f"  topics: their retention could not be read: {receipt.broker}"
    for file in receipt.files:
        yield f"  models folder: {file} mentions a customer"
    yield "  the warehouse, backups, exported files, and the systems that received triggers"
