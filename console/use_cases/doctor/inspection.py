"""What the checks of the warehouse are made on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from campaigns.postgres_inspection import inspect_server
from console.use_cases.segment_check import check_segments
from console.use_cases.warehouse_check import check_warehouse, describe_view
from features.errors import WarehouseUnavailableError
from features.table import plain
from features.times import parse_time
from features.warehouse_role import inspect_role
from features.warehouses import POSTGRESQL, opened
from models.errors import ModelError
from models.view_check import check_view
from streams.definitions import read_definitions
from streams.known_facts import SAMPLED_ROWS
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from campaigns.postgres_inspection import ServerFacts
    from console.use_cases.segment_check import SegmentVerdict
    from console.use_cases.warehouse_check import WarehouseReport
    from features.table import FeatureTable
    from features.warehouse_role import WarehouseRole
    from models.registry import Scorers
    from streams.settings import Settings

CONNECT_S = 5


@dataclass(frozen=True, slots=True)
class WarehouseFacts:
    """What was read of the warehouse.

    Attributes:
        report: as `holdfast warehouse check` makes it.
        verdicts: as `holdfast segments check` makes them.
        refused_models: why promoted models cannot serve, or not on this view.
        unknown_private: private columns that the view does not have.
        newest_change: the latest time in DWH_UPDATED_AT_COLUMN of some rows; None without that column.
        server: None where the warehouse is a file.
        role: None where the warehouse is a file.
    """

    report: WarehouseReport
    verdicts: Sequence[SegmentVerdict]
    refused_models: Sequence[str]
    unknown_private: Sequence[str]
    newest_change: datetime | None
    server: ServerFacts | None
    role: WarehouseRole | None


def inspect_warehouse(settings: Settings) -> WarehouseFacts:
    """Read from the warehouse.

    Raises:
        WarehouseError: it cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    report, verdicts = check_warehouse(settings), check_segments(settings)
    scorers = load_models(settings, read_definitions(settings).offers)
    unknown_private, sample = asyncio.run(_read_sample(settings))
    server, role = _inspect_postgres(settings)
    return WarehouseFacts(
        report,
        verdicts,
        [*scorers.refused.values(), *_find_unfit_models(settings, scorers, sample)],
        unknown_private,
        _find_newest(settings, sample),
        server,
        role,
    )


async def _read_sample(settings: Settings) -> tuple[Sequence[str], FeatureTable]:
    async with opened(find_warehouse(settings)) as warehouse:
        return warehouse.unknown_private_columns, await warehouse.sample(SAMPLED_ROWS)


def _find_unfit_models(settings: Settings, scorers: Scorers, view: FeatureTable) -> Iterator[str]:
    for name, scorer in scorers.by_name.items():
        manifest: Any = getattr(scorer, "manifest", None)
        if manifest is None:  # a rule
            continue
        try:
            check_view(manifest, settings.feature_mapping, describe_view(settings), view)
        except ModelError as failure:
            yield f"{name}: {failure}"


def _find_newest(settings: Settings, sample: FeatureTable) -> datetime | None:
    column = sample.columns.get(settings.updated_at_column or "")
    times = [parse_time(plain(value)) for value in column] if column is not None else []
    return max((each.astimezone(UTC) for each in times if each is not None), default=None)


def _inspect_postgres(settings: Settings) -> tuple[ServerFacts | None, WarehouseRole | None]:
    if settings.warehouse_url.partition(":")[0] not in POSTGRESQL:
        return None, None
    try:
        with psycopg.connect(settings.warehouse_url, connect_timeout=CONNECT_S, autocommit=True) as connection:
            role = inspect_role(connection, settings.features_table, settings.private_columns)
            return inspect_server(connection), role
    except psycopg.Error as failure:
        said = str(failure).strip().splitlines()[0]
        raise WarehouseUnavailableError(
            f"the warehouse's server cannot be asked for rights and clock: {said}"
        ) from failure
