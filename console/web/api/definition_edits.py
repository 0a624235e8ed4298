"""What edits of segments and campaigns share: bodies, versions, and the ETag that an edit must name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Header, Path, Query
from pydantic import BaseModel, Field

from console.use_cases.definition_edits import find_definition, refuse_files, retire_definition
from console.web.errors import ChangedMeanwhileError, InvalidRequestError, PreconditionMissingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Response

    from campaigns.definition_versions import DefinitionKey, DefinitionVersion
    from console.access.roles import Principal
    from console.use_cases.definition_edits import SavedDefinition
    from console.web.context import WebContext
    from streams.settings import Settings

WHY_PATTERN = r"^[^\x00]*[^\x00\s][^\x00]*$"
Key = Annotated[str, Path(pattern="^[a-z0-9-]{1,64}$", examples=["high-churn-risk"])]
Why = Annotated[str, Field(min_length=1, max_length=500, pattern=WHY_PATTERN, description="The reason, for others.")]
WhyQuery = Annotated[str, Query(min_length=1, max_length=500, pattern=WHY_PATTERN, description="The reason.")]
IfMatch = Annotated[str | None, Header(description="The ETag of the version that is edited.", examples=['"3"'])]


class Version(BaseModel):
    """A version of a definition in the ledger."""

    number: int
    revision: int = Field(description="Counts the versions of all definitions: what replays name to decide with.")
    at: datetime
    author: str
    reason: str
    definition: dict[str, Any] | None = Field(description="As it was from then on; null where it was retired.")

    @classmethod
    def of(cls, version: DefinitionVersion) -> Version:
        """Describe a version."""
        return cls(
            number=version.number,
            revision=version.revision,
            at=version.at,
            author=version.author,
            reason=version.reason,
            definition=version.content,
        )


class Saved(BaseModel):
    """A definition as it is now."""

    definition: dict[str, Any] = Field(description="As a definition file has it.")
    editable: bool = Field(description="Whether it can be edited here: not where definitions are files.")
    number: int | None = Field(description="The number of its version; null where definitions are files.")
    author: str | None = Field(description="Who made the version.")
    reason: str | None
    at: datetime | None

    @classmethod
    def of(cls, found: SavedDefinition) -> Saved:
        """Describe a definition."""
        version = found.version
        return cls(
            definition=dict(found.content),
            editable=version is not None,
            number=found.number,
            author=version.author if version else None,
            reason=version.reason if version else None,
            at=version.at if version else None,
        )


def tag(found: SavedDefinition) -> str:
    """Return the ETag of a definition: it changes with each version, or with the file."""
    return f'"{found.number or found.digest}"'


def answer(found: SavedDefinition, response: Response) -> Saved:
    """Return the body about a definition, and let the response carry its ETag."""
    response.headers["ETag"] = tag(found)
    return Saved.of(found)


def find_base(settings: Settings, name: DefinitionKey, if_match: str | None) -> int:
    """Return the number of the version that a request edits.

    Raises:
        DefinitionsReadOnlyError: definitions are files.
        DefinitionMissingError: there is no such definition.
        PreconditionMissingError: the request does not say which version it edits.
        ChangedMeanwhileError: it edits another version than the present one.
    """
    refuse_files(settings)
    found = find_definition(settings, name)
    if if_match is None:
        raise PreconditionMissingError(f"send If-Match with the ETag of the {name.kind} that you edited")
    if found.number is None or tag(found) not in {each.strip() for each in if_match.split(",")}:
        by = f"{found.version.author} ({found.version.reason})" if found.version else "somebody"
        raise ChangedMeanwhileError(f"{name} is {tag(found)} now, changed by {by}; load it again, and repeat the edit")
    return found.number


def refuse_other_key(definition: Mapping[str, Any], key: str) -> None:
    """Refuse a definition of another key than the address has.

    Raises:
        InvalidRequestError: it is one.
    """
    if definition.get("key") != key:
        raise InvalidRequestError(f"definition.key: must be {key!r}, as in the address; a key cannot be changed")


def retire(
    context: WebContext, principal: Principal, name: DefinitionKey, *, if_match: str | None, why: str
) -> Version:
    """Retire a definition, record it, and return its last version.

    Raises:
        RequestError, DefinitionError: as `find_base` does, or another definition needs this one.
    """
    base = find_base(context.settings, name, if_match)
    version = retire_definition(context.settings, name, base_version=base, by=principal.name, why=why)
    context.accounts.record(principal.name, f"retire {name.kind}", name.key, detail={"why": why})
    return Version.of(version)


def as_json(value: Any) -> Any:
    """Return a value as JSON has it: times as text, and null for a number that JSON cannot have."""
    return msgspec.json.decode(msgspec.json.encode(value))
