from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from campaigns.consent import EVERY_CHANNEL, ConsentChange
from campaigns.decide import Outcome
from campaigns.guardrails import Reason
from campaigns.records import DecisionRecord
from console.explanation_views import describe_consent_change, describe_decision, describe_rule, headline, pick_examples
from console.use_cases.explanations import explain_decision, explain_membership
from segments.definition import build_segment
from tests.builders import AS_OF, segment

LAPSING = segment("lapsing", {">": [{"var": "days_since_last_transaction"}, 60]})
RICH_AND_LAPSING = segment(
    "rich",
    {"and": [{">": [{"var": "days_since_last_transaction"}, 60]}, {">=": [{"var": "total_revenue"}, 20_000]}]},
)


def recorded(**changes: Any) -> DecisionRecord:
    """A decision of win-back that fired because the customer entered `lapsing`."""
    fired = DecisionRecord(
        campaign="win-back",
        segment="lapsing",
        occasion="1",
        outcome=Outcome.FIRED,
        reason=Reason.ENTERED_SEGMENT,
        detail="entered_segment: lapsing",
        as_of=AS_OF,
        facts={"days_since_last_transaction": 90.0},
        versions={},
        event_id="e1",
    )
    return replace(fired, **changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "2011-06-01 win-back: contacted, entered lapsing"),
        ({"reason": Reason.LEFT_SEGMENT}, "contacted, left lapsing"),
        ({"reason": Reason.EVENT_OCCURRED}, "contacted, event e1 of a member of lapsing"),
        ({"reason": Reason.LAUNCHED}, "contacted, launched by the operator"),
        ({"reason": "moon_was_full"}, "contacted, moon was full"),
        ({"outcome": Outcome.CONTROL, "detail": "in the 10 % control group"}, "not contacted, in the 10 % control"),
        ({"outcome": Outcome.WITHHELD, "detail": "no consent for any of: email"}, "withheld, no consent for any of"),
        ({"failure": "Message size too large"}, "could not be published: Message size too large"),
    ],
)
def test_a_decision_is_told_with_its_reason(changes: dict[str, Any], told: str) -> None:
    """And with the facts that the segment's rule looked at."""
    explained = describe_decision(explain_decision(recorded(**changes), {"lapsing": LAPSING}))
    assert told in explained
    assert explained.endswith("Lapsing (holds): days_since_last_transaction 90 is > 60.")


def test_a_decision_of_a_segment_that_is_gone_is_told_without_its_rule() -> None:
    """The ledger remembers longer than the definitions."""
    assert describe_decision(explain_decision(recorded(), {})) == "2011-06-01 win-back: contacted, entered lapsing"


def test_a_rule_that_reads_other_facts_by_now_is_not_explained_by_those_recorded() -> None:
    """Its facts were not recorded: they would all be told as null."""
    edited = segment("lapsing", {">": [{"var": "tenure_days"}, 60]})
    explained = describe_decision(explain_decision(recorded(versions={"segment": "c0ffee"}), {"lapsing": edited}))
    assert explained.endswith(f"Lapsing: decided by version c0ffee of its rule, which is now {edited.version}.")


def test_a_rule_with_another_threshold_by_now_is_explained_by_the_facts_recorded() -> None:
    """They are the ones that it reads."""
    edited = segment("lapsing", {">": [{"var": "days_since_last_transaction"}, 100]})
    explained = describe_decision(explain_decision(recorded(versions={"segment": "c0ffee"}), {"lapsing": edited}))
    assert explained.endswith("Lapsing (does not hold): days_since_last_transaction 90 is not > 100.")


def test_a_rule_that_does_not_hold_names_its_nearest_miss() -> None:
    """Every comparison is told with the customer's own figure."""
    facts = {"days_since_last_transaction": 90.0, "total_revenue": 19_500.0}
    told = describe_rule(explain_membership(RICH_AND_LAPSING, facts))
    assert "does not hold, nearest miss total_revenue" in told
    assert "days_since_last_transaction 90 is > 60" in told
    assert "total_revenue 19,500 is not >= " in told


STAYING = build_segment(
    {
        "key": "lapsing",
        "name": "Lapsing",
        "rule": {">": [{"var": "days_since_last_transaction"}, 60]},
        "exit_rule": {"<": [{"var": "days_since_last_transaction"}, 30]},
    },
    where="test",
)


@pytest.mark.parametrize(
    ("days", "is_member", "explanation"),
    [
        (45.0, True, " Remains a member until the exit rule holds: days_since_last_transaction 45 is not < 30."),
        (45.0, False, ""),
        (20.0, True, ""),
        (90.0, True, ""),
    ],
    ids=["stays", "no member", "leaves", "in by the rule"],
)
def test_an_exit_rule_that_keeps_a_member_inside_is_explained(days: float, is_member: bool, explanation: str) -> None:
    """Otherwise a member whose rule does not hold looks like a mistake."""
    facts = {"days_since_last_transaction": days}
    explained = describe_rule(explain_membership(STAYING, facts, is_member=is_member))
    assert explained.partition(" 60.")[2] == explanation


@pytest.mark.parametrize(
    ("facts", "versions", "lines"),
    [
        (
            {"decision_basis": "rules"},
            {"churn": "churn-1"},
            ["churn was scored by a rule: churn churn-1 served, but gave no usable score for this customer"],
        ),
        (
            {"offer_basis": "rules", "decision_basis": "model"},
            {"churn": "churn-1", "nbo": "nbo-2"},
            ["the offer was chosen by a rule: nbo nbo-2 served, but gave no usable score for this customer"],
        ),
        ({"decision_basis": "rules"}, {"churn": "rules"}, []),
        ({"decision_basis": "model"}, {"churn": "churn-1"}, []),
        ({}, {}, []),
    ],
)
def test_a_rule_that_replaced_a_model_is_explained(
    facts: dict[str, str], versions: dict[str, str], lines: list[str]
) -> None:
    """Only where a model served: rules that decide for want of a model are no exception."""
    record = recorded(facts={"days_since_last_transaction": 90.0, **facts}, versions=versions)
    assert describe_decision(explain_decision(record, {})).split("\n    ")[1:] == lines


def test_a_missing_fact_is_told_as_null() -> None:
    """It is what the rule sees."""
    assert "days_since_last_transaction null is not > 60" in describe_rule(explain_membership(LAPSING, {}))


def test_a_negated_comparison_is_told_as_it_stands() -> None:
    """Not as the rule wants it."""
    calm = segment("calm", {"!": {"<": [{"var": "sentiment_score"}, 0]}})
    assert "(holds): sentiment_score 0.5 is not < 0" in describe_rule(
        explain_membership(calm, {"sentiment_score": 0.5})
    )
    assert "(does not hold): sentiment_score -0.5 is < 0" in describe_rule(
        explain_membership(calm, {"sentiment_score": -0.5})
    )


@pytest.mark.parametrize(("rule", "word"), [(None, "always"), ({}, "always"), (True, "always"), (False, "never")])
def test_a_rule_without_facts_is_told_as_such(rule: Any, word: str) -> None:
    """Everybody is a member, or nobody."""
    assert (
        describe_rule(explain_membership(segment("all", rule), {}))
        == f"All: the rule asks for no fact and {word} holds."
    )


def test_a_fact_that_stands_for_itself_is_told_with_its_value() -> None:
    """As truth values do."""
    rule = {"and": [{"var": "email_consent"}, {"!": {"var": "sms_consent"}}]}
    told = describe_rule(explain_membership(segment("mailable", rule), {"email_consent": True}))
    assert told == "Mailable (holds): email_consent is True; sms_consent is null."


def test_the_headline_leaves_out_what_is_not_known() -> None:
    """Large numbers are written out."""
    facts = {"total_revenue": 1_234_567.8, "churn_probability": 0.123456, "rfm_segment": "Champions", "other": 1}
    assert headline(facts) == "churn_probability 0.1235, total_revenue 1,234,568, rfm_segment Champions"


def test_examples_are_one_of_each_fate_and_of_different_campaigns() -> None:
    """A fate that did not occur is left out."""
    found = [
        ("ann", recorded()),
        ("bob", recorded(outcome=Outcome.WITHHELD)),
        ("cy", recorded(outcome=Outcome.WITHHELD, campaign="promotion")),
    ]
    assert [customer for customer, _ in pick_examples(found)] == ["ann", "cy"]
    assert pick_examples([]) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "2011-06-01 revoked consent for email: unsubscribed, event e1"),
        ({"channel": EVERY_CHANNEL}, "2011-06-01 revoked consent for every channel: unsubscribed, event e1"),
        (
            {"granted": True, "source": "resubscribed"},
            "2011-06-01 gave consent again for email: resubscribed, event e1",
        ),
    ],
)
def test_a_change_of_consent_is_shown_with_its_source(changes: dict[str, Any], told: str) -> None:
    change = ConsentChange("ann", "e1", "email", granted=False, changed_at=AS_OF, source="unsubscribed")
    assert describe_consent_change(replace(change, **changes)) == told
