"""Versions of definitions: what HOLDFAST_DEFINITIONS=ledger keeps in place of files. Pure, apart from reading folders.

A set of definitions is the content of each, by kind and key. Offers, channels and limits are one definition each, as
they are one file each. A set is used as a whole or not at all: a campaign names a segment, offers and channels.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from campaigns.channels import CHANNELS_FILE, SHIPPED, build_channels, shipped_channels
from campaigns.contact_limits import LIMITS_FILE, build_limits, refuse_unknown_campaigns
from campaigns.definition import (
    OFFERS_FILE,
    DefinitionSet,
    build_campaign,
    build_offers,
    load_definitions,
    refuse_unknown_names,
)
from campaigns.errors import CampaignDefinitionError
from segments.definition import build_segment
from segments.definition_files import MAX_FILE_BYTES, SUFFIXES, find_file, read_content

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class DefinitionKind(StrEnum):
    """What is defined."""

    SEGMENT = "segment"
    CAMPAIGN = "campaign"
    OFFERS = "offers"
    CHANNELS = "channels"
    LIMITS = "limits"


class DefinitionKey(NamedTuple):
    """What names a definition: its kind and its key; for offers, channels and limits both are the same."""

    kind: DefinitionKind
    key: str

    def __str__(self) -> str:
        return self.kind if self.kind == self.key else f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class DefinitionVersion:
    """A version of a definition.

    Attributes:
        name: of which definition.
        number: 1 for its first version.
        content: as a file has it; None where the definition is retired.
        digest: SHA-256 of the content as JSON, empty where it is retired.
        author: who made it.
        reason: why.
        at: when.
        revision: counts the versions of all definitions.
    """

    name: DefinitionKey
    number: int
    content: Any
    digest: str
    author: str
    reason: str
    at: datetime
    revision: int

    @property
    def is_retired(self) -> bool:
        """Whether the definition is not in force from this version on."""
        return self.content is None


OFFERS = DefinitionKey(DefinitionKind.OFFERS, OFFERS_FILE)
CHANNELS = DefinitionKey(DefinitionKind.CHANNELS, CHANNELS_FILE)
LIMITS = DefinitionKey(DefinitionKind.LIMITS, LIMITS_FILE)
_DOCUMENTS = (OFFERS, CHANNELS, LIMITS)
_PARTS = ("segments", "campaigns")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def name_segment(key: str) -> DefinitionKey:
    """Return what names a segment."""
    return DefinitionKey(DefinitionKind.SEGMENT, key)


def name_campaign(key: str) -> DefinitionKey:
    """Return what names a campaign."""
    return DefinitionKey(DefinitionKind.CAMPAIGN, key)


def build_definitions(contents: Mapping[DefinitionKey, Any]) -> DefinitionSet:
    """Return what contents define, in the order of their keys.

    Raises:
        DefinitionError: a content cannot be used, or names what does not exist.
        RuleError: a rule cannot be compiled.
    """
    if OFFERS not in contents:
        raise CampaignDefinitionError(
            "the ledger holds no offers; put definitions into it with: holdfast definitions import FOLDER --why …"
        )
    ordered = sorted(contents.items())
    given, limited = contents.get(CHANNELS), contents.get(LIMITS)
    channels = shipped_channels() if given is None else build_channels(given, where=CHANNELS)
    offers = build_offers(contents[OFFERS], channels, where=OFFERS)
    limits = () if limited is None else build_limits(limited, channels, where=LIMITS)
    segments = tuple(
        build_segment(content, where=str(name)) for name, content in ordered if name.kind is DefinitionKind.SEGMENT
    )
    campaigns = tuple(
        build_campaign(content, channels=channels, offers=offers, limits=limits, where=name)
        for name, content in ordered
        if name.kind is DefinitionKind.CAMPAIGN
    )
    built = [*map(name_campaign, _keys(campaigns)), *map(name_segment, _keys(segments))]
    for name, found in zip((name for name, _ in ordered if name not in _DOCUMENTS), built, strict=True):
        if name != found:
            raise CampaignDefinitionError(f"{name}: $.key is {found.key!r}; the key of a definition cannot be changed")
    refuse_unknown_campaigns(limits, set(_keys(campaigns)), where=LIMITS)
    refuse_unknown_names(campaigns, set(_keys(segments)), offers, offers_file=OFFERS.key)
    return DefinitionSet(segments, campaigns, offers, channels)


def _keys(definitions: tuple[Any, ...]) -> list[str]:
    return [each.key for each in definitions]


def read_contents(folder: Path | None) -> Mapping[DefinitionKey, Any]:
    """Return the content of each definition of a folder, or of the shipped ones.

    Raises:
        DefinitionError, RuleError: the folder cannot be used, see load_definitions.
    """
    defined = load_definitions(folder)
    files = {name_segment(each.key): Path(each.file) for each in defined.segments}
    files |= {name_campaign(each.key): Path(each.file) for each in defined.campaigns}
    for name in _DOCUMENTS:
        if file := find_file(folder / "campaigns" if folder else SHIPPED, name.key):
            files[name] = file
    return {name: read_content(file) for name, file in files.items()}


def write_contents(contents: Mapping[DefinitionKey, Any], folder: Path) -> list[Path]:
    """Write contents as the files of a definitions folder, and return the files.

    Raises:
        CampaignDefinitionError: the folder has a file of another definition, which would be in force, too, or cannot
            be written.
    """
    files = {find_place(name, folder): content for name, content in sorted(contents.items())}
    others = [each for part in _PARTS for each in (folder / part).glob("*") if each.suffix in SUFFIXES]
    if unknown := sorted(set(others) - files.keys()):
        raise CampaignDefinitionError(
            f"{unknown[0]}: the set to write has no such file; remove it, or choose an empty folder"
        )
    try:
        for file, content in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise CampaignDefinitionError(f"{error.filename}: cannot be written ({error.strerror})") from error
    return list(files)


def find_place(name: DefinitionKey, folder: Path) -> Path:
    """Return the file of a definition in a definitions folder."""
    segments, campaigns = _PARTS
    if name.kind is DefinitionKind.SEGMENT:
        return folder / segments / f"{name.key}.json"
    # A campaign may have the key that is the name of another file.
    is_taken = name.kind is DefinitionKind.CAMPAIGN and name.key in {each.key for each in _DOCUMENTS}
    return folder / campaigns / f"{'campaign-' if is_taken else ''}{name.key}.json"


def encode(content: Any, *, where: object) -> str:
    """Return a content as JSON, in its order of keys.

    Raises:
        CampaignDefinitionError: it is too large or too deep, or has a number or a text that JSON cannot have.
    """
    try:
        encoded = json.dumps(content, allow_nan=False, ensure_ascii=False)
        size = len(encoded.encode())
    except UnicodeEncodeError as error:
        raise CampaignDefinitionError(f"{where}: a text has half a surrogate pair; write whole characters") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise CampaignDefinitionError(f"{where}: cannot be written as JSON: {error}") from error
    if size > MAX_FILE_BYTES:
        raise CampaignDefinitionError(f"{where}: {size:,} bytes; a definition may have {MAX_FILE_BYTES:,} at most")
    if _NUL.search(encoded):
        raise CampaignDefinitionError(f"{where}: a text has the character NUL; leave it out")
    return encoded


def digest(encoded: str | None) -> str:
    """Return the digest of a content as `encode` returns it; empty for None."""
    return "" if encoded is None else hashlib.sha256(encoded.encode()).hexdigest()
