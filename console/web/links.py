"""Addresses of pages, for templates and redirects."""

from __future__ import annotations

from urllib.parse import quote


def customer_address(customer_id: str) -> str:
    """Return the address of a customer's page; ids may hold any character."""
    return f"/customers/{quote(customer_id, safe='')}"


def within_console(address: str) -> str:
    """Return an address within the console: another site's could be smuggled into a link to the form."""
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_path and address.isprintable() else "/"
