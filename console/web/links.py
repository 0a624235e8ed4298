"""Addresses of pages, for templates and redirects."""

from __future__ import annotations

from urllib.parse import quote


def customer_address(customer_id: str) -> str:
    """Return the address of a customer's page; ids may hold any character."""
    return f"/customers/{quote(customer_id, safe='')}"
