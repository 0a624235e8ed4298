"""The voice of the customer on the airline tweets: what is discovered in the complaints that the taxonomy misses.

The tweets carry the reason of each complaint, as a person gave it. A discovered concern is pure if its messages have
the same reason; the baseline is the share of the most frequent reason among the complaints that are clustered.
"""

from __future__ import annotations

import csv
import gzip
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.concern_trends import follow_concerns
from intelligence.conversations import HeardMessage
from intelligence.discovery import discover_concerns
from models.sentiment import read_message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intelligence.discovery import DiscoveredConcern

AT = datetime(2015, 2, 16, tzinfo=UTC)
RUNS, WEEKS, CONVERSATIONS = 200, 16, 500
RATES = {"price": 0.1, "delivery": 0.2, "quality": 0.05, "service": 0.1, "refund": 0.05, "website": 0.02}
UNCLEAR = "Can't Tell"


def measure(data: Path) -> dict[str, Any]:
    """Return the purity of the concerns that are discovered, and those of them that two runs agree on."""
    rows = _read(data / "airline_tweets.csv.gz")
    messages = [
        HeardMessage((name, str(place)), place, AT, text, bool(read.concerns), read.sentiment)
        for place, (name, text, _) in enumerate(rows)
        for read in [read_message(text)]
    ]
    began = time.process_time()
    found = discover_concerns(messages, AT)
    seconds = time.process_time() - began
    reasons = {message.key: reason for message, (_, _, reason) in zip(messages, rows, strict=True)}
    open_ones = [reasons[each.key] for each in messages if not each.covered and reasons[each.key]]
    again = discover_concerns(messages, AT, seed=1)
    known = {each.id: each.words for each in found}
    kept = discover_concerns(messages[: len(messages) * 9 // 10], AT, known, seed=2)
    return {
        "messages": len(messages),
        "without_concern": sum(not each.covered for each in messages),
        "concerns": len(found),
        "found_by_another_seed": _agreement(found, again),
        "ids_kept_with_other_seed_and_messages": round(sum(each.id in known for each in kept) / max(len(kept), 1), 3),
        "purity": _purity(found, reasons),
        "purity_baseline": round(Counter(open_ones).most_common(1)[0][1] / len(open_ones), 3),
        "cpu_seconds": round(seconds, 1),
        "weeks_with_a_false_alert": _simulate_alerts(1.0),
        "weeks_with_a_false_alert_if_rates_vary": _simulate_alerts(1.0, correlation=0.005),
        "doubled_rates_found": _simulate_alerts(2.0),
        "found": [_describe(each, reasons) for each in found],
    }


def _simulate_alerts(factor: float, correlation: float = 0.0) -> float:
    """Return the share of last weeks with an alert, of concerns with constant rates; see RATES.

    Args:
        factor: by which the rate of one concern is multiplied in the last week.
        correlation: of two conversations of a week; above 0 the rate of each week is drawn from a beta distribution.
    """
    random, alerts = np.random.default_rng(0), 0
    weeks = [AT.date() + timedelta(weeks=week) for week in range(WEEKS)]
    for _ in range(RUNS):
        totals = random.poisson(CONVERSATIONS, WEEKS) + 1
        named = {}
        for concern, rate in RATES.items():
            rates = np.full(WEEKS, rate)
            rates[-1] *= factor if concern == next(iter(RATES)) else 1.0
            if correlation:
                rates = random.beta(rates * (1 / correlation - 1), (1 - rates) * (1 / correlation - 1))
            named[concern] = dict(zip(weeks, random.binomial(totals, rates).tolist(), strict=True))
        found = follow_concerns(named, dict(zip(weeks, totals.tolist(), strict=True)), weeks[-1], 1)
        alerts += any(each.is_alert for each in found)
    return round(alerts / RUNS, 3)


def _read(path: Path) -> list[tuple[str, str, str]]:
    """Return author, text and reason of each distinct text; no reason where a person could not tell."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = {row["text"]: (row["name"], row["text"], row["negativereason"]) for row in csv.DictReader(file)}
    return [(name, text, "" if reason == UNCLEAR else reason) for name, text, reason in rows.values()]


def _purity(found: Sequence[DiscoveredConcern], reasons: dict[tuple[str, str], str]) -> float:
    pure = whole = 0
    for each in found:
        counted = Counter(reasons[key] for key in each.members if reasons[key])
        pure += max(counted.values(), default=0)
        whole += counted.total()
    return round(pure / max(whole, 1), 3)


def _agreement(found: Sequence[DiscoveredConcern], again: Sequence[DiscoveredConcern]) -> float:
    """Return the share of concerns of which half of the messages are in one concern of another seed."""
    same = sum(any(2 * len(one.members & two.members) >= len(one.members) for two in again) for one in found)
    return round(same / max(len(found), 1), 3)


def _describe(concern: DiscoveredConcern, reasons: dict[tuple[str, str], str]) -> dict[str, Any]:
    counted = Counter(reasons[key] for key in concern.members if reasons[key])
    reason, count = counted.most_common(1)[0] if counted else ("", 0)
    return {
        "id": concern.id,
        "words": list(concern.words),
        "messages": len(concern.members),
        "reason": reason,
        "share": round(count / max(counted.total(), 1), 3),
    }
