"""Rules and messages that read facts which no source supplies: refused with file, place, fact and nearest names."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from campaigns.channels import Channel, ConsentValues
from campaigns.definition import Campaign, DefinitionSet, load_definitions
from campaigns.errors import CampaignDefinitionError
from campaigns.unknown_facts import find_unknown_facts, refuse_unknown_facts
from console.use_cases.launches import check_launch_facts
from features.extract_warehouse import ExtractWarehouse
from features.signals import as_columns
from features.table import FeatureTable, column
from features.warehouses import opened
from models.facts import SCORE_FACTS
from models.rfm import RFM_SOURCES
from segments.definition import build_segment
from streams.known_facts import report_consent, report_consent_values
from streams.settings import load_settings
from tests.builders import AS_OF, campaign

if TYPE_CHECKING:
    from pathlib import Path

    from features.table import Kind

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


MISSING, TEXT = "the view has no column {}", "column {} is not boolean, and channels.json does not list its values"


@pytest.mark.parametrize(
    ("kinds", "problems"),
    [
        ({"email_consent": "boolean", "sms_consent": "boolean"}, {}),
        ({"email_consent": "boolean"}, {"sms": MISSING}),
        ({"email_consent": "boolean", "sms_consent": "other"}, {"sms": TEXT}),
        ({"sms_consent": "number"}, {"email": MISSING, "sms": TEXT}),
        ({}, {"email": MISSING, "sms": MISSING}),
    ],
)
def test_a_channel_whose_consent_cannot_be_read_is_logged(kinds: dict[str, Kind], problems: dict[str, str]) -> None:
    """A view may know fewer channels than the campaigns use; a campaign without any is shown in health."""
    columns = FeatureTable((), {name: column((), kind) for name, kind in kinds.items()})
    with capture_logs() as logs:
        silent = report_consent([campaign(key="win-back")], columns)
    expected = {channel: text.format(f"{channel}_consent") for channel, text in problems.items()}
    assert [each["channels"] for each in logs] == ([expected] if expected else [])
    sentence = f"campaign win-back: contacts no customer: {'; '.join(sorted(expected.values()))}"
    assert silent == ([sentence] if len(expected) == 2 else [])


@pytest.mark.parametrize(
    ("rows", "logged"),
    [
        (["Y", "N", ""], []),
        (["Y", "maybe", "x", "maybe"], [2]),
        (["true", "false"], []),  # the column is boolean
    ],
)
async def test_values_that_are_neither_consent_nor_its_denial_are_logged(
    tmp_path: Path, rows: list[str], logged: list[int]
) -> None:
    """By how many distinct values there are: the values themselves may be of customers."""
    view = tmp_path / "view.csv"
    view.write_text("\n".join(["customer_id,mail_ok", *(f"{n},{value}" for n, value in enumerate(rows))]) + "\n")
    values = ConsentValues(given=("Y",), denied=("N",))
    mail = Channel(key="email", message_format="html", consent_column="mail_ok", consent_values=values)
    words = {**campaign().model_dump(), "channels": ["email"]}
    campaigns = [Campaign.model_validate(words, context={"channels": {"email": mail}})]
    async with opened(ExtractWarehouse(f"csv:{view}", "")) as warehouse:
        columns = await warehouse.fetch([])
        with capture_logs() as logs:
            await report_consent_values(campaigns, columns, warehouse)
    assert [each["values"] for each in logs] == logged


async def test_a_launch_goes_on_where_the_warehouse_cannot_be_asked() -> None:
    """An operator's machine may not reach it; the reason is returned, to be printed."""
    settings = load_settings(warehouse_url="postgresql://nobody@127.0.0.1:1/x")
    why = await check_launch_facts(settings, DefinitionSet((), (campaign(),), {}, {}), campaign())
    assert "no connection to the warehouse" in (why or "")


@pytest.mark.parametrize(("column_of_changes", "known"), [("changed", True), (None, False)])
async def test_a_launch_knows_the_mark_of_old_rows(tmp_path: Path, column_of_changes: str | None, known: bool) -> None:
    """As the worker does, where a setting names the column of a row's last change."""
    view = tmp_path / "view.csv"
    view.write_text("customer_id,changed\n1,2026-01-01\n")
    settings = load_settings(warehouse_url=f"csv:{view}", updated_at_column=column_of_changes)
    rule = {"key": "at-risk", "name": "Old", "rule": {"==": [{"var": "stale"}, True]}}
    launched = campaign(message="Hello")
    definitions = DefinitionSet((build_segment(rule, where="segments/x.json"),), (launched,), {}, {})
    with nullcontext() if known else pytest.raises(CampaignDefinitionError, match="reads 'stale'"):
        assert await check_launch_facts(settings, definitions, launched) is None


def test_a_fact_that_only_a_variant_reads_is_refused_too() -> None:
    varied = campaign(variants=[{"key": "plain"}, {"key": "warm", "message": "Dear {{ first_nam }}"}])
    (problem,) = find_unknown_facts([], [varied], ["first_name"], "view")
    assert "$.variants[1].message reads 'first_nam'" in problem
