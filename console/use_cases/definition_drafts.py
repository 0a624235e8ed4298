"""Drafts and earlier revisions of definitions, which a replay or a backtest decides with in place of those in force."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.definition_versions import DefinitionKey, DefinitionKind, encode
from console.use_cases.definition_edits import check_definitions, is_editable, read_contents_of, show_content
from streams.definitions import read_ledger
from streams.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.postgres_definitions import LedgerDefinitions
    from streams.settings import Settings


class WrittenDefinition(msgspec.Struct, frozen=True):
    """A definition as it was when it was chosen.

    Attributes:
        kind: what it defines.
        key: which one.
        content: as JSON text. PostgreSQL's type jsonb, which keeps replays and jobs, would change numbers and order.
    """

    kind: DefinitionKind
    key: str
    content: str

    @property
    def name(self) -> DefinitionKey:
        """Its kind and key."""
        return DefinitionKey(self.kind, self.key)

    def read(self) -> Any:
        """Return the content as a file has it."""
        return json.loads(self.content)


class DraftDefinition(WrittenDefinition, frozen=True):
    """A definition that is tried before it is saved.

    Attributes:
        is_new: whether none of its key was defined.
        base_version: the number of the version that it is an edit of; None where it is new, or definitions are files.
        changes: the lines that it changes, as `diff` writes them; none of a new one.
    """

    is_new: bool
    base_version: int | None
    changes: tuple[str, ...]


class ChosenDefinitions(msgspec.Struct, frozen=True):
    """The definitions that are chosen in place of those in force.

    Attributes:
        revision: of the definitions in the ledger; None where definitions are files.
        drafts: take the place of those of the same names.
    """

    revision: int | None
    drafts: tuple[DraftDefinition, ...] = ()

    def find(self, name: DefinitionKey) -> DraftDefinition | None:
        """Return the draft of a definition; None where there is none."""
        return next((each for each in self.drafts if each.name == name), None)


def choose_definitions(
    settings: Settings, edits: Mapping[DefinitionKey, Any], *, revision: int | None = None
) -> ChosenDefinitions:
    """Check drafts with the definitions that stay, and return what is to be decided with.

    Args:
        settings: where the ledger, the view and the models are.
        edits: the content of each draft, as a file has it.
        revision: of the definitions that stay; None is the latest.

    Raises:
        ReplayError: a revision is named, and there is none, or definitions are files.
        DefinitionError, RuleError: the definitions cannot be used, or read unknown facts.
        WarehouseError: it is unknown which facts there are.
        LedgerUnavailableError: the ledger cannot be used.
    """
    numbers: Mapping[DefinitionKey, int] = {}
    if is_editable(settings):
        chosen = _read_revision(settings, revision)
        before, numbers, revision = chosen.contents, chosen.numbers, chosen.revision
    else:
        _refuse_revision_of_files(settings, revision)
        before = read_contents_of(settings)
    check_definitions(settings, before, edits)
    drafts = (_draft(name, content, before, numbers.get(name)) for name, content in sorted(edits.items()))
    return ChosenDefinitions(revision, tuple(drafts))


def write_chosen(settings: Settings, chosen: ChosenDefinitions) -> tuple[WrittenDefinition, ...]:
    """Return each definition that is decided with.

    Raises:
        DefinitionError, RuleError: the files cannot be used.
        LedgerUnavailableError: the ledger cannot be used.
    """
    contents = {**read_contents_of(settings, chosen.revision), **{each.name: each.read() for each in chosen.drafts}}
    return tuple(WrittenDefinition(*name, encode(content, where=name)) for name, content in contents.items())


def compare_contents(before: Any, after: Any) -> tuple[str, ...]:
    """Return the lines of a definition that an edit changes, as `diff` writes them."""
    old, new = (show_content(each).splitlines() for each in (before, after))
    # The names of the files come first.
    changed = list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]
    return tuple(each for each in changed if not each.startswith("@@"))


def _read_revision(settings: Settings, revision: int | None) -> LedgerDefinitions:
    latest = read_ledger(settings)
    if revision is None or revision == latest.revision:
        return latest
    if not 0 < revision < latest.revision:
        raise ReplayError(f"there is no revision {revision} of the definitions; the latest is {latest.revision}")
    return read_ledger(settings, revision)


def _draft(
    name: DefinitionKey, content: Any, before: Mapping[DefinitionKey, Any], number: int | None
) -> DraftDefinition:
    is_new = name not in before
    changes = () if is_new else compare_contents(before[name], content)
    return DraftDefinition(*name, encode(content, where=name), is_new, None if is_new else number, changes)


def _refuse_revision_of_files(settings: Settings, revision: int | None) -> None:
    if revision is not None:
        folder = settings.definitions_dir or "the shipped ones"
        raise ReplayError(
            f"definitions are files ({folder}), which have no revisions; leave the revision out, or put them into the "
            "ledger with `holdfast definitions import`, and set HOLDFAST_DEFINITIONS=ledger"
        )
