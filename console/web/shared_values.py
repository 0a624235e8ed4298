"""What requests share because it takes long to read: the state of the deployment, and the facts that rules can read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from console.use_cases.segment_columns import list_fact_columns
from console.use_cases.status import read_status
from console.web.fresh_value import FreshValue

if TYPE_CHECKING:
    from console.use_cases.segment_columns import FactColumns
    from console.use_cases.status import Status
    from streams.settings import Settings

STATUS_FRESH_S, FACTS_FRESH_S = 2.0, 300.0


def share_status(settings: Settings) -> FreshValue[Status]:
    """Return the looks at the deployment; each is compared with the one before it."""
    patience_s = settings.console_patience_s
    return FreshValue(
        lambda former: read_status(settings, former=former.marks if former else None, timeout_s=patience_s),
        fresh_s=STATUS_FRESH_S,
    )


def share_facts(settings: Settings) -> FreshValue[FactColumns]:
    """Return the facts that rules can read, for the builder of rules, which asks at every press of a button."""
    return FreshValue(lambda _: _sample_facts(settings), fresh_s=FACTS_FRESH_S)


def _sample_facts(settings: Settings) -> FactColumns:
    """Return the facts with sampled values; of personal columns none."""
    found = list_fact_columns(settings)
    personal = settings.personal_columns
    return replace(found, facts=[replace(each, values=()) if each.name in personal else each for each in found.facts])
