"""Editing the segments and campaigns of the ledger: each edit is a version with author and reason.

Two editors never overwrite each other: an edit names the version that it was made of. A version is stored only where
the whole set of definitions can be used with it, and its rules and messages read facts that exist.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaigns.definition_versions import (
    DefinitionKey,
    DefinitionKind,
    build_definitions,
    digest,
    encode,
    name_campaign,
    name_segment,
    read_contents,
    write_contents,
)
from campaigns.errors import (
    CampaignDefinitionError,
    DefinitionChangedError,
    DefinitionExistsError,
    DefinitionMissingError,
    DefinitionsReadOnlyError,
)
from campaigns.postgres_definitions import open_definitions
from console.use_cases.warehouse_check import describe_view, read_columns
from streams.definitions import read_ledger
from streams.known_facts import check_facts, known_facts
from streams.runtime.model_reload import load_models

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from campaigns.definition import DefinitionSet
    from campaigns.definition_versions import DefinitionVersion
    from campaigns.postgres_definitions import LedgerDefinitions
    from segments.engine import Mode
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class SavedDefinition:
    """A definition as it is now.

    Attributes:
        name: of the definition.
        content: as a file has it.
        digest: SHA-256 of the content.
        version: what an edit of it names as its base; None where files are authoritative.
    """

    name: DefinitionKey
    content: Mapping[str, Any]
    digest: str
    version: DefinitionVersion | None

    @property
    def number(self) -> int | None:
        """The number of its version, which an edit names as its base; None where files are authoritative."""
        return self.version.number if self.version else None


def is_editable(settings: Settings) -> bool:
    """Return whether definitions can be edited here: not where files are authoritative."""
    return settings.definitions == "ledger"


def refuse_files(settings: Settings) -> None:
    """Refuse to edit definitions that are files.

    Raises:
        DefinitionsReadOnlyError: files are authoritative.
    """
    if not is_editable(settings):
        folder = settings.definitions_dir or "the shipped ones"
        raise DefinitionsReadOnlyError(
            f"definitions are files ({folder}), so they are edited there; to edit them here, put them into the ledger "
            "with `holdfast definitions import`, and set HOLDFAST_DEFINITIONS=ledger"
        )


def list_definitions(settings: Settings, kind: DefinitionKind) -> Sequence[SavedDefinition]:
    """Return the definitions of a kind, in the order of their keys.

    Raises:
        DefinitionError: the files cannot be used.
        LedgerUnavailableError: the ledger cannot be used.
    """
    if is_editable(settings):
        versions = read_ledger(settings).versions.values()
        found = [
            SavedDefinition(each.name, each.content, each.digest, each) for each in versions if not each.is_retired
        ]
    else:
        contents = read_contents(settings.definitions_dir)
        found = [
            SavedDefinition(name, content, digest(encode(content, where=name)), None)
            for name, content in contents.items()
        ]
    return sorted((each for each in found if each.name.kind is kind), key=lambda each: each.name)


def find_definition(settings: Settings, name: DefinitionKey) -> SavedDefinition:
    """Return a definition as it is now.

    Raises:
        DefinitionMissingError: there is none of that key.
        DefinitionError: the files cannot be used.
        LedgerUnavailableError: the ledger cannot be used.
    """
    found = {each.name: each for each in list_definitions(settings, name.kind)}
    if name not in found:
        raise DefinitionMissingError(_describe_missing(name, found))
    return found[name]


def read_versions(settings: Settings, name: DefinitionKey) -> Sequence[DefinitionVersion]:
    """Return the versions of a definition in the ledger, the latest first; none where files are authoritative.

    Raises:
        DefinitionMissingError: there has never been one of that key.
        LedgerUnavailableError: the ledger cannot be used.
    """
    if not is_editable(settings):
        find_definition(settings, name)
        return ()
    with open_definitions(settings.ledger_url) as definitions:
        versions = definitions.read_history(name)
    if not versions:
        raise DefinitionMissingError(f"no {name.kind} {name.key!r}")
    return versions


def save_segment(
    settings: Settings, content: Any, *, base_version: int | None, by: str, why: str, mode: Mode = "silent"
) -> SavedDefinition:
    """Make a version of a segment, or a new segment; what is as it was makes no version.

    Args:
        settings: where the ledger, the view and the models are.
        content: as a file has it.
        base_version: the number of the version that was edited; None for a new segment.
        by: who.
        why: the reason.
        mode: what first evaluations under the new rules may fire.

    Raises:
        DefinitionsReadOnlyError: files are authoritative.
        DefinitionExistsError: it is to be new, and there is one of that key.
        DefinitionChangedError: somebody else has changed it since.
        DefinitionError, RuleError: it cannot be used, or reads unknown facts.
        WarehouseError: it is unknown which facts there are.
        LedgerUnavailableError: the ledger cannot be used.
    """
    name = name_segment(_find_key(content, DefinitionKind.SEGMENT))
    return _save(settings, name, content, base_version, by, why, mode)


def save_campaign(settings: Settings, content: Any, *, base_version: int | None, by: str, why: str) -> SavedDefinition:
    """Make a version of a campaign, or a new campaign; see save_segment."""
    name = name_campaign(_find_key(content, DefinitionKind.CAMPAIGN))
    return _save(settings, name, content, base_version, by, why)


def retire_definition(
    settings: Settings, name: DefinitionKey, *, base_version: int, by: str, why: str
) -> DefinitionVersion:
    """Let a definition be in force no longer. Its members and decisions stay in the ledger.

    Raises:
        DefinitionsReadOnlyError: files are authoritative.
        DefinitionMissingError: there is none of that key.
        DefinitionChangedError: somebody else has changed it since.
        DefinitionError: another definition names it.
        LedgerUnavailableError: the ledger cannot be used.
    """
    refuse_files(settings)

    def edit(latest: LedgerDefinitions) -> Mapping[DefinitionKey, Any]:
        if name not in latest.contents:
            raise DefinitionMissingError(_describe_missing(name, latest.contents))
        _refuse_changed(latest, name, base_version)
        return {name: None}

    with open_definitions(settings.ledger_url) as definitions:
        (version,) = definitions.change(edit, by=by, why=why)
    return version


def read_contents_of(settings: Settings, revision: int | None = None) -> Mapping[DefinitionKey, Any]:
    """Return the content of each definition that counts; with a revision of the ledger, of those that counted then.

    Raises:
        DefinitionError, RuleError: the files cannot be used.
        LedgerUnavailableError: the ledger cannot be used.
    """
    if is_editable(settings):
        return read_ledger(settings, revision).contents
    return read_contents(settings.definitions_dir)


def check_definition(settings: Settings, name: DefinitionKey, content: Any) -> DefinitionSet:
    """Return what the definitions would be with one of them edited; see check_definitions."""
    return check_definitions(settings, read_contents_of(settings), {name: content})


def check_definitions(
    settings: Settings, contents: Mapping[DefinitionKey, Any], edits: Mapping[DefinitionKey, Any]
) -> DefinitionSet:
    """Return what definitions would be with some of them edited; store nothing.

    Args:
        settings: where the view and the models are.
        contents: the definitions.
        edits: new contents by name.

    Raises:
        DefinitionError, RuleError: they could not be used, or would read unknown facts.
        WarehouseError: it is unknown which facts there are.
    """
    for name, content in edits.items():
        if name.kind in {DefinitionKind.SEGMENT, DefinitionKind.CAMPAIGN}:
            _find_key(content, name.kind)
        encode(content, where=name)
    built = build_definitions({**contents, **edits})
    find_check(settings)(built)
    return built


def refuse_stale(settings: Settings, name: DefinitionKey, base_version: int | None) -> None:
    """Refuse an edit that could not be saved, as somebody else has changed the definition since it began.

    Raises:
        DefinitionExistsError: it is to be new, and there is one of that key.
        DefinitionChangedError: somebody else has changed it since.
        LedgerUnavailableError: the ledger cannot be used.
    """
    if is_editable(settings):
        _refuse_changed(read_ledger(settings), name, base_version)


def list_revisions(settings: Settings, *, limit: int) -> Sequence[DefinitionVersion]:
    """Return the versions of all definitions in the ledger, the latest first; none where files are authoritative.

    Raises:
        LedgerUnavailableError: the ledger cannot be used.
    """
    if not is_editable(settings):
        return ()
    with open_definitions(settings.ledger_url) as definitions:
        return definitions.read_revisions(limit)


def import_definitions(
    settings: Settings, folder: Path | None, *, by: str, why: str, retires_missing: bool = False
) -> Sequence[DefinitionVersion]:
    """Make versions of what differs between a definitions folder and the ledger, all or none.

    The setting HOLDFAST_DEFINITIONS plays no part: an import comes before it is set.

    Args:
        settings: where the ledger, the view and the models are.
        folder: with segments/ and campaigns/; None for the shipped definitions.
        by: who.
        why: the reason.
        retires_missing: whether what the folder does not have is retired; it stays otherwise.

    Raises:
        DefinitionError, RuleError: they cannot be used, or read unknown facts.
        WarehouseError: it is unknown which facts there are.
        LedgerUnavailableError: the ledger cannot be used.
    """
    contents = read_contents(folder)

    def edit(latest: LedgerDefinitions) -> Mapping[DefinitionKey, Any]:
        missing = latest.contents.keys() - contents.keys() if retires_missing else ()
        return {**contents, **dict.fromkeys(missing)}

    with open_definitions(settings.ledger_url) as definitions:
        return definitions.change(edit, by=by, why=why, check=find_check(settings))


def export_definitions(settings: Settings, folder: Path) -> Sequence[Path]:
    """Write the definitions of the ledger as files, and return the files.

    Raises:
        DefinitionError: the ledger holds none, or the folder cannot be used.
        LedgerUnavailableError: the ledger cannot be used.
    """
    latest = read_ledger(settings)
    latest.build()
    return write_contents(latest.contents, folder)


def find_check(settings: Settings) -> Callable[[DefinitionSet], None]:
    """Return what refuses definitions that read facts which no source supplies: workers would not start with them.

    Raises:
        WarehouseError: it is unknown which facts there are.
    """
    columns = asyncio.run(read_columns(settings))

    def check(definitions: DefinitionSet) -> None:
        scorers = load_models(settings, definitions.offers)
        known = known_facts(columns, scorers, marks_stale=settings.updated_at_column is not None)
        check_facts(definitions, known, describe_view(settings))

    return check


def show_content(content: Any) -> str:
    """Return a content as the text of a file."""
    return json.dumps(content, indent=2, ensure_ascii=False)


def _save(
    settings: Settings,
    name: DefinitionKey,
    content: Any,
    base_version: int | None,
    by: str,
    why: str,
    mode: Mode = "silent",
) -> SavedDefinition:
    refuse_files(settings)
    check = find_check(settings)

    def edit(latest: LedgerDefinitions) -> Mapping[DefinitionKey, Any]:
        _refuse_changed(latest, name, base_version)
        return {name: content}

    with open_definitions(settings.ledger_url) as definitions:
        added = definitions.change(edit, by=by, why=why, check=check, mode=mode)
        version = added[0] if added else definitions.read_history(name)[0]
    return SavedDefinition(name, content, version.digest, version)


def _refuse_changed(latest: LedgerDefinitions, name: DefinitionKey, base_version: int | None) -> None:
    """Refuse an edit of another version than the latest.

    Raises:
        DefinitionChangedError: it is.
    """
    found = latest.versions.get(name)
    if found is None or found.is_retired:
        if base_version is not None:
            raise DefinitionChangedError(f"{name} is not defined any more; to define it again, create it")
        return
    if base_version is None:
        raise DefinitionExistsError(f"there is a {name} already; choose another key, or edit that one")
    if found.number != base_version:
        raise DefinitionChangedError(
            f"{name} was changed by {found.author} at {found.at:%Y-%m-%d %H:%M} UTC ({found.reason}): it is version "
            f"{found.number} now, and this is an edit of version {base_version}; load it again, and repeat the edit"
        )


def _find_key(content: Any, kind: DefinitionKind) -> str:
    if not isinstance(content, dict):
        raise CampaignDefinitionError(f"a {kind} is a JSON object")
    key = content.get("key")
    if not isinstance(key, str):
        raise CampaignDefinitionError(f"{kind}: $.key is missing, or no text; give it a key of a-z, 0-9 and hyphens")
    return key


def _describe_missing(name: DefinitionKey, others: Mapping[DefinitionKey, Any]) -> str:
    known = ", ".join(sorted(each.key for each in others if each.kind is name.kind)) or "none"
    return f"no {name.kind} {name.key!r}; there are: {known}"
