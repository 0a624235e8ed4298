"""Pages from templates, with what every page shows."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from console.access.roles import Permission
from console.printable import printable
from console.segment_views import describe_change, number
from console.web.links import customer_address
from console.web.rule_form import list_comparisons, name_place
from segments.rule_tree import COMPARISONS, GROUP_KINDS, VALUE_TYPES, describe, describe_fact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

PARTS = (
    ("/", "Overview", Permission.READ),
    ("/live", "Live", Permission.VIEW_CUSTOMERS),
    ("/customers", "Customers", Permission.VIEW_CUSTOMERS),
    ("/segments", "Segments", Permission.READ),
    ("/campaigns", "Campaigns", Permission.READ),
    ("/analytics", "Analytics", Permission.READ),
    ("/models", "Models", Permission.READ),
    ("/operations", "Operations", Permission.OPERATE),
    ("/access", "Access", Permission.ADMINISTER),
)
"""The parts of the console in the navigation: address, name, and the permission that shows it."""
LARGE = 10_000.0
"""From here on numbers are written out."""
STATIC = Path(__file__).with_name("static")


def _stamp_assets() -> str:
    """Return a stamp of the assets, so that browsers may keep them until they change."""
    content = sha256()
    for file in sorted(STATIC.iterdir()):
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


def show_moment(at: datetime | None) -> str:
    """Return a time as people read it, in UTC."""
    return "never" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def show_figure(cell: Any) -> str:
    """Return a cell as people read it."""
    if cell is None:
        return "unknown"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and abs(cell) < LARGE:
        return f"{cell:,.4g}"
    return f"{cell:,.0f}" if isinstance(cell, int | float) else str(cell)


TEMPLATES = Environment(
    loader=PackageLoader("console.web.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals.update(
    assets=_stamp_assets(),
    product_version=version("holdfast"),
    Permission=Permission,
    PARTS=PARTS,
    customer_address=customer_address,
    number=number,
    describe_change=describe_change,
    GROUP_KINDS=GROUP_KINDS,
    COMPARISONS=COMPARISONS,
    VALUE_TYPES=VALUE_TYPES,
    describe_condition=describe,
    describe_fact=describe_fact,
    name_place=name_place,
    list_comparisons=list_comparisons,
)
TEMPLATES.filters.update(printable=printable, moment=show_moment, figure=show_figure)


def render(request: Request, template: str, values: Mapping[str, Any] | None = None) -> HTMLResponse:
    """Return a page, or a part of one.

    Args:
        request: has who makes it, whose name and permitted parts the page shows.
        template: its file.
        values: what the template reads.
    """
    shown = {"principal": getattr(request.state, "principal", None), "path": request.scope["path"], **(values or {})}
    return HTMLResponse(TEMPLATES.get_template(template).render(shown))
