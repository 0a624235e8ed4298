"""Facts of a customer that are changed by words: the names are known, and the values are of the fact's type. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from campaigns.errors import FactChangeError
from campaigns.feedback import ALWAYS_VIP
from campaigns.unknown_facts import NEAREST
from features.insights import INSIGHT_FACTS
from features.signals import as_columns
from features.table import column, plain
from features.times import EVENT_TIME, STALE, parse_time
from models.facts import SCORE_FACTS
from models.rfm import RfmCuts
from models.tasks.churn import Churn
from models.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from features.table import Column, FeatureTable
    from models.registry import Scorers

COMPUTED = SCORE_FACTS | frozenset(as_columns({}, (), {})) | INSIGHT_FACTS | {ALWAYS_VIP, STALE}
"""The facts that the warehouse does not supply."""
DERIVED = ("churn_risk", "churn_risk_level")
"""The facts that follow from churn_probability."""
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact and another value.

    Attributes:
        fact: its name.
        before: the value today, null as None.
        after: the other value, null as None.
        note: that the value replaces a computed one, and what stays as computed; empty for a column of the view.
    """

    fact: str
    before: Any
    after: Any
    note: str = ""

    @property
    def is_computed(self) -> bool:
        """Whether the value replaces one that Holdfast computes."""
        return self.fact in COMPUTED


def read_changes(
    facts: FeatureTable, values: Mapping[str, str], nulls: Collection[str], scorers: Scorers
) -> list[FactChange]:
    """Return the changes that words describe.

    Args:
        facts: every fact of the customer today, one row.
        values: the new values as text, by fact.
        nulls: the facts that become null.
        scorers: the models.

    Raises:
        FactChangeError: a fact is unknown, or a value is of another type than the fact.
    """
    changes = []
    for fact in dict.fromkeys((*values, *nulls)):
        if fact in values and fact in nulls:
            raise FactChangeError(f"{fact} is both set and unset; leave one out")
        _check_name(fact, facts.columns)
        before = plain(facts.columns[fact][0])
        after = None if fact in nulls else _read_value(fact, facts.columns[fact], values[fact])
        changes.append(FactChange(fact, before, after, _describe_computed(fact, {*values, *nulls}, scorers)))
    return changes


def change_columns(facts: FeatureTable, changes: Collection[FactChange], cuts: RfmCuts | None = None) -> FeatureTable:
    """Return the one row with the changed facts, and the risk that follows from a probability of churn by the cuts."""
    changed = {each.fact: _cell(facts.columns[each.fact], each.after) for each in changes}
    if "churn_probability" in changed and facts.columns.keys() >= set(Churn.facts):
        scores = changed["churn_probability"].astype(np.float32).reshape(1, 1)
        derived = TASKS[Churn.name].add_facts(scores, facts.columns["decision_basis"], {}, cuts or RfmCuts())
        changed = {name: derived[name] for name in DERIVED} | changed
    return facts.with_columns(changed)


def _check_name(fact: str, known: Collection[str]) -> None:
    if fact == EVENT_TIME:
        raise FactChangeError("event_time is the time of the event; give it with --at")
    if fact not in known:
        nearest = get_close_matches(fact, sorted(known), n=NEAREST)
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else f"; it has {', '.join(sorted(known))}"
        raise FactChangeError(f"the customer has no fact {fact!r} that a decision reads{hint}")


def _read_value(fact: str, cells: Column, text: str) -> Any:
    known = plain(cells[0])
    if cells.dtype.kind == "f":
        return _read_number(fact, text)
    if cells.dtype.kind == "b" or isinstance(known, bool):
        if text.lower() not in _TRUTHS:
            raise FactChangeError(f"{fact} is true or false; {text!r} is neither; --unset {fact} makes it null")
        return _TRUTHS[text.lower()]
    if isinstance(known, list | dict):
        return _read_json(fact, text, type(known))
    if parse_time(known) and not parse_time(text):
        raise FactChangeError(f"{fact} is a time; {text!r} is none; write it as 2026-03-01T10:20:30Z")
    # Of a null nothing is known but that it is no number.
    return _TRUTHS.get(text, text) if known is None else text


def _read_number(fact: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FactChangeError(f"{fact} is a number; {text!r} is none; --unset {fact} makes it null")
    return number


def _read_json(fact: str, text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, kind):
        what = "a JSON array" if kind is list else "a JSON object"
        raise FactChangeError(f"{fact} is {what}; {text!r} is none")
    return value


def _cell(cells: Column, value: Any) -> Column:
    if cells.dtype.kind == "f":
        return column([value], "number")
    return column([value], "boolean" if isinstance(value, bool) else "other")


def _describe_computed(fact: str, changed: Collection[str], scorers: Scorers) -> str:
    if fact not in COMPUTED:
        return ""
    by = next((scorers.versions[name] for name, task in TASKS.items() if fact in task.facts), "")
    source = f"the score of {by}" if by and by != "rules" else "what Holdfast computes"
    note = f"{fact} is set in place of {source}"
    siblings = next((task.facts for task in TASKS.values() if fact in task.facts), ())
    derived = set(DERIVED) if fact == "churn_probability" else set()
    kept = [each for each in siblings if each not in {*changed, *derived, "decision_basis"}]
    followers = [each for each in DERIVED if each in derived - set(changed)]
    follows = (
        f"; {' and '.join(followers)} {'follows' if len(followers) == 1 else 'follow'} from it" if followers else ""
    )
    stays = f"; {', '.join(kept)} stay as computed" if kept else ""
    return f"{note}{follows}{stays}"
