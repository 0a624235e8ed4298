"""Searches of the message store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intelligence.message_index import newest_vectors
from intelligence.message_search import MessageSearch
from intelligence.postgres_messages import open_store

if TYPE_CHECKING:
    from intelligence.message_search import CustomerHit, Filters, Hit
    from streams.settings import Settings


def search_messages(settings: Settings, query: str, filters: Filters, *, limit: int) -> list[Hit]:
    """Return the messages nearest to a query.

    Raises:
        IntelligenceError: the store cannot be used, or the query is empty.
    """
    with open_store(settings.store_url) as store:
        return MessageSearch(store, newest_vectors(store)).find(query, filters, limit=limit)


def search_customers(settings: Settings, query: str, filters: Filters, *, limit: int) -> list[CustomerHit]:
    """Return the customers whose messages are nearest to a query.

    Raises:
        IntelligenceError: as `search_messages`.
    """
    with open_store(settings.store_url) as store:
        return MessageSearch(store, newest_vectors(store)).find_customers(query, filters, limit=limit)
