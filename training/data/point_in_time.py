"""Customers as they stood on past days, with what they did next: rows to learn from, made of nothing but orders.

Features come from orders strictly before the cut-off, labels from those on it and after it. The names of the
feature names contain their windows, so that a serving view cannot silently mean something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.errors import TrainingDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY = np.timedelta64(1, "D")
SHORTER = (2, 6)
"""Orders and revenue are also counted over the latest half and sixth of the observation window."""


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders in any order of time; those of amount 0 or less (refunds, cancellations) are no purchases.

    Attributes:
        customer: shape [orders], customer ids.
        day: shape [orders], datetime64[D].
        amount: shape [orders], money.
    """

    customer: NDArray[np.str_]
    day: NDArray[np.datetime64]
    amount: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, chosen: NDArray[np.bool_]) -> Orders:
        """Return the orders where `chosen` is true."""
        return Orders(self.customer[chosen], self.day[chosen], self.amount[chosen])


@dataclass(frozen=True, slots=True)
class Windows:
    """How far a snapshot looks back and ahead.

    Attributes:
        observation: days before a cut-off that features are made of.
        prediction: days from a cut-off on that labels are made of.
        minimum_orders: purchases within the observation window that make a customer worth a row.
    """

    observation: int = 180
    prediction: int = 90
    minimum_orders: int = 1


@dataclass(frozen=True, slots=True)
class Snapshots:
    """One row per customer and cut-off.

    Attributes:
        customer: shape [rows].
        cut_off: shape [rows], datetime64[D].
        features: by name, shape [rows], NaN where not defined.
        churned: shape [rows], 1 where no purchase falls into the prediction window.
        spend: shape [rows], money spent on purchases in the prediction window.
        wait: shape [rows], days from the cut-off to the first purchase in the prediction window, 0 on that day; NaN
            where there is none.
    """

    customer: NDArray[np.str_]
    cut_off: NDArray[np.datetime64]
    features: dict[str, NDArray[np.float64]]
    churned: NDArray[np.float64]
    spend: NDArray[np.float64]
    wait: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.customer)


def choose_cut_offs(orders: Orders, windows: Windows, count: int = 4, step: int = 30) -> NDArray[np.datetime64]:
    """Return cut-offs in ascending order, the last of which is to evaluate on.

    The last one's prediction window ends with the data. The others' windows end before the last one begins, so
    that everything learned from was known on the day of evaluation; they lie `step` days apart, closer where the
    data begin too late for that.

    Raises:
        TrainingDataError: the orders span too few days for two cut-offs.
    """
    if not len(orders):
        raise TrainingDataError("the orders query returned no rows; check the table, the start date and the warehouse")
    first, last = orders.day.min(), orders.day.max()
    evaluated = last + DAY - np.timedelta64(windows.prediction, "D")
    latest = evaluated - np.timedelta64(windows.prediction, "D")
    room = int((latest - (first + np.timedelta64(windows.observation, "D"))) / DAY)
    if room < 0:
        raise TrainingDataError(
            f"the orders span {int((last - first) / DAY) + 1} days, {first} to {last}; one observation window and two "
            f"prediction windows are {windows.observation + 2 * windows.prediction}: load more history, or shorten "
            "--observation-window or --prediction-window"
        )
    earlier = max(count - 1, 1)
    apart = min(step, room // max(earlier - 1, 1))
    back = np.unique(np.arange(earlier) * apart)
    return np.append((latest - back.astype("timedelta64[D]"))[::-1], evaluated)


def take_snapshots(orders: Orders, cut_offs: NDArray[np.datetime64], windows: Windows) -> Snapshots:
    """Return the customers with enough purchases before each cut-off, their features and labels."""
    purchases = orders.take(orders.amount > 0)
    parts = [_take(orders, purchases, cut_off, windows) for cut_off in cut_offs]
    names = list(parts[0].features)
    return Snapshots(
        np.concatenate([part.customer for part in parts]),
        np.concatenate([part.cut_off for part in parts]),
        {name: np.concatenate([part.features[name] for part in parts]) for name in names},
        np.concatenate([part.churned for part in parts]),
        np.concatenate([part.spend for part in parts]),
        np.concatenate([part.wait for part in parts]),
    )


def _take(orders: Orders, purchases: Orders, cut_off: np.datetime64, windows: Windows) -> Snapshots:
    begins = cut_off - np.timedelta64(windows.observation, "D")
    ends = cut_off + np.timedelta64(windows.prediction, "D")
    seen = purchases.take((purchases.day >= begins) & (purchases.day < cut_off))
    customers, counts = np.unique(seen.customer, return_counts=True)
    customers = customers[counts >= windows.minimum_orders]
    later = _among(purchases.take((purchases.day >= cut_off) & (purchases.day < ends)), customers)
    bought = np.bincount(later.place, minlength=len(customers))
    spend = _total(later, len(customers))
    wait = np.full(len(customers), np.inf)
    np.minimum.at(wait, later.place, (later.day - cut_off) / DAY)
    refunds = orders.take((orders.amount < 0) & (orders.day >= begins) & (orders.day < cut_off))
    features = {
        **_spending(_among(seen, customers), len(customers), cut_off, windows.observation),
        **_rhythm(_among(seen, customers), len(customers), cut_off, windows.observation),
        **_refunds(_among(refunds, customers), len(customers), windows.observation),
        **_tenure(
            _among(purchases.take(purchases.day < cut_off), customers), len(customers), cut_off, windows.observation
        ),
    }
    days = np.full(len(customers), cut_off)
    wait[bought == 0] = np.nan
    return Snapshots(customers, days, features, (bought == 0).astype(np.float64), spend, wait)


@dataclass(frozen=True, slots=True)
class _Placed:
    """Orders of known customers: the place of the customer, the day, the amount."""

    place: NDArray[np.intp]
    day: NDArray[np.datetime64]
    amount: NDArray[np.float64]

    def take(self, chosen: NDArray[np.bool_]) -> _Placed:
        return _Placed(self.place[chosen], self.day[chosen], self.amount[chosen])


def _total(orders: _Placed, size: int) -> NDArray[np.float64]:
    return np.bincount(orders.place, orders.amount, minlength=size).astype(np.float64)


def _among(orders: Orders, customers: NDArray[np.str_]) -> _Placed:
    if not len(customers):
        return _Placed(np.empty(0, np.intp), orders.day[:0], orders.amount[:0])
    place = np.minimum(np.searchsorted(customers, orders.customer), len(customers) - 1)
    known = customers[place] == orders.customer
    return _Placed(place[known], orders.day[known], orders.amount[known])


def _spending(seen: _Placed, size: int, cut_off: np.datetime64, window: int) -> dict[str, NDArray[np.float64]]:
    """Return counts, sums, mean, largest and trend of the purchases in the window."""
    age = ((cut_off - seen.day) / DAY).astype(np.int64)
    features: dict[str, NDArray[np.float64]] = {}
    for days in (window, *(window // part for part in SHORTER)):
        recent = age <= days
        features[f"transactions_{days}d"] = np.bincount(seen.place[recent], minlength=size).astype(np.float64)
        features[f"revenue_{days}d"] = _total(seen.take(recent), size)
    revenue, latest = features[f"revenue_{window}d"], features[f"revenue_{window // SHORTER[0]}d"]
    largest = np.zeros(size)
    np.maximum.at(largest, seen.place, seen.amount)
    features[f"avg_transaction_value_{window}d"] = revenue / features[f"transactions_{window}d"]
    features[f"largest_transaction_{window}d"] = largest
    features[f"revenue_trend_{window}d"] = (2 * latest - revenue) / revenue
    return features


def _rhythm(seen: _Placed, size: int, cut_off: np.datetime64, window: int) -> dict[str, NDArray[np.float64]]:
    """Return recency, days with a purchase, and the gaps between them: NaN before the second such day."""
    code = np.unique(seen.place * (window + 1) + ((cut_off - seen.day) / DAY).astype(np.int64))
    place, age = code // (window + 1), code % (window + 1)
    days = np.bincount(place, minlength=size).astype(np.float64)
    newest, oldest = np.full(size, window), np.zeros(size, dtype=np.int64)
    np.minimum.at(newest, place, age)
    np.maximum.at(oldest, place, age)
    longest = np.zeros(size)
    same = place[1:] == place[:-1]
    np.maximum.at(longest, place[1:][same], np.diff(age)[same])
    several = days > 1
    mean = np.where(several, (oldest - newest) / np.maximum(days - 1, 1), np.nan)
    return {
        # As of the end of the day before the cut-off: 0 for a purchase on that day.
        "days_since_last_transaction": (newest - 1).astype(np.float64),
        f"active_days_{window}d": days,
        f"avg_days_between_orders_{window}d": mean,
        f"longest_gap_{window}d": np.where(several, longest, np.nan),
        f"overdue_{window}d": newest / mean,
    }


def _refunds(refunds: _Placed, size: int, window: int) -> dict[str, NDArray[np.float64]]:
    return {
        f"cancellations_{window}d": np.bincount(refunds.place, minlength=size).astype(np.float64),
        f"refunded_{window}d": -_total(refunds, size),
    }


def _tenure(before: _Placed, size: int, cut_off: np.datetime64, window: int) -> dict[str, NDArray[np.float64]]:
    """Return days since the first purchase ever, capped: a tenure that only grows is new ground on every later day."""
    first = np.zeros(size, dtype=np.int64)
    np.maximum.at(first, before.place, ((cut_off - before.day) / DAY).astype(np.int64))
    return {f"tenure_days_{window}d": np.minimum(first - 1, window).astype(np.float64)}
