"""Facts in groups, with names that people read."""

from __future__ import annotations

from console.fact_groups import describe_name, group_facts, pick_numeric


def test_facts_are_grouped_by_what_they_are_about() -> None:
    facts = {"churn_probability": 0.5, "total_revenue": 3.0, "message_count": 1.0, "email": "x", "cluster": None}
    groups = {name: [each.name for each in shown] for name, shown in group_facts(facts, {"email"})}
    assert groups == {
        "Scores": ["churn_probability"],
        "Purchases": ["total_revenue"],
        "Messages": ["message_count"],
        "Person": ["email"],
        "Others": ["cluster"],
    }


def test_names_are_words() -> None:
    assert [describe_name(each) for each in ("rfm_recency", "predicted_ltv", "_")] == [
        "RFM recency",
        "Predicted lifetime value",
        "_",
    ]


def test_only_numbers_that_something_reads_can_be_changed() -> None:
    facts = {"total_revenue": 3.0, "email_consent": True, "segment": "x", "unread": 1.0}
    assert [each.name for each in pick_numeric(facts, {"total_revenue", "email_consent", "segment", "absent"})] == [
        "total_revenue"
    ]
