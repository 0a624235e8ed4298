from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.table import FeatureTable
from segments.definition import SHIPPED, build_segment, load_segments
from segments.engine import Activation, EarlierResult, Episode, MembershipState, Transition, Transitions, classify
from segments.errors import ActivationMissingError

NOON = datetime(2011, 6, 1, 12, tzinfo=UTC)
RISK = build_segment(
    {
        "key": "risk",
        "name": "Risk",
        "rule": {">=": [{"var": "p"}, 0.7]},
        "exit_rule": {"<": [{"var": "p"}, 0.6]},
    },
    where="test",
)
RICH = build_segment({"key": "rich", "name": "Rich", "rule": {">": [{"var": "revenue"}, 100]}}, where="test")


def held(*, risk: Episode | None = None, rich: Episode | None = None, seen: bool = True) -> MembershipState:
    members = {key: episode for key, episode in (("risk", risk), ("rich", rich)) if episode}
    return MembershipState(members, {"risk": RISK.version, "rich": RICH.version} if seen else {})


def run(facts: dict[str, list[Any]], held_by: dict[str, MembershipState], **options: Any) -> Transitions:
    """Classify customers named 0, 1, ... under both segments."""
    rows = list(zip(*facts.values(), strict=True))
    table = FeatureTable.from_rows([str(n) for n in range(len(rows))], list(facts), rows)
    mode = options.get("mode", "silent")
    activations = {each.key: Activation(each.version, NOON, mode) for each in (RISK, RICH)}
    more = {name: options.get(name, {}) for name in ("joined_at", "unavailable")}
    return classify([RISK, RICH], table, held_by, activations=activations, **more)


def test_entering_begins_the_next_episode() -> None:
    known = {"0": held(), "1": held(risk=Episode(3, is_member=False))}
    changes = run({"p": [0.7, 0.9]}, known).changes
    assert changes == (
        Transition("0", "risk", "entered", 1, suppressed=False),
        Transition("1", "risk", "entered", 4, suppressed=False),
    )


def test_leaving_ends_the_same_episode() -> None:
    changes = run({"p": [0.1]}, {"0": held(risk=Episode(3, is_member=True))}).changes
    assert changes == (Transition("0", "risk", "exited", 3, suppressed=False),)


@pytest.mark.parametrize(("p", "kinds"), [(0.59, ["exited"]), (0.6, []), (0.65, []), (0.7, []), (None, ["exited"])])
def test_a_member_leaves_only_when_the_exit_rule_holds(p: float | None, kinds: list[str]) -> None:
    changes = run({"p": [p]}, {"0": held(risk=Episode(1, is_member=True))}).changes
    assert [change.kind for change in changes] == kinds


def test_a_customer_between_the_rules_who_is_no_member_does_not_enter() -> None:
    assert run({"p": [0.65]}, {"0": held()}).changes == ()


def test_without_an_exit_rule_a_member_leaves_when_the_rule_fails() -> None:
    changes = run({"revenue": [100]}, {"0": held(rich=Episode(1, is_member=True))}).changes
    assert [(change.segment, change.kind) for change in changes] == [("rich", "exited")]


def test_a_member_whom_both_rules_hold_for_stays() -> None:
    overlapping = build_segment(
        {"key": "risk", "name": "R", "rule": {">": [{"var": "p"}, 0.5]}, "exit_rule": {"<": [{"var": "p"}, 0.9]}},
        where="test",
    )
    table = FeatureTable.from_rows(["0"], ["p"], [[0.7]])
    known = {"0": MembershipState({"risk": Episode(1, is_member=True)}, {"risk": overlapping.version})}
    activations = {"risk": Activation(overlapping.version, NOON)}
    assert classify([overlapping], table, known, activations=activations, joined_at={}).changes == ()


@pytest.mark.parametrize("kind", ["entered", "exited"])
def test_the_first_evaluation_under_a_version_is_silent(kind: str) -> None:
    known = {"0": held(risk=Episode(1, is_member=kind == "exited"), seen=False)}
    (change,) = run({"p": [0.9 if kind == "entered" else 0.1]}, known).changes
    assert (change.kind, change.suppressed, change.suppressed_reason) == (kind, True, "first_evaluation")


def test_a_customer_the_ledger_never_saw_is_silent() -> None:
    (change,) = run({"p": [0.9]}, {}).changes
    assert (change.episode, change.suppressed) == (1, True)


def test_the_operator_may_ask_for_the_first_evaluation_to_fire() -> None:
    (change,) = run({"p": [0.9]}, {}, mode="emit").changes
    assert (change.suppressed, change.suppressed_reason) == (False, None)


@pytest.mark.parametrize(("seconds", "suppressed"), [(-1, True), (0, False), (1, False), (None, True)])
def test_a_customer_who_joined_after_the_activation_is_not_silent(seconds: float | None, *, suppressed: bool) -> None:
    joined = None if seconds is None else NOON + timedelta(seconds=seconds)
    (change,) = run({"p": [0.9]}, {}, joined_at={"0": joined}).changes
    assert change.suppressed is suppressed


def test_another_version_in_the_roster_is_a_first_evaluation() -> None:
    known = {"0": MembershipState({}, {"risk": "another", "rich": RICH.version})}
    changes = run({"p": [0.9], "revenue": [500]}, known).changes
    assert [(change.segment, change.suppressed) for change in changes] == [("risk", True), ("rich", False)]


EARLIER = ({"risk": RISK.version, "rich": RICH.version},)
REPLACED = {"risk": "another", "rich": RICH.version}


def restored(episode: Episode | None = None) -> dict[str, MembershipState]:
    """A customer evaluated under these rules, then under another version of `risk`, which is taken back now."""
    return {"0": MembershipState({"risk": episode} if episode else {}, REPLACED, EARLIER)}


@pytest.mark.parametrize("mode", ["silent", "emit"])
def test_an_entry_that_the_restored_version_did_not_have_is_real(mode: str) -> None:
    (change,) = run({"p": [0.9]}, restored(), mode=mode).changes
    assert (change.kind, change.episode, change.suppressed) == ("entered", 1, False)


@pytest.mark.parametrize("mode", ["silent", "emit"])
def test_an_entry_that_gives_back_what_the_restored_version_had_is_suppressed(mode: str) -> None:
    """Also where first evaluations may fire, and for a customer who joined after the activation."""
    was_member = Episode(1, is_member=False, member_under=(RISK.version,))
    joined = {"0": NOON + timedelta(days=1)}
    (change,) = run({"p": [0.9]}, restored(was_member), mode=mode, joined_at=joined).changes
    assert (change.kind, change.episode, change.suppressed) == ("entered", 2, True)


def test_between_the_rules_a_restored_version_goes_on_from_its_own_last_result() -> None:
    was_member = Episode(1, is_member=False, member_under=(RISK.version,))
    assert [each.kind for each in run({"p": [0.65]}, restored(was_member)).changes] == ["entered"]
    other_let_in = Episode(1, is_member=True)
    assert [each.kind for each in run({"p": [0.65]}, restored(other_let_in)).changes] == ["exited"]


@pytest.mark.parametrize(("suppressed", "fires"), [(True, [2]), (False, [])])
def test_a_member_enters_a_restored_version_unless_the_entry_was_announced(suppressed: bool, fires: list[int]) -> None:
    other_let_in = Episode(1, is_member=True, suppressed=suppressed)
    assert [each.episode for each in run({"p": [0.9]}, restored(other_let_in)).changes] == fires


def test_a_customer_who_joined_later_and_was_evaluated_under_another_version_is_silent() -> None:
    """A rollback would contact all who joined meanwhile."""
    known = {"0": MembershipState({}, REPLACED)}
    (change,) = run({"p": [0.9]}, known, joined_at={"0": NOON + timedelta(days=1)}).changes
    assert change.suppressed


def test_results_under_replaced_versions_are_kept_for_members_alone() -> None:
    known = {
        "0": MembershipState({"risk": Episode(1, is_member=True, member_under=("older",))}, REPLACED),
        "1": MembershipState({"risk": Episode(1, is_member=False, member_under=("another", "older"))}, REPLACED),
        "2": MembershipState({"risk": Episode(1, is_member=False)}, REPLACED),
        "3": MembershipState({"gone": Episode(1, is_member=True)}, {**REPLACED, "gone": "v"}),
        "4": held(risk=Episode(1, is_member=True)),
    }
    assert run({"p": [0.9] * 5, "revenue": [0] * 5}, known).earlier_results == (
        EarlierResult("0", "risk", ("another", "older")),
        EarlierResult("1", "risk", ("older",)),
        EarlierResult("3", "gone", ("v",)),
    )


def test_whoever_was_evaluated_under_other_versions_must_be_recorded() -> None:
    known = {
        "0": held(),
        "1": held(seen=False),
        "2": MembershipState({}, {"risk": RISK.version, "rich": RICH.version, "gone": "x"}),
    }
    outcome = run({"p": [0.1] * 4, "revenue": [5] * 4}, known)
    assert outcome.versions_changed == ("1", "2", "3")
    assert outcome.evaluated_versions == {"risk": RISK.version, "rich": RICH.version}


def test_changes_come_by_customer_and_then_by_segment() -> None:
    changes = run({"p": [0.9, 0.9], "revenue": [500, 500]}, {}).changes
    assert [(change.customer_id, change.segment) for change in changes] == [
        ("0", "risk"), ("0", "rich"), ("1", "risk"), ("1", "rich")
    ]  # fmt: skip


def test_who_is_a_member_now_is_told_by_segment() -> None:
    outcome = run({"p": [0.9, 0.65, 0.1]}, {"1": held(risk=Episode(1, is_member=True))})
    assert outcome.members["risk"].tolist() == [True, True, False]


@pytest.mark.parametrize("is_member", [True, False])
@pytest.mark.parametrize("unavailable", [{}, {"p": ("score",)}], ids=["missing column", "missing source"])
def test_a_segment_whose_fact_is_unavailable_is_frozen(
    unavailable: dict[str, tuple[str, ...]], *, is_member: bool
) -> None:
    """Neither entry nor exit rule is evaluated, no version is recorded, and other segments go on."""
    facts: dict[str, list[Any]] = {"revenue": [500]} | ({"p": [0.1 if is_member else 0.9]} if unavailable else {})
    known = {"0": held(risk=Episode(1, is_member=is_member), seen=False)}
    outcome = run(facts, known, mode="emit", unavailable=unavailable)
    assert [(change.segment, change.kind) for change in outcome.changes] == [("rich", "entered")]
    assert outcome.members["risk"].tolist() == [is_member]
    assert outcome.frozen == {"risk": ("score",) if unavailable else ("p",)}
    assert outcome.versions_changed == ()
    assert outcome.evaluated_versions == {"rich": RICH.version}


def test_a_default_does_not_stand_in_for_a_missing_column() -> None:
    """It is for a null; nor does a nested name make another fact of the column."""
    rule = {"and": [{"<": [{"var": ["score", 0]}, 1]}, {"==": [{"var": "address.city"}, None]}]}
    reading = build_segment({"key": "risk", "name": "R", "rule": rule}, where="test")
    activations = {"risk": Activation(reading.version, NOON, "emit")}
    table = FeatureTable.from_rows(["0"], ["other"], [[1]])
    outcome = classify([reading], table, {}, activations=activations, joined_at={})
    assert (outcome.changes, outcome.frozen) == ((), {"risk": ("address", "score")})


@pytest.mark.parametrize(
    ("known", "remaining", "frozen"),
    [
        ({"kpi", "kpi.x"}, "kpi", {"risk": ("kpi.x",)}),
        ({"kpi.x"}, "kpi", {"risk": ("kpi.x",)}),
        ({"kpi", "kpi.x"}, "kpi.x", {}),
        ({"kpi"}, "kpi", {}),
    ],
)
def test_a_field_does_not_stand_in_for_a_column_that_disappears(
    known: set[str], remaining: str, frozen: dict[str, tuple[str, ...]]
) -> None:
    rule = {"!": {"var": "kpi.x"}}
    reading = build_segment({"key": "risk", "name": "R", "rule": rule, "exit_rule": rule}, where="test").pin(known)
    activations = {"risk": Activation(reading.version, NOON, "emit")}
    table = FeatureTable.from_rows(["0"], [remaining], [[None]])
    assert classify([reading], table, {}, activations=activations, joined_at={}).frozen == frozen


def test_a_membership_of_a_segment_no_longer_defined_is_left_alone() -> None:
    known = {"0": MembershipState({"gone": Episode(2, is_member=True)}, {})}
    assert run({"p": [0.1]}, known).changes == ()


@pytest.mark.parametrize("activations", [{}, {"risk": Activation("another", NOON)}])
def test_a_segment_without_an_activation_is_refused(activations: dict[str, Activation]) -> None:
    table = FeatureTable.from_rows(["0"], ["p"], [[0.9]])
    with pytest.raises(ActivationMissingError, match=f"'risk' version {RISK.version} has no activation"):
        classify([RISK], table, {}, activations=activations, joined_at={})


def test_an_empty_batch_has_no_transitions() -> None:
    assert run({"p": []}, {}).changes == ()


@pytest.mark.parametrize(
    ("facts", "segments"),
    [
        ({"churn_probability": 0.7}, {"high-churn-risk"}),
        ({"churn_probability": 0.69}, {"medium-churn-risk"}),
        ({"churn_probability": 0.39}, set()),
        ({"churn_probability": None}, set()),
        ({"rfm_monetary": 5, "rfm_frequency": 4, "rfm_recency": 5}, {"vip-customers"}),
        ({"rfm_segment": "At Risk"}, {"valued-and-slipping"}),
        ({"rfm_monetary": 4, "rfm_recency": 2}, {"valued-and-slipping"}),
        ({"cancellation_requests_30d": 1, "sentiment_score_30d": 0.5}, {"unhappy-customers"}),
        ({"cancellation_requests_30d": 0, "sentiment_score_30d": -0.5}, {"unhappy-customers"}),
        ({"cancellation_requests_30d": 0, "sentiment_score_30d": None}, set()),
        ({"cancellation_requests_30d": 0, "cancellation_requests": 1, "sentiment_score": -0.5}, set()),
        ({}, set()),
    ],
)
def test_the_shipped_segments_take_whom_they_describe(facts: dict[str, Any], segments: set[str]) -> None:
    assert {segment.key for segment in load_segments(SHIPPED) if segment.rule.holds(facts)} == segments


OLD_RISK = build_segment({"key": "risk", "name": "Risk", "rule": {">": [{"var": "old"}, 5]}}, where="test")
UNDER_OLD = {"risk": OLD_RISK.version, "rich": RICH.version}


def run_new(p: float, old: float | None, episode: Episode | None = None, *, known: bool = True) -> bool:
    """Return whether the first evaluation under an edited rule, with mode `new`, is suppressed."""
    facts = {"p": p} if old is None else {"p": p, "old": old}
    table = FeatureTable.from_rows(["0"], list(facts), [list(facts.values())])
    others = {OLD_RISK.version: OLD_RISK} if known else {}
    activations = {"risk": Activation(RISK.version, NOON, "new", others)}
    state = MembershipState({"risk": episode} if episode else {}, UNDER_OLD)
    (change,) = classify([RISK], table, {"0": state}, activations=activations, joined_at={}).changes
    return change.suppressed


def test_mode_new_fires_what_the_version_before_would_have_fired_too() -> None:
    """And nothing else; nor where that version is unknown, or one of its facts is missing."""
    assert not run_new(0.9, old=6)
    assert run_new(0.9, old=5)
    assert run_new(0.9, old=6, known=False)
    assert run_new(0.9, old=None)


def test_mode_new_fires_an_exit_that_the_version_before_would_have_made_too() -> None:
    member = Episode(1, is_member=True)
    assert not run_new(0.1, old=5, episode=member)
    assert run_new(0.1, old=6, episode=member)


def test_a_reevaluation_leaves_segments_alone_that_have_not_changed() -> None:
    """A quiet customer whom time has brought into one of them enters at the next event."""
    table = FeatureTable.from_rows(["0", "1"], ["p", "revenue"], [[0.9, 500], [0.9, 500]])
    activations = {each.key: Activation(each.version, NOON) for each in (RISK, RICH)}
    known = {"0": MembershipState({}, UNDER_OLD), "1": held()}
    found = classify([RISK, RICH], table, known, activations=activations, joined_at={}, reevaluated={"0", "1"})
    assert found.changes == (Transition("0", "risk", "entered", 1, True, "first_evaluation"),)
    assert found.versions_changed == ("0",)
    assert found.members["rich"].tolist() == [False, False]
