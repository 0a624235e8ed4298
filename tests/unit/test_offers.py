"""The next best offer."""

from __future__ import annotations

import numpy as np
import pytest

from campaigns.offers import choose_offer
from tests.builders import campaign, offers, scores


@pytest.mark.parametrize(
    ("allowed", "best", "chosen"),
    [
        ((1, 2, 3), (3,), 3),
        ((1, 2, 3), (8,), 1),
        ((3, 2), (8,), 2),
        ((8,), (1,), 8),
        ((5, 4, 2), (4, 5), 4),
    ],
)
def test_the_best_allowed_offer_is_chosen_and_the_lowest_id_wins_a_tie(
    allowed: tuple[int, ...], best: tuple[int, ...], chosen: int
) -> None:
    found = choose_offer(campaign(offers=allowed), offers(), scores(*best), "t")
    assert found
    assert found.made.offer.id == chosen


def test_the_score_is_that_of_the_chosen_offer_as_a_plain_number() -> None:
    found = choose_offer(campaign(offers=(2,)), offers(), np.linspace(0, 0.7, 8, dtype=np.float32), "t")
    assert found
    assert found.made.score == 0.1
    assert type(found.made.score) is float
