"""Rules and messages that read facts which no source supplies: refused with file, place, fact and nearest names."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from campaigns.definition import Campaign, DefinitionSet, load_definitions
from campaigns.errors import CampaignDefinitionError
from campaigns.unknown_facts import refuse_unknown_facts
from console.use_cases.launches import check_launch_facts
from features.signals import as_columns
from models.facts import SCORE_FACTS
from models.rfm import RFM_SOURCES
from segments.definition import build_segment
from streams.known_facts import check_facts
from streams.settings import load_settings
from tests.builders import AS_OF, campaign

KNOWN = {"score", "plan", "flag", "first_name", "churn_probability"}


def refuse(rule: Any = None, exit_rule: Any = None, message: str = "Hello") -> None:
    content = {"key": "x", "name": "X", "rule": rule, "exit_rule": exit_rule}
    words = {**campaign().model_dump(), "message": message}
    written = Campaign.model_validate(words, context={"file": "campaigns/y.json"})
    refuse_unknown_facts([build_segment(content, where="segments/x.json")], [written], KNOWN, "customer_features_view")


@pytest.mark.parametrize(
    ("rule", "fact", "nearest"),
    [
        ({"<": [{"var": "scroe"}, 0.2]}, "scroe", "; did you mean 'score'?"),
        ({"!=": [{"var": "plna"}, "gold"]}, "plna", "; did you mean 'plan'?"),
        ({"!": {"var": "flga"}}, "flga", "; did you mean 'flag'?"),
        ({"<": [{"var": ["scroe", 1]}, 0.2]}, "scroe", "; did you mean 'score'?"),
        ({"==": [{"var": "address.city"}, "Köln"]}, "address", ""),
        ({"if": [{"var": "flag"}, {"var": "Flag"}, False]}, "Flag", "; did you mean 'flag'?"),
    ],
)
def test_a_rule_on_an_unknown_fact_is_refused(rule: Any, fact: str, nearest: str) -> None:
    """Each of the first three would admit every customer: the fact is null, and null is less than .2."""
    with pytest.raises(CampaignDefinitionError) as refused:
        refuse(rule)
    supplied = "neither the warehouse view customer_features_view nor Holdfast supplies"
    assert str(refused.value) == f"segments/x.json: $.rule reads {fact!r}, which {supplied}{nearest}"


def test_an_exit_rule_on_an_unknown_fact_is_refused() -> None:
    with pytest.raises(CampaignDefinitionError, match=r"^segments/x\.json: \$\.exit_rule reads 'scroe'"):
        refuse(exit_rule={"<": [{"var": "scroe"}, 0.2]})


@pytest.mark.parametrize("message", ["Dear {{ frist_name }}", "{% if frist_name %}Dear{% endif %} customer"])
def test_a_message_with_an_unknown_fact_is_refused(message: str) -> None:
    words = r"^campaigns/y\.json: \$\.message reads 'frist_name', .*; did you mean 'first_name'\?$"
    with pytest.raises(CampaignDefinitionError, match=words):
        refuse(message=message)


def test_every_problem_is_named_in_one_error() -> None:
    with pytest.raises(CampaignDefinitionError) as refused:
        refuse({"<": [{"var": "scroe"}, {"var": "plna"}]}, {"var": "flga"}, "Dear {{ frist_name }}")
    assert all(fact in str(refused.value) for fact in ("'scroe'", "'plna'", "'flga'", "'frist_name'"))


def test_known_facts_and_the_offer_are_accepted() -> None:
    refuse({"<": [{"var": "score"}, 1]}, {"var": "flag"}, "{{ first_name }}: {{ offer.name }} {{ offer_basis }}")


def test_the_offer_is_no_fact_of_a_rule() -> None:
    """It is chosen after the rules are evaluated."""
    with pytest.raises(CampaignDefinitionError, match="reads 'offer_basis'"):
        refuse({"==": [{"var": "offer_basis"}, "model"]})


def test_the_shipped_definitions_read_no_column_that_a_view_may_lack() -> None:
    """So a worker with them starts on any view that RFM can read."""
    shipped = load_definitions(None)
    known = SCORE_FACTS | set(RFM_SOURCES["rfm_segment"]) | set(as_columns({}, (), AS_OF))
    refuse_unknown_facts(shipped.segments, shipped.campaigns, known, "customer_features_view")


def test_a_channel_without_its_consent_column_is_logged() -> None:
    """It is no error: a view may know fewer channels than the shipped campaigns use."""
    definitions = DefinitionSet((), (campaign(),), {}, {})
    with capture_logs() as logs:
        check_facts(definitions, {"email_consent"}, "customer_features_view")
    assert [(each["event"], each["channels"]) for each in logs] == [("consent_columns_missing", {"sms": "sms_consent"})]


async def test_a_launch_goes_on_where_the_warehouse_cannot_be_asked() -> None:
    """An operator's machine may not reach it; the reason is returned, to be printed."""
    settings = load_settings(warehouse_url="postgresql://nobody@127.0.0.1:1/x")
    why = await check_launch_facts(settings, DefinitionSet((), (campaign(),), {}, {}), campaign())
    assert "the warehouse does not answer" in (why or "")
