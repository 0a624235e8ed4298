"""Segment definitions: one JSON file per segment, read and checked at start."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from segments.errors import DefinitionError
from segments.jsonlogic import KNOWN_OPERATORS, Rule, compile_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

SHIPPED = Path(__file__).parent / "definitions"
"""The folder of the segments that come with Holdfast."""

LARGEST_FILE = 256 * 1024


def _rule(value: Any) -> Any:
    if value is None or isinstance(value, dict | bool):
        return value
    raise ValueError("a rule is an object, true, false or null")


JsonLogic = Annotated[
    Any,
    AfterValidator(_rule),
    WithJsonSchema(
        {
            "type": ["object", "boolean", "null"],
            "maxProperties": 1,
            "propertyNames": {"enum": list(KNOWN_OPERATORS)},
        }
    ),
]


class SegmentDefinition(BaseModel):
    """A definition file as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, title="Holdfast segment")

    key: str = Field(pattern=r"^[a-z0-9-]{1,64}$", description="The segment's name in campaigns and in the ledger.")
    name: str = Field(min_length=1, max_length=200, description="The segment's name for people.")
    description: str = Field(default="", max_length=2000)
    rule: JsonLogic = Field(default=None, description="JSONLogic: who enters. Empty, null or missing: everybody.")
    exit_rule: JsonLogic = Field(
        default=None,
        description="JSONLogic: a member leaves when this holds and `rule` does not. Missing: holds.",
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment, its rules compiled.

    Attributes:
        version: the first 12 hexadecimal digits of the SHA-256 of both rules as canonical JSON.
        exit_rule: None where a member leaves as soon as `rule` does not hold.
    """

    key: str
    name: str
    description: str
    version: str
    rule: Rule
    exit_rule: Rule | None

    @property
    def facts(self) -> frozenset[str]:
        """The names of the facts that both rules read."""
        return self.rule.facts | (self.exit_rule.facts if self.exit_rule else frozenset())


def load_segments(folder: Path) -> tuple[Segment, ...]:
    """Read every `*.json` file of a folder, in order of their names.

    Raises:
        DefinitionError: the folder is missing, a file cannot be read, is larger than `LARGEST_FILE` or no
            JSON, lacks a field, has one too many or a wrong value, or has the key of another file.
        RuleError: a rule cannot be compiled.
    """
    if not folder.is_dir():
        raise DefinitionError(f"{folder}: no such folder; set the folder of segment definitions")
    files = sorted(folder.glob("*.json"))
    segments = [build_segment(_read(file), where=str(file)) for file in files]
    first: dict[str, Path] = {}
    for segment, file in zip(segments, files, strict=True):
        if first.setdefault(segment.key, file) is not file:
            raise DefinitionError(f"{file}: key {segment.key!r} is taken by {first[segment.key]}; choose another")
    return tuple(segments)


def build_segment(content: Any, *, where: str) -> Segment:
    """Check one definition as parsed from JSON, and compile its rules.

    Raises:
        DefinitionError: a field is missing, unknown or wrong.
        RuleError: a rule cannot be compiled.
    """
    try:
        definition = SegmentDefinition.model_validate(content)
    except ValidationError as error:
        raise DefinitionError(f"{where}: {_described(error)}") from error
    return Segment(
        key=definition.key,
        name=definition.name,
        description=definition.description,
        version=_version(definition),
        rule=compile_rule(definition.rule, where=f"{where}: rule"),
        exit_rule=_compiled_exit(definition, where),
    )


def segment_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a definition file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **SegmentDefinition.model_json_schema(),
    }


def _compiled_exit(definition: SegmentDefinition, where: str) -> Rule | None:
    # An empty exit rule is always true, which is the same as none.
    if definition.exit_rule in (None, {}):
        return None
    return compile_rule(definition.exit_rule, where=f"{where}: exit_rule")


def _version(definition: SegmentDefinition) -> str:
    rules = {"rule": definition.rule, "exit_rule": definition.exit_rule}
    canonical = json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _described(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    return "; ".join(
        f"{_path(problem['loc'])}: {problem['msg']}, value {problem['input']!r:.80}" for problem in problems
    )


def _path(location: Sequence[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _read(file: Path) -> Any:
    try:
        size = file.stat().st_size
        if size > LARGEST_FILE:
            raise DefinitionError(f"{file}: {size} bytes, more than the {LARGEST_FILE} allowed")
        return json.loads(file.read_bytes(), object_pairs_hook=_unique, parse_constant=_refuse)
    except OSError as error:
        raise DefinitionError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DefinitionError(f"{file}: not JSON that can be used: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} appears twice in one object")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")
