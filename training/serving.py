"""What belongs to a trained model in the warehouse: the view that serves it, and the mapping of its features."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from features.errors import WarehouseError
from features.postgres_warehouse import split_name
from features.warehouses import choose_warehouse, opened
from models.errors import ModelLoadError
from models.inputs import FEATURE_MAPPING
from models.versions import MAPPING_FILE, VIEW_FILE
from models.view_check import check_view
from training.data.dataset import as_relation
from training.data.serving_view import BaseView, write_view
from training.errors import TrainingSourceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from features.table import FeatureTable
    from training.data.dataset import OrdersSource, Source


@dataclass(frozen=True, slots=True)
class ServedView:
    """The view that workers read.

    Attributes:
        name: as in DWH_CUSTOMER_FEATURES_TABLE.
        id_column: the column of customer ids.
        write_as: the name of a view to create with the features of a model trained on orders; None creates none.
    """

    name: str
    id_column: str = "customer_id"
    write_as: str | None = None


def prepare_view(source: Source, view: ServedView | None) -> str | None:
    """Return the statement of the view that serves a model of orders, and create it if it has a name.

    Raises:
        TrainingSourceError: the orders cannot be read, or the warehouse refuses to create the view.
    """
    if source.orders is None or view is None:
        return None
    if view.write_as == view.name:
        raise TrainingSourceError(
            f"--write-view {view.name}: the new view adds the features to the columns of {view.name}, which workers "
            "read now; choose another name, or leave --write-view out if it has the features"
        )
    statement = compose_view(source, source.orders, view)
    if view.write_as is not None:
        create_view(source.warehouse_url, statement, view.write_as)
    return statement


def write_serving(folder: Path, manifest: Mapping[str, Any], statement: str | None) -> None:
    """Write the mapping of the model's features, and the statement of the view that has them."""
    (folder / MAPPING_FILE).write_text(json.dumps(manifest["columns"], indent=2) + "\n", encoding="utf-8")
    if statement is not None:
        (folder / VIEW_FILE).write_text(statement, encoding="utf-8")


def check_served(manifest: Mapping[str, Any], source: Source, view: ServedView | None) -> tuple[str, tuple[str, ...]]:
    """Return why the view cannot serve the model, empty where it can, and notes for the user."""
    if view is None:
        return "", ()
    mapping = FEATURE_MAPPING if source.feature_mapping is None else source.feature_mapping
    if view.write_as is not None:
        mapping = manifest["columns"]
    name = view.write_as or view.name
    try:
        check_view(manifest, mapping, name, read_view(source.warehouse_url, view, name))
    except WarehouseError as error:
        return "", (f"it was not checked whether workers can serve it: {error}",)
    except ModelLoadError as error:
        return str(error), ()
    if view.write_as is None:
        return "", ()
    return "", (
        f"set DWH_CUSTOMER_FEATURES_TABLE={name} and ML_FEATURE_MAPPING to the content of {MAPPING_FILE} there",
    )


def read_view(warehouse_url: str, view: ServedView, name: str | None = None) -> FeatureTable:
    """Return the columns of the view, or of another one with the same id column, without rows.

    Raises:
        WarehouseError: it cannot be read.
    """

    async def read() -> FeatureTable:
        chosen = choose_warehouse(warehouse_url, name or view.name, id_column=view.id_column, private_columns=())
        async with opened(chosen) as warehouse:
            return await warehouse.fetch([])

    return asyncio.run(read())


def compose_view(source: Source, orders: OrdersSource, view: ServedView) -> str:
    """Return the statement that creates a view with the features: those of the present one, if it exists, and more.

    Raises:
        TrainingSourceError: the orders cannot be read.
    """
    relation = as_relation(re.sub(r"(?<!:):start_date\b", f"'{source.start_date}'", orders.relation))
    customers = f"(SELECT DISTINCT customer_id FROM {relation} AS orders WHERE customer_id IS NOT NULL)"  # noqa: S608 - the user's own SQL
    name = sql.Identifier(*split_name(view.write_as or f"{split_name(view.name)[-1]}_with_orders"))
    try:
        with psycopg.connect(source.warehouse_url, connect_timeout=10) as connection:
            id_type = connection.execute(f"SELECT customer_id FROM {relation} AS orders LIMIT 0".encode()).description  # noqa: S608
            present = sql.Identifier(*split_name(view.name))
            known = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [present.as_string()]).fetchone()
            if known == (True,):
                columns = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(present)).description or ()
                types = {each.name: each.type_code for each in columns}
                casts_id = types.get(view.id_column) != (id_type or [])[0].type_code
                base = BaseView(present, view.id_column, tuple(types), casts_id)
            else:
                base = BaseView(sql.SQL(customers), "customer_id", ("customer_id",), casts_id=False)
    except psycopg.Error as error:
        raise TrainingSourceError(
            f"the view for serving cannot be written ({str(error).strip().splitlines()[0]}); check the role's rights"
        ) from error
    return write_view(name, base, sql.SQL(relation), orders.windows.observation)


def create_view(warehouse_url: str, statement: str, name: str) -> None:
    """Create the view, or replace it.

    Raises:
        TrainingSourceError: the warehouse refuses.
    """
    try:
        with psycopg.connect(warehouse_url, connect_timeout=10) as connection:
            connection.execute(statement.encode())
    except psycopg.Error as error:
        raise TrainingSourceError(
            f"the warehouse refused to create the view {name} ({str(error).strip().splitlines()[0]}); the role needs "
            "CREATE on the schema, and a view with other columns must be dropped first"
        ) from error
