"""Changeovers: promotions and rollbacks of a model whose effect on memberships must not fire campaigns. Pure.

A promotion with mode `silent` or `new` begins a changeover, and what serves from then on serves under it. A worker
records for each customer the changeovers under which the scores were made that a segment read; the first evaluation
under another one is that of an edited rule. A promotion with mode `emit` begins none, so it fires what it changes.

`current` and each line of the history hold the id of the changeover. The id contains the mode, so a worker that knows
the version to load knows the mode, too. See docs/decisions/0021-storm-guard.md.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from models.versions import Promotion

PromotionMode = Literal["silent", "new", "emit"]
PROMOTION_MODES: tuple[PromotionMode, ...] = get_args(PromotionMode)
"""What the first evaluations under a promoted version may fire: as segments.engine.Mode."""
RESTORED = "restored"
"""Recorded in place of a mode where a rollback goes back to a former changeover."""
NONE = ""
"""The changeover of a model of which none has begun."""


class Serving(NamedTuple):
    """The version that serves, None for the rule, and the changeover under which it does."""

    version: str | None
    changeover: str = NONE


def begin_changeover(history: Sequence[Promotion], mode: PromotionMode, at: datetime) -> str:
    """Return the id of a new changeover: its time in UTC and its mode, unlike every id of the history."""
    known = {each.changeover for each in history}
    while (name := f"{at.astimezone(UTC):%Y%m%dT%H%M%S%f}-{mode}") in known:
        at += timedelta(microseconds=1)
    return name


def find_restored(history: Sequence[Promotion], serving: Serving, version: str) -> str | None:
    """Return the latest changeover under which a version served last; None if there is none but the present one.

    Each customer's results under it are those of the version, so a rollback continues from them.
    """
    last = {NONE: history[0].before if history else serving.version}
    for each in history:
        # Again at the end: the latest is found first.
        last.pop(each.changeover, None)
        last[each.changeover] = each.after
    return next((name for name in reversed(last) if name != serving.changeover and last[name] == version), None)


def find_changeover(history: Sequence[Promotion], version: str) -> str:
    """Return the changeover under which a version served last."""
    return next((each.changeover for each in reversed(history) if each.after == version), NONE)


def find_former(history: Sequence[Promotion], changeover: str) -> Serving | None:
    """Return what served before a changeover began; None if the history does not have it."""
    for place, each in enumerate(history):
        if each.changeover == changeover:
            earlier = history[:place]
            return Serving(each.before, find_changeover(earlier, each.before) if each.before else NONE)
    return None
