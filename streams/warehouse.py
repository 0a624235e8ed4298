"""The warehouse that the settings choose: apart from the other adapters, so that commands need not import them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.warehouses import choose_warehouse

if TYPE_CHECKING:
    from features.ports import WarehouseConnection
    from streams.settings import Settings


def find_warehouse(settings: Settings) -> WarehouseConnection:
    """Return the warehouse of the settings, not open yet."""
    return choose_warehouse(
        settings.warehouse_url,
        settings.features_table,
        id_column=settings.customer_id_column,
        private_columns=settings.private_columns,
    )
