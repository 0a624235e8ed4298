"""The records that leave: golden fixtures, the published schema, ids that never change."""

from __future__ import annotations

import json
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from msgspec.structs import replace

from campaigns.decide import Reason
from campaigns.triggers import decision_message, trigger_body, trigger_message
from tests.builders import AS_OF, campaign, candidate, control, decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaigns.decide import Decision
    from campaigns.triggers import Message

GOLDEN = Path(__file__).parents[1] / "golden"
SCHEMA = json.loads(files("campaigns").joinpath("schemas/trigger.schema.json").read_text(encoding="utf-8"))
FORMATS = FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    """RFC 3339 as far as Python reads it; the zone is required."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FORMATS)


def shown(message: Message) -> dict[str, Any]:
    """A message as the golden files hold it."""
    assert message.key is not None
    assert message.value is not None
    headers = {name: value.decode() for name, value in message.headers if value is not None}
    return {
        "message_id": message.message_id,
        "customer_id": message.customer_id,
        "destination": message.destination,
        "partition": message.partition,
        "key": message.key.decode(),
        "headers": headers,
        "value": json.loads(message.value),
    }


@pytest.mark.parametrize(
    ("file", "build", "about"),
    [
        ("trigger.json", trigger_message, decision),
        ("control.json", trigger_message, control),
        ("decision.json", decision_message, decision),
    ],
)
def test_a_record_is_exactly_its_golden_file(
    file: str, build: Callable[[Decision], Message], about: Callable[[], Decision]
) -> None:
    """A difference is a change of the interface: consumers must be told, and the version in ce_type must grow."""
    assert shown(build(about())) == json.loads((GOLDEN / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", ["trigger.json", "control.json"])
def test_a_golden_trigger_is_valid_under_the_published_schema(file: str) -> None:
    VALIDATOR.validate(json.loads((GOLDEN / file).read_text(encoding="utf-8"))["value"])


def test_a_trigger_without_scores_is_valid_under_the_published_schema() -> None:
    """A warehouse without the columns a model needs gives null scores."""
    fired = decision()
    message = trigger_message(_with_facts(fired, churn_probability=None, churn_risk=None, predicted_ltv=None))
    VALIDATOR.validate(shown(message)["value"])


def _with_facts(fired: Decision, **changes: Any) -> Decision:
    return type(fired)(
        fired.candidate,
        fired.outcome,
        fired.reason,
        fired.detail,
        {**fired.facts, **changes},
        fired.channel,
        fired.offer,
        fired.message,
        fired.net_value,
        fired.propensity,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"trigger_id": "not-a-uuid"},
        {"as_of": "2011-06-01"},
        {"as_of": "yesterday"},
        {"channel": "Carrier Pigeon"},
        {"message_format": "markdown"},
        {"message": ""},
        {"variant": "both"},
        {"customer_id": ""},
        {"churn_probability": 1.5},
        {"colour": "red"},
        {"message": None},
    ],
)
def test_the_published_schema_refuses_what_is_no_trigger(change: dict[str, Any]) -> None:
    value = shown(trigger_message(decision()))["value"]
    assert not VALIDATOR.is_valid({**value, **change})


def test_the_schema_is_a_schema_and_requires_every_field_but_those_for_some_triggers() -> None:
    """A stale row, what only some channels and campaigns have; and what earlier versions did not write."""
    Draft202012Validator.check_schema(SCHEMA)
    optional = {"stale", "message_segments", "recipient", "deliver_after", "quiet_hours", "net_value", "subject"}
    optional |= {"campaign_variant", "reasons"}
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) - optional


@pytest.mark.parametrize("stale", [True, False])
def test_a_trigger_says_that_the_row_was_older_than_its_event(stale: bool) -> None:
    value = shown(trigger_message(replace(decision(), facts={**decision().facts, "stale": stale})))["value"]
    assert value.get("stale") is (True if stale else None)
    assert VALIDATOR.is_valid(value)


def test_a_trigger_of_a_campaign_with_variants_names_the_customers() -> None:
    """So does the exposure of the control group, and the record of the decision."""
    varied = campaign(variants=[{"key": "plain"}, {"key": "short", "message": "Hi"}], holdout_percent=50)
    made = decision(campaign=varied)
    assert made.variant in {"plain", "short"}
    for message in (trigger_message(made), decision_message(made)):
        assert shown(message)["value"]["campaign_variant"] == made.variant
    assert VALIDATOR.is_valid(shown(trigger_message(made))["value"])
    assert "campaign_variant" not in shown(decision_message(decision()))["value"]


def test_a_trigger_id_is_fixed_for_ever() -> None:
    """A replay by another release must make the same id, or customers are contacted twice."""
    assert candidate().trigger_id == "f2d3be09-ab30-5dda-bed6-671f5904b5a3"


@pytest.mark.parametrize(
    "changes", [{"event_id": "other"}, {"as_of": AS_OF.replace(year=2012)}, {"partition": 9}, {"received_ms": 1}]
)
def test_a_trigger_id_does_not_depend_on_the_event_that_was_redelivered(changes: dict[str, Any]) -> None:
    assert candidate(**changes).trigger_id == candidate().trigger_id


def test_each_chance_has_an_id_of_its_own() -> None:
    """Also where the parts, put one after the other, read the same."""
    chances = [
        candidate(),
        candidate(customer_id="bob"),
        candidate(occasion="2"),
        candidate(occasion="launch 1"),
        candidate(campaign=campaign(key="other")),
        candidate(campaign=campaign(segment="other")),
        candidate(customer_id='ann", "win'),
        candidate(customer_id="ann", campaign=campaign(key="win"), occasion="back"),
    ]
    assert len({each.trigger_id for each in chances}) == len(chances)


def test_the_id_of_the_event_is_that_of_the_trigger() -> None:
    message = trigger_message(decision())
    assert dict(message.headers)["ce_id"] == message.message_id.encode() == candidate().trigger_id.encode()


def test_the_record_of_a_decision_has_an_id_beside_its_trigger() -> None:
    assert decision_message(decision()).message_id == f"{candidate().trigger_id}/decision"


def test_a_withheld_decision_makes_no_trigger() -> None:
    withheld = decision(withheld=Reason.NOT_A_MEMBER)
    with pytest.raises(ValueError, match="carries no offer"):
        trigger_body(withheld)
    assert shown(decision_message(withheld))["value"]["reason"] == "not_a_member"
