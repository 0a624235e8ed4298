"""Whether a version of a model can score for the workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from console.use_cases.warehouse_check import describe_view, read_columns
from models.registry import load_version
from models.view_check import check_view
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings


def check_served(settings: Settings, home: Path, version: str) -> None:
    """Load a version and compare it with the view that workers read.

    Raises:
        ModelLoadError: it cannot be loaded, or the view lacks a column of it.
        WarehouseError: the view cannot be read.
    """
    offers = len(read_definitions(settings).offers)
    scorer = load_version(home, version, settings.feature_mapping, offers)
    columns = asyncio.run(read_columns(settings))
    check_view(scorer.manifest, settings.feature_mapping, describe_view(settings), columns)
