"""Reasons in words that a marketer understands, in English. Pure.

A text has two parts: what is known of the customer ("no purchase for 69 days"), by the kind of feature, and what that
means ("half of such customers leave"), by the task, see `word_reason` in models/tasks. The second part is the outcome
rate of training rows with such a value where it agrees with the direction; otherwise it is the direction alone: what a
feature contributes next to all others need not be what it shows alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from models.feature_labels import FeatureLabel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from models.tasks.protocol import ModelTask

Direction = Literal["raises", "lowers"]

_WINDOW = re.compile(r"_?(\d+)_?d(ays)?$")
_SHARES = {1 / 4: "a quarter", 1 / 3: "a third", 1 / 2: "half", 2 / 3: "two thirds", 3 / 4: "three quarters"}
NEAR = 0.02
_PLAIN_FROM, _LARGE = 100, 1e15
_MISSING = FeatureLabel()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a text is about.

    Attributes:
        task: whose score is explained.
        first: for offers, the name of the one that is explained.
        second: for offers, the name of the one that it is compared with.
        factor: from the outcomes of training to the unit of the score.
        labels: what features are called, by feature or column.
    """

    task: ModelTask
    first: str = ""
    second: str = ""
    factor: float = 1.0
    labels: Mapping[str, FeatureLabel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """A feature of a customer.

    Attributes:
        feature: the model's name.
        column: the view's.
        value: the customer's, None if missing.
    """

    feature: str
    column: str
    value: Any


def write_text(
    subject: Subject, known: Sequence[Known], direction: Direction, rates: Sequence[Any], overall: Sequence[Any]
) -> str:
    """Return a factor in words.

    Args:
        subject: what is explained.
        known: features of the group that are described, the first one names it.
        direction: of the contribution.
        rates: the outcome of training rows with the first feature's value, by the outputs explained; empty or None
            where unknown.
        overall: the outcome of all training rows.
    """
    # Only where it speaks against the customer, a purchase is described as missing.
    is_bad = subject.task.bad_direction == direction
    described = ", ".join(dict.fromkeys(_describe(each, is_bad, subject.labels) for each in known))
    if not rates or None in (*rates, *overall):
        rates = []
    return f"{described}; {subject.task.word_reason(subject, direction, rates, overall)}"


def agrees(gap: float, direction: Direction, more_than: float = 0.0) -> bool:
    """Return whether an outcome is as much above or below another as a direction says."""
    return gap > more_than if direction == "raises" else gap < -more_than


def write_share(share: float) -> str:
    """Return a share in words."""
    if share < NEAR:
        return "hardly any"
    if share > 1 - NEAR:
        return "nearly all"
    return next((words for value, words in _SHARES.items() if abs(value - share) <= NEAR), write_percent(share))


def write_percent(share: float) -> str:
    """Return a share in percent."""
    return f"{100 * share:.0f} %"


def write_number(value: float, unit: str = "") -> str:
    """Return a number as people write it: a comma for thousands, two digits of small fractions, then the unit."""
    if abs(value) >= _LARGE:
        return f"{value:.3g} {unit}".rstrip()
    digits = 0 if value.is_integer() or abs(value) >= _PLAIN_FROM else 2
    written = f"{value:,.{digits}f}" if digits == 0 or round(value, digits) else "0"
    return f"{written} {unit}" if unit else written


def _describe(known: Known, is_bad: bool, labels: Mapping[str, FeatureLabel]) -> str:
    label = labels.get(known.feature) or labels.get(known.column) or _MISSING
    name, words, window = _read_name(known.column)
    name = label.label or name
    match known.value:
        case None:
            return f"{name}: not known"
        case bool():
            return f"{name}: {'yes' if known.value else 'no'}"
        case int() | float() if words and not label.label:
            return f"{words(float(known.value), is_bad, label.unit)}{window}"
        case int() | float():
            return f"{name}: {write_number(float(known.value), label.unit)}"
        case _:
            return f"{name}: {known.value}"


@lru_cache(maxsize=4096)
def _read_name(column: str) -> tuple[str, _Words | None, str]:
    """Return what a column is called, the words of its kind if it has one, and those of its window, if they need it."""
    found = _WINDOW.search(column)
    has_window = bool(found and found.start())
    stem = column[: found.start()] if found and has_window else column
    window = f" in {found[1]} days" if found and has_window else ""
    words = next((words for pattern, words in _KINDS if pattern.fullmatch(stem)), None)
    return _readable(stem) + window, words, window if words in _IN_A_WINDOW else ""


def _readable(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower() or name


def _recency(days: float, is_bad: bool, unit: str) -> str:
    _ = unit
    if days < 1:
        return "last purchase today"
    since = _count(days, "day")
    return f"no purchase for {since}" if is_bad else f"last purchase {since} ago"


def _count(number: float, noun: str) -> str:
    if number == 0:
        return f"no {noun}s"
    return f"{write_number(number)} {noun}{'' if number == 1 else 's'}"


def _counting(noun: str) -> _Words:
    return lambda value, _, __: _count(value, noun)


def _saying(before: str, after: str = "") -> _Words:
    return lambda value, _, unit: f"{before}{write_number(value, unit)}{after}"


def _trend(value: float, is_bad: bool, unit: str) -> str:
    _ = is_bad, unit
    return f"spends {'more' if value > 0 else 'less' if value < 0 else 'as much'} lately than before"


if TYPE_CHECKING:
    _Words = Callable[[float, bool, str], str]

_ORDERS, _CANCELLATIONS = _counting("order"), _counting("cancellation")
_REVENUE, _REFUNDED = _saying("revenue of "), _saying("refunds of ")
_IN_A_WINDOW = (_ORDERS, _CANCELLATIONS, _REVENUE, _REFUNDED)
_KINDS: tuple[tuple[re.Pattern[str], _Words], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(days_since_last.*|recency(_days)?)", _recency),
        (r"(transactions?|orders?)_count|frequency", lambda value, _, __: f"{_count(value, 'order')} in all"),
        (r"transactions|orders", _ORDERS),
        (r"cancellations?(_count)?", _CANCELLATIONS),
        (r"items(_total|_count)?", _counting("item")),
        (r"active_days", lambda value, _, __: f"orders on {_count(value, 'day')}"),
        (r"(total_)?(revenue|spend)|monetary", _REVENUE),
        (r"lifetime_value", _saying("lifetime value of ")),
        (r"refunded", _REFUNDED),
        (r"(avg|average|mean)_(transaction|order)_value", _saying("an average order of ")),
        (r"largest_(transaction|order)", _saying("largest order of ")),
        (r"revenue_trend", _trend),
        (r"(avg|average|mean)_days_between_orders", _saying("an order every ", " days on average")),
        (r"longest_gap", _saying("longest time between orders: ", " days")),
        (r"overdue", _saying("", " times the usual time between orders has passed")),
        (r"tenure(_days)?|customer_days", lambda value, _, __: f"customer for {_count(value, 'day')}"),
    )
)
