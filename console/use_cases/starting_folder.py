"""A folder to start from: settings, and definitions on columns that the warehouse has."""

from __future__ import annotations

import asyncio
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaigns.channels import CHANNELS_FILE, SHIPPED, shipped_channels
from campaigns.contact_limits import LIMITS_FILE, shipped_limits
from campaigns.definition import OFFERS_FILE
from features.table import find_kind
from features.warehouses import POSTGRESQL, opened
from segments.definition_files import read_content
from streams.errors import SettingsError
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.table import Kind
    from streams.settings import Settings

KEY = "first-segment"


@dataclass(frozen=True, slots=True)
class StartingFolder:
    """What was written.

    Attributes:
        files: in the order in which a reader needs them.
        rule: the rule of the segment, in words.
        consented: the channels on which the campaign can contact customers.
    """

    files: Sequence[Path]
    rule: str
    consented: Sequence[str]


def write_starting_folder(settings: Settings, folder: Path) -> StartingFolder:
    """Write settings.env and definitions for the warehouse of the settings.

    Raises:
        SettingsError: the folder has files.
        WarehouseError: the warehouse cannot be read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"{folder} is not empty; name a folder that does not exist")
    kinds = asyncio.run(_read_kinds(settings))
    rule, words = choose_rule(kinds, settings.customer_id_column)
    channels = shipped_channels()
    consented = [key for key, each in channels.items() if kinds.get(each.consent_column) == "boolean"]
    definitions = folder / "definitions"
    contents: dict[Path, Any] = {
        definitions / "segments" / f"{KEY}.json": {"key": KEY, "name": words, "rule": rule},
        definitions / "campaigns" / "first-campaign.json": {
            "key": "first-campaign",
            "name": "First campaign",
            "segment": KEY,
            "offers": [1, 2],
            "channels": consented or list(channels)[:1],
            "message": "We have something for you: {{ offer.name }}.",
            "holdout_percent": 10,
            "cooldown_days": 30,
        },
        definitions / "campaigns" / f"{CHANNELS_FILE}.json": [each.describe() for each in channels.values()],
        definitions / "campaigns" / f"{LIMITS_FILE}.json": [
            each.model_dump(exclude_none=True) for each in shipped_limits()
        ],
        definitions / "campaigns" / f"{OFFERS_FILE}.json": read_content(SHIPPED / f"{OFFERS_FILE}.json"),
    }
    environment = folder / "settings.env"
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    environment.write_text(write_environment(settings, definitions), encoding="utf-8")
    return StartingFolder([environment, *contents], words, consented)


def choose_rule(kinds: Mapping[str, Kind], id_column: str) -> tuple[dict[str, Any], str]:
    """Return a rule on a column that exists, and the rule in words: on a number, a truth value, or another column."""
    for kind in ("number", "boolean", "other"):
        names = [name for name, each in kinds.items() if each == kind and name != id_column]
        if names:
            name = names[0]
            fact = {"var": name.replace(".", r"\.")}
            if kind == "number":
                return {">": [fact, 0]}, f"{name} is above 0"
            if kind == "boolean":
                return {"==": [fact, True]}, f"{name} is true"
            return {"!=": [fact, None]}, f"{name} has a value"
    return {">=": [{"var": "message_count"}, 1]}, "has written a message"


def write_environment(settings: Settings, definitions: Path) -> str:
    """Return the lines of settings.env; a URL with a password is left to the environment."""
    values = {"HOLDFAST_DEFINITIONS_DIR": str(definitions.resolve())}
    if settings.warehouse_url.partition(":")[0] not in POSTGRESQL:
        scheme, _, path = settings.warehouse_url.partition(":")
        values["HOLDFAST_WAREHOUSE_URL"] = f"{scheme}:{Path(path.removeprefix('//')).resolve()}"
    values["DWH_CUSTOMER_FEATURES_TABLE"] = settings.features_table
    values["DWH_CUSTOMER_ID_COLUMN"] = settings.customer_id_column
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


async def _read_kinds(settings: Settings) -> dict[str, Kind]:
    async with opened(find_warehouse(settings)) as warehouse:
        table = await warehouse.fetch([])
    return {name: find_kind(column) for name, column in table.columns.items()}
