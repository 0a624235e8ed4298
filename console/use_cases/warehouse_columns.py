"""The columns of the customers' view."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from console.use_cases.warehouse_check import describe_view
from features.table import find_kind
from features.warehouses import opened
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.table import FeatureTable
    from streams.settings import Settings


def list_columns(settings: Settings) -> tuple[str, Mapping[str, str]]:
    """Return the name of the view, and the kind of each of its columns by name; no row is read.

    Raises:
        WarehouseError: the warehouse cannot be read.
    """
    view = asyncio.run(_read_view(settings))
    kinds = {name: find_kind(cells) for name, cells in view.columns.items()}
    return describe_view(settings), {name: "text" if kind == "other" else kind for name, kind in kinds.items()}


async def _read_view(settings: Settings) -> FeatureTable:
    async with opened(find_warehouse(settings)) as warehouse:
        return await warehouse.fetch([])
