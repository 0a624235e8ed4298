"""What identifies a customer is hidden from who may not see it, also where it is quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.access.roles import Principal, Role
from console.explanation_views import describe_rule
from console.use_cases.explanations import CustomerExplanation, explain_membership
from console.web.customer_views import mask_explanation, mask_prediction
from segments.definition import build_segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARKETER, CARE = Principal("m", Role.MARKETER), Principal("c", Role.CARE)
EMAIL = "ann@example.org"
PERSONAL = ("email", "first_name")
RULES = (
    {"==": [{"var": "email"}, "bob@example.org"]},
    {"in": ["@example", {"var": "email"}]},
    {"==": [{"var": "nickname"}, {"var": "first_name"}]},
    {"and": [{"var": "email"}, {">": [{"var": "orders"}, 3]}]},
    {"if": [{"==": [{"var": "email"}, ""]}, True, {"var": "first_name"}]},
)
FACTS = {"email": EMAIL, "first_name": "Annabel", "nickname": "x", "orders": 2.0}


def explain_rules(rules: Sequence[Any], facts: Mapping[str, Any]) -> CustomerExplanation:
    """Return an explanation of rules on facts."""
    segments = [build_segment({"key": "s", "name": "S", "rule": rule}, where="test") for rule in rules]
    return CustomerExplanation("7", [], [], [], facts, [explain_membership(each, facts) for each in segments])


def explain() -> CustomerExplanation:
    """Return an explanation whose rules read personal columns."""
    return explain_rules(RULES, FACTS)


def test_rules_do_not_quote_personal_columns() -> None:
    said = " ".join(map(describe_rule, mask_explanation(explain(), MARKETER, PERSONAL).rules))
    assert EMAIL not in said
    assert "Annabel" not in said


def test_care_sees_them() -> None:
    assert EMAIL in " ".join(map(describe_rule, mask_explanation(explain(), CARE, PERSONAL).rules))


def test_reasons_of_a_prediction_do_not_quote_them() -> None:
    factor = {"feature": "first_name", "value": "Annabel", "text": "is called Annabel", "contribution": 0.1}
    assert "Annabel" not in str(mask_prediction({"risk_factors": [factor]}, MARKETER, PERSONAL))
