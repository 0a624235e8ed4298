"""The digest that stands for a customer in logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.use_cases.ledger import ask_ledger
from streams.observability.customer_digests import digest_customer

if TYPE_CHECKING:
    from streams.settings import Settings


def find_digest(settings: Settings, customer_id: str) -> str:
    """Return the digest of a customer's id under the key of the ledger.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    return digest_customer(customer_id, ask_ledger(settings, lambda ledger: ledger.digest_key()))
