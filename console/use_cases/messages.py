"""The message store filled from the conversations topic, and its vectors kept current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intelligence.message_index import index_messages
from intelligence.message_sync import sync_messages
from intelligence.postgres_messages import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from intelligence.message_index import IndexReport
    from intelligence.message_rereading import RereadReport
    from intelligence.message_sync import SyncReport
    from streams.settings import Settings


def copy_messages(
    settings: Settings, on_progress: Callable[[str, int, int], None], *, index: bool
) -> tuple[SyncReport, RereadReport, IndexReport | None]:
    """Copy what is new in the topic, read the rest again if need be, and give every message a vector if `index` is set.

    Raises:
        IntelligenceError, HoldfastStreamError, LedgerUnavailableError: see `sync_messages` and `index_messages`.
    """
    with open_store(settings.store_url) as store:
        copied, again = sync_messages(settings, store, on_progress)
        indexed = index_messages(store, _naming(on_progress)) if index else None
        return copied, again, indexed


def update_index(settings: Settings, on_progress: Callable[[str, int, int], None], *, learn: bool) -> IndexReport:
    """Give every message a vector.

    Raises:
        IntelligenceError: see `index_messages`.
    """
    with open_store(settings.store_url) as store:
        return index_messages(store, _naming(on_progress), learn=learn)


def _naming(on_progress: Callable[[str, int, int], None]) -> Callable[[int, int], None]:
    return lambda done, total: on_progress("messages indexed", done, total)
