"""Models that the monitoring and the experiments of customers' models are not for, and what to do in place of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from models.leads import LEADS
from models.tasks.registry import TASKS, can_be_tried
from models.tasks.sentiment import Sentiment
from models.tasks.uplift import Uplift
from training.tasks.registry import TASKS as TRAINED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NOT_MONITORED: Mapping[str, str] = {
    Sentiment.name: "the warehouse has no labels of messages; label some new ones and run `holdfast train sentiment "
    "--labels FILE`: its gates compare a new version with the one that serves",
    LEADS: "the warehouse has no leads; `holdfast train leads` measures the version that serves on the outcomes in the "
    "ledger, next to a new one",
}
_NOT_TRIED: Mapping[str, str] = {
    Sentiment.name: "a message is read once for all campaigns, so readings cannot be kept apart by arms; compare "
    "versions with `holdfast models compare sentiment`, and go back with `holdfast models rollback sentiment`",
    LEADS: "a lead has one score and one alert, so there are no arms; compare versions with `holdfast models compare "
    "leads`, and go back with `holdfast models rollback leads`",
    Uplift.name: "its own gate compares it with the control groups of campaigns",
}


def choose_monitored(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Return the name of a model that `holdfast models monitor` can look at.

    Raises:
        click.UsageError: it cannot; the sentence says why, and what to do.
    """
    return _choose(name, TRAINED, _NOT_MONITORED, "monitored")


def choose_tried(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Return the name of a model that experiments can try versions of.

    Raises:
        click.UsageError: they cannot; the sentence says why, and what to do.
    """
    return _choose(name, [*filter(can_be_tried, TASKS)], _NOT_TRIED, "tried in an experiment")


def _choose(name: str, possible: Collection[str], reasons: Mapping[str, str], what: str) -> str:
    if name in possible:
        return name
    if name in reasons:
        raise click.UsageError(f"{name} cannot be {what}: {reasons[name]}")
    raise click.UsageError(f"no model {name!r} can be {what}; there are: {', '.join(possible)}")
