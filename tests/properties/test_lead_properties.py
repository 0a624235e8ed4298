"""Leads: no redelivery and no batching changes what is known of them, or raises an alert twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_leads import cool, fold, said, update

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = {
    "hot": update,
    "warm": cool,
    "lost": lambda event_id, minute: said("lost", event_id, minute),
    "judged": lambda event_id, minute: said("wrong_score", event_id, minute, by="sam", reason="no", value=10),
}
stories = st.lists(st.sampled_from(["hot", "warm", "hot", "warm", "judged", "lost"]), min_size=1, max_size=8)


def tell(story: Sequence[str]) -> list[dict[str, Any]]:
    return [KINDS[kind](f"e{place}", place) for place, kind in enumerate(story)]


def find_crossings(story: Sequence[str]) -> list[str]:
    """Return the events at which the lead becomes hot while it is open, one after the other."""
    found, is_hot = [], False
    for place, kind in enumerate(story):
        if kind == "lost":
            break
        if kind == "hot" and not is_hot:
            found.append(f"e{place}")
        is_hot = is_hot if kind == "judged" else kind == "hot"
    return found


def causes(alerts: Sequence[Any]) -> list[str]:
    return [dict(each.headers)["ce_causationid"].decode() for each in alerts]


@given(stories, st.data())
def test_any_batching_and_redelivery_raises_each_alert_once(story: list[str], data: st.DataObject) -> None:
    """Of events that arrive in order, and again: each batch may begin anew at any event before it."""
    events = tell(story)
    batches, done = [], 0
    while done < len(events):
        begin = data.draw(st.integers(0, done))
        done = data.draw(st.integers(done + 1, len(events)))
        batches.append(events[begin:done])
    once, folded = fold(events), fold(*batches, data.draw(st.permutations(events)))
    assert causes(folded.alerts) == find_crossings(story)
    assert (folded.states, folded.records, folded.event_ids) == (once.states, once.records, once.event_ids)


@given(stories, st.data())
def test_any_order_ends_in_the_state_of_the_latest_event(story: list[str], data: st.DataObject) -> None:
    events = tell(story)
    once = fold(events).states["l1"]
    late = fold(*([each] for each in data.draw(st.permutations(events)))).states["l1"]
    assert (late.score, late.tier, late.updated_at, late.outcome) == (
        once.score,
        once.tier,
        once.updated_at,
        once.outcome,
    )
