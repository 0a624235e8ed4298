"""A customer's facts in groups, with names that people read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from features.insights import INSIGHT_FACTS
from features.signals import as_columns
from models.facts import SCORE_FACTS
from models.rfm import RFM_SOURCES
from models.tasks.ltv import LifetimeValue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

SCORES, PURCHASES, MESSAGES, PERSON, OTHERS = "Scores", "Purchases", "Messages", "Person", "Others"
_SIGNALS = frozenset(as_columns({}, (), {}))
_RFM = frozenset[str]().union(*RFM_SOURCES.values())
_OF_PURCHASES = ("transaction", "revenue", "purchase", "order", "lifetime", "tenure", "basket", "product", "spend")
_OF_PERSON = ("consent", "channel", "language", "timezone", "country", "city", "region")
_ABBREVIATIONS = {"rfm": "RFM", LifetimeValue.name: "lifetime value", "avg": "average", "id": "id"}


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A fact for people.

    Attributes:
        name: as rules write it.
        label: as people read it.
        value: null as None.
    """

    name: str
    label: str
    value: Any


def group_facts(facts: Mapping[str, Any], personal: Collection[str]) -> Sequence[tuple[str, Sequence[ShownFact]]]:
    """Return the groups that are not empty, each with its facts by name.

    Args:
        facts: of a customer, by name.
        personal: the names of those that identify the customer.
    """
    groups: dict[str, list[ShownFact]] = {each: [] for each in (SCORES, PURCHASES, MESSAGES, PERSON, OTHERS)}
    for name in sorted(facts):
        groups[_find_group(name, personal)].append(ShownFact(name, describe_name(name), facts[name]))
    return [(group, found) for group, found in groups.items() if found]


def pick_numeric(facts: Mapping[str, Any], read: Iterable[str]) -> Sequence[ShownFact]:
    """Return the numbers among facts that something reads, by name."""
    return [
        ShownFact(name, describe_name(name), facts[name])
        for name in sorted(set(read) & facts.keys())
        if isinstance(facts[name], int | float) and not isinstance(facts[name], bool)
    ]


def describe_name(name: str) -> str:
    """Return the name of a fact as people read it."""
    words = [_ABBREVIATIONS.get(word, word) for word in name.split("_") if word]
    text = " ".join(words) or name
    return text[0].upper() + text[1:]


def _find_group(name: str, personal: Collection[str]) -> str:
    if name in SCORE_FACTS:
        return SCORES
    if name in _SIGNALS:
        return MESSAGES
    if name in personal or any(word in name for word in _OF_PERSON):
        return PERSON
    if name not in INSIGHT_FACTS and (name in _RFM or any(word in name for word in _OF_PURCHASES)):
        return PURCHASES
    return OTHERS
