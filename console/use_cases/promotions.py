"""A promotion or rollback of a model, which moves no more customers than it may unless an operator accepts that."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from console.model_preview import Preview, add_previews, preview_swap
from console.use_cases.warehouse_check import describe_view, read_columns
from features.warehouses import opened
from models.errors import PromotionRefusedError
from models.facts import facts_read
from models.lead_model import load_lead_model
from models.leads import LEADS
from models.registry import load_version
from models.sources import unavailable_facts
from models.tasks.registry import TASKS, moves_customers
from models.versions import promote, roll_back
from models.view_check import check_view
from streams.definitions import read_definitions
from streams.known_facts import known_facts
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.changeovers import PromotionMode
    from models.ports import Scorer
    from models.registry import Scorers
    from models.versions import Promotion
    from segments.definition import Segment
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Promoted:
    """What became of a promotion or rollback.

    Attributes:
        line: of the history; None if the version serves already.
        preview: whom it moves; None where that was not measured.
    """

    line: Promotion | None
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """What an operator asks for.

    Attributes:
        by: the operator.
        why: the reason.
        mode: what the first evaluations under the version may fire; None for the default.
        accepted: whether it may move more customers than the settings allow.
        forced: whether a gate is overruled.
    """

    by: str
    why: str = ""
    mode: PromotionMode | None = None
    accepted: bool = False
    forced: bool = False


def preview_promotion(settings: Settings, home: Path, version: str) -> Preview:
    """Return whom a promotion would move; nothing is promoted.

    Raises:
        PromotionRefusedError: the model reads messages, and no customer of today moves by it.
        ModelError: the version cannot be loaded.
        WarehouseError: the customers cannot be read.
    """
    if home.name == LEADS:
        raise PromotionRefusedError("a model of leads moves no customers, so there is no preview; promote it without")
    if home.name in TASKS and TASKS[home.name].reads_messages:
        raise PromotionRefusedError(
            f"{home.name} reads messages: it changes no customer of today, only what later messages add; see the "
            f"report of {version}"
        )
    scorer = load_version(home, version, settings.feature_mapping, _count_offers(settings))
    return _measure(settings, home.name, scorer)


def promote_model(settings: Settings, home: Path, version: str, request: PromotionRequest) -> Promoted:
    """Let a version serve; by default with mode `emit`, or `new` where it moves more customers than the settings allow.

    Raises:
        PromotionRefusedError: it moves more customers than the settings allow and that was not accepted; or see
            models.versions.promote.
        WarehouseError: the customers cannot be read.
    """
    preview: Preview | None = None

    def check(wanted: str) -> PromotionMode:
        nonlocal preview
        if home.name == LEADS:
            load_lead_model(home, wanted)
            return "emit"
        scorer = load_version(home, wanted, settings.feature_mapping, _count_offers(settings))
        columns = asyncio.run(read_columns(settings))
        check_view(scorer.manifest, settings.feature_mapping, describe_view(settings), columns)
        if not moves_customers(home.name):
            return "emit"
        preview = _measure(settings, home.name, scorer)
        _refuse_storm(settings, home.name, preview, request)
        return request.mode or ("new" if preview.share > settings.promotion_share else "emit")

    now = datetime.now(UTC)
    line = promote(home, version, at=now, by=request.by, why=request.why, forced=request.forced, check=check)
    return Promoted(line, preview)


def roll_back_model(settings: Settings, home: Path, to: str | None, request: PromotionRequest) -> Promoted:
    """Let a version serve again, by default with mode `new`: then neither whom it moves nor the warehouse matters.

    Raises:
        PromotionRefusedError: with mode `emit` it moves more customers than the settings allow and that was not
            accepted; or see models.versions.roll_back.
        WarehouseError: with mode `emit`, the customers cannot be read.
    """
    preview: Preview | None = None

    def check(wanted: str) -> PromotionMode:
        nonlocal preview
        if home.name == LEADS:
            load_lead_model(home, wanted)
            return "emit"
        scorer = load_version(home, wanted, settings.feature_mapping, _count_offers(settings))
        if not moves_customers(home.name):
            return "emit"
        if request.mode == "emit":
            preview = _measure(settings, home.name, scorer)
            _refuse_storm(settings, home.name, preview, request)
        return request.mode or "new"

    return Promoted(roll_back(home, to=to, at=datetime.now(UTC), by=request.by, why=request.why, check=check), preview)


def _refuse_storm(settings: Settings, name: str, preview: Preview, request: PromotionRequest) -> None:
    if preview.share > settings.promotion_share and not request.accepted:
        raise PromotionRefusedError(
            f"{preview.after}: {preview.moved:,} of {preview.customers:,} customers ({preview.share:.1%}) would move "
            f"across a band or a segment, and HOLDFAST_PROMOTION_SHARE allows {settings.promotion_share:.1%}; "
            f"`holdfast models promote {name} {preview.after} --preview` shows where; accept it with --yes, and say by "
            "--mode new, silent or emit what it may fire"
        )


def _measure(settings: Settings, name: str, scorer: Scorer) -> Preview:
    definitions = read_definitions(settings)
    scorers = load_models(settings, definitions.offers)
    return asyncio.run(_preview(settings, name, scorer, scorers, definitions.segments))


async def _preview(
    settings: Settings, name: str, scorer: Scorer, scorers: Scorers, segments: Sequence[Segment]
) -> Preview:
    """Compare every customer of the view by what serves and by what would, a part of them at a time."""
    now, swapped = datetime.now(UTC), scorers.with_scorer(name, scorer)
    total = Preview(scorers.versions[name], scorer.version, 0, {}, {})
    async with opened(find_warehouse(settings)) as warehouse:
        view = await warehouse.fetch([])
        known = known_facts(view, swapped, marks_stale=settings.updated_at_column is not None)
        available = set(known) - set(unavailable_facts(view.columns, (), scorers))
        # A worker evaluates no segment that reads what is missing.
        pinned = [pinned for each in segments if not (pinned := each.pin(known)).missing(available)]
        read = frozenset(name for each in pinned for name in each.facts) | facts_read(scorers) | facts_read(swapped)
        async with aclosing(warehouse.scan(sorted(read & view.columns.keys()))) as tables:
            async for table in tables:
                found = preview_swap(name, scorer, scorers, table, pinned, now)
                total = add_previews(total, found) if total.customers else found
    return total


def _count_offers(settings: Settings) -> int:
    return len(read_definitions(settings).offers)
