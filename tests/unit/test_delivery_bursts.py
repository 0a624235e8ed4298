"""Bursts of bounces and opt-outs of a mail domain."""

from __future__ import annotations

import pytest

from delivery.bursts import Burst, DomainCounts, find_bursts
from delivery.config import Alarm

ALARM = Alarm(least=10, percent=5)


@pytest.mark.parametrize(
    ("counts", "bursts"),
    [
        (DomainCounts("a", 100, 9, 9), []),
        (DomainCounts("a", 100, 10, 0), [Burst("bounced", "a", 10, 100)]),
        (DomainCounts("a", 200, 10, 0), [Burst("bounced", "a", 10, 200)]),
        (DomainCounts("a", 201, 10, 0), []),
        (DomainCounts("a", 0, 0, 10), [Burst("unsubscribed", "a", 10, 0)]),
    ],
)
def test_a_burst_is_many_and_a_large_share(counts: DomainCounts, bursts: list[Burst]) -> None:
    assert find_bursts([counts], ALARM) == bursts


def test_each_domain_and_kind_is_a_burst_of_its_own() -> None:
    counts = [DomainCounts("b", 20, 20, 20), DomainCounts("a", 20, 20, 0)]
    assert [(each.domain, each.kind) for each in find_bursts(counts, ALARM)] == [
        ("a", "bounced"),
        ("b", "bounced"),
        ("b", "unsubscribed"),
    ]
