"""Segment definitions: one file per segment, read and checked when a worker or a command starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from segments.compiler import KNOWN_OPERATORS
from segments.definition_files import describe_shape, find_line, read_folder, validate
from segments.errors import RuleError
from segments.jsonlogic import Rule, compile_rule

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

SHIPPED = Path(__file__).parent / "definitions"
"""The folder of the segments that come with Holdfast."""
MOST_COMPILED = 2_048
"""Rules that are kept compiled."""


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
    description: str = Field(default="", max_length=2000, description="For people.")
    rule: JsonLogic = Field(default=None, description="JSONLogic: who enters. Empty, null or missing: everybody.")
    exit_rule: JsonLogic = Field(
        default=None,
        description="JSONLogic: a member leaves when this holds and `rule` does not. Missing: holds.",
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment with its compiled rules.

    Attributes:
        key: its name in campaigns and in the ledger.
        name: its name for people.
        description: for people.
        version: the first 12 hexadecimal digits of the SHA-256 of both rules as canonical JSON.
        rule: who enters.
        exit_rule: None where a member leaves as soon as `rule` does not hold.
        file: where it is defined, for error messages.
        rules: both rules as canonical JSON.
    """

    key: str
    name: str
    description: str
    version: str
    rule: Rule
    exit_rule: Rule | None
    file: str = field(default="", compare=False)
    rules: str = field(default="", compare=False)

    @property
    def facts(self) -> frozenset[str]:
        """The names of the facts that both rules read."""
        return self.rule.facts | (self.exit_rule.facts if self.exit_rule else frozenset())

    def pin(self, known: Container[str]) -> Segment:
        """Return the segment that needs the facts which its rules read now, see Rule.pin."""
        return replace(self, rule=self.rule.pin(known), exit_rule=self.exit_rule and self.exit_rule.pin(known))

    def missing(self, available: Container[str]) -> frozenset[str]:
        """Return the facts that its rules read and that are not available."""
        return self.rule.missing(available) | (self.exit_rule.missing(available) if self.exit_rule else frozenset())


def load_segments(folder: Path) -> tuple[Segment, ...]:
    """Read every definition file of a folder, in the order of their names.

    Raises:
        DefinitionError: the folder or a file cannot be used; see segments/definition_files.py.
        RuleError: a rule cannot be compiled.
    """
    return read_folder(folder, lambda content, file: build_segment(content, where=str(file)))


def build_segment(content: Any, *, where: str) -> Segment:
    """Check the content of one definition, and compile its rules.

    Raises:
        DefinitionError: a field is missing, unknown or wrong.
        RuleError: a rule cannot be compiled.
    """
    definition = validate(content, SegmentDefinition, where=where)
    rules = _canonical({"rule": definition.rule, "exit_rule": definition.exit_rule})
    return Segment(
        key=definition.key,
        name=definition.name,
        description=definition.description,
        version=_digest(rules),
        rule=_compile(definition.rule, where, "rule"),
        # An empty exit rule is always true, as a missing one is.
        exit_rule=None if definition.exit_rule in (None, {}) else _compile(definition.exit_rule, where, "exit_rule"),
        file=where,
        rules=rules,
    )


def fingerprint(versions: Mapping[str, str]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of the version of each segment, by key."""
    return _digest(_canonical(dict(versions)))


def segment_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a definition file."""
    return describe_shape(SegmentDefinition, "segment", "Holdfast segment")


def _compile(rule: Any, where: str, field: str) -> Rule:
    return _compile_text(json.dumps(rule), where, field)


# A console reads all definitions for each page.
@lru_cache(maxsize=MOST_COMPILED)
def _compile_text(text: str, where: str, field: str) -> Rule:
    try:
        return compile_rule(json.loads(text), where=f"{where}: {field}")
    except RuleError as error:
        line = find_line(where, f"$.{field}{error.path.removeprefix('$')}")
        at = f" at {error.path}"
        said = str(error).replace(at, f"{at} (line {line})", 1) if line else str(error)
        raise RuleError(said, error.path) from error


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _digest(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
