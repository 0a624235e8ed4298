"""The definitions that the settings say are authoritative: files, or versions in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.definition import load_definitions
from campaigns.postgres_definitions import open_definitions

if TYPE_CHECKING:
    from campaigns.definition import DefinitionSet
    from campaigns.postgres_definitions import LedgerDefinitions
    from streams.settings import Settings


def read_definitions(settings: Settings) -> DefinitionSet:
    """Return the definitions that count.

    Raises:
        DefinitionError, RuleError: they cannot be used.
        LedgerUnavailableError: they are in the ledger, which cannot be used.
    """
    if settings.definitions == "files":
        return load_definitions(settings.definitions_dir)
    return read_ledger(settings).build()


def read_ledger(settings: Settings, revision: int | None = None) -> LedgerDefinitions:
    """Return the latest versions in the ledger; with a revision, the latest of that time.

    Raises:
        LedgerUnavailableError: the ledger cannot be used.
    """
    with open_definitions(settings.ledger_url) as definitions:
        return definitions.read(revision)


def find_mark(settings: Settings) -> tuple[int, int]:
    """Return what changes with each version in the ledger, and with each mode of a segment that a person sets.

    Raises:
        LedgerUnavailableError: the ledger cannot be used.
    """
    with open_definitions(settings.ledger_url) as definitions:
        return definitions.find_mark()
