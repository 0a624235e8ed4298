"""The published JSON Schemas of the files of a definitions folder, generated from their types. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from campaigns.channels import CHANNELS_FILE, Channel
from campaigns.contact_limits import LIMITS_FILE, ContactLimit
from campaigns.definition import OFFERS_FILE, Campaign, Offer
from segments.definition import segment_schema
from segments.definition_files import describe_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA_SUFFIX = ".schema.json"


def definition_schemas() -> Mapping[str, dict[str, Any]]:
    """Return the schema of each kind of file, by the name of the kind."""
    return {
        "segment": segment_schema(),
        "campaign": describe_shape(Campaign, "campaign", "Holdfast campaign"),
        OFFERS_FILE: describe_shape(tuple[Offer, ...], OFFERS_FILE, "Holdfast offers"),
        CHANNELS_FILE: describe_shape(tuple[Channel, ...], CHANNELS_FILE, "Holdfast channels"),
        LIMITS_FILE: describe_shape(tuple[ContactLimit, ...], LIMITS_FILE, "Holdfast limits"),
    }


def write_schema(schema: Mapping[str, Any]) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
