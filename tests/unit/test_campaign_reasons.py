"""Campaigns that ask for reasons get them on their triggers; others are as they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from campaigns import reasons
from campaigns.candidates import Definitions
from campaigns.decide import ContactHistory, Outcome
from campaigns.decision_inputs import DecisionInputs, record_inputs
from campaigns.reasons import add_reasons, describe_missing_reasons, find_pair
from campaigns.triggers import decision_message, trigger_body, trigger_message
from console.explanation_views import describe_reasons
from features.table import FeatureTable
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from streams.contracts.messages import read_schema
from tests.builders import campaign, candidate, control, decide, facts, offers, scores
from tests.decision_records import record_of
from tests.model_versions import SHIPPED, draw_customers, promote_explained, promote_unexplained

if TYPE_CHECKING:
    from campaigns.decide import Decision
    from campaigns.definition import Campaign, Offer
    from models.registry import Scorers

RULES = load_scorers(Path("nowhere"), FEATURE_MAPPING)


@pytest.fixture(scope="module")
def scorers(tmp_path_factory: pytest.TempPathFactory) -> Scorers:
    folder = Path(shutil.copytree(SHIPPED, tmp_path_factory.mktemp("reasons") / "models"))
    for name in ("churn", "nbo"):
        promote_explained(folder / name, f"{name}-explained")
    return load_scorers(folder, FEATURE_MAPPING)


def customers(*ids: str) -> FeatureTable:
    columns = dict(zip(FEATURE_MAPPING.values(), draw_customers(len(ids)).T.astype(np.float64), strict=True))
    return FeatureTable(ids, {**columns, "tenure_days": np.linspace(5, 500, len(ids))})


def definitions(*campaigns: Campaign, read: tuple[str, ...] = (), made: dict[int, Offer] | None = None) -> Definitions:
    return Definitions(campaigns, made or offers(), {}, {"at-risk": "1"}, {"at-risk": read})


def decided(asking: Campaign, customer_id: str = "ann", made: dict[int, Offer] | None = None) -> Decision:
    """The decision about a customer, with what it read."""
    wanted = candidate(campaign=asking, customer_id=customer_id)
    found = decide(wanted, facts(), ContactHistory(), made or offers(), scores(3))
    return replace(found, inputs=record_inputs(found, ContactHistory(), scores(3), {}, None, sends_expired=False))


ASKING = campaign(reasons=3)


def test_a_trigger_carries_the_strongest_factors_of_the_score_and_of_the_offer(scorers: Scorers) -> None:
    (explained,) = add_reasons([decided(ASKING)], customers("ann"), definitions(ASKING), scorers)
    body = json.loads(trigger_message(explained).value or b"")
    Draft202012Validator(read_schema("trigger")).validate(body)
    assert list(body["reasons"]) == ["churn", "nbo"]
    assert [len(each) for each in body["reasons"].values()] == [3, 3]
    assert body["reasons"]["churn"][0].keys() == {"feature", "value", "contribution", "direction", "text"}
    # The offer made is the third, the second best the first.
    assert any("Offer 3" in each["text"] or "Offer 1" in each["text"] for each in body["reasons"]["nbo"])


def test_the_exposure_of_the_control_group_carries_them_too(scorers: Scorers) -> None:
    held_out = control().candidate.campaign.model_copy(update={"reasons": 1})
    (explained,) = add_reasons([decided(held_out)], customers("ann"), definitions(held_out), scorers)
    assert explained.outcome == "control"
    assert len(trigger_body(explained)["reasons"]["churn"]) == 1


@pytest.mark.parametrize(
    "changes", [{}, {"reasons": 0}, {"reasons": 3, "offers": (1,)}, {"reasons": 3, "offer_policy": "fixed"}]
)
def test_without_a_choice_there_is_no_reason_for_an_offer_and_without_asking_none_at_all(
    scorers: Scorers, changes: dict[str, Any]
) -> None:
    one = campaign(**changes)
    (explained,) = add_reasons([decided(one)], customers("ann"), definitions(one), scorers)
    assert list(trigger_body(explained).get("reasons", {})) == (["churn"] if one.reasons else [])


def test_campaigns_that_do_not_ask_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither do customers who are not contacted."""
    monkeypatch.setattr(reasons, "ScoreExplainer", None)
    withheld = replace(decided(ASKING), outcome=Outcome.WITHHELD)
    for each in (decided(campaign()), withheld):
        assert add_reasons([each], customers("ann"), definitions(campaign()), RULES) == [each]


def test_lifetime_value_is_explained_where_the_segment_or_the_message_reads_it() -> None:
    reads = campaign(reasons=2, message="{{ predicted_ltv }}", key="b")
    for asking, read in ((ASKING, ("value_segment",)), (reads, ())):
        (explained,) = add_reasons([decided(asking)], customers("ann"), definitions(asking, read=read), RULES)
        assert list(trigger_body(explained)["reasons"]) == ["churn", "ltv", "nbo"]
    (explained,) = add_reasons([decided(ASKING)], customers("ann"), definitions(ASKING), RULES)
    assert "ltv" not in trigger_body(explained)["reasons"]


def test_a_decision_that_is_made_again_in_another_batch_has_the_same_reasons(scorers: Scorers) -> None:
    """To the byte, as the trigger of a redelivery or of a replay must be."""
    table = customers(*"abcdefgh")
    known = definitions(ASKING)
    many = [decided(ASKING, each) for each in table.customer_ids]
    together = [trigger_message(each).value for each in add_reasons(many, table, known, scorers)]
    backwards = add_reasons(many[::-1], table.take(range(7, -1, -1)), known, scorers)
    assert together == [trigger_message(each).value for each in backwards][::-1]
    alone = [add_reasons([each], table.take([n]), known, scorers)[0] for n, each in enumerate(many)]
    assert together == [trigger_message(each).value for each in alone]


def test_asking_changes_neither_the_decision_nor_the_version(scorers: Scorers) -> None:
    assert ASKING.version == campaign().version
    plain, asked = decided(campaign()), decided(ASKING)
    (explained,) = add_reasons([asked], customers("ann"), definitions(ASKING), scorers)
    assert decision_message(explained).value == decision_message(plain).value
    body = trigger_body(explained)
    assert {name: body[name] for name in body if name != "reasons"} == trigger_body(plain)


def test_the_ledger_gives_reasons_back_and_explain_shows_them(scorers: Scorers) -> None:
    (explained,) = add_reasons([decided(ASKING)], customers("ann"), definitions(ASKING), scorers)
    record = record_of(explained)
    assert explained.inputs is not None
    assert record.inputs is not None
    assert record.inputs.reasons == explained.inputs.reasons
    lines = describe_reasons(record.inputs)
    assert len(lines) == 6
    strongest = explained.inputs.reasons["churn"][0]
    assert lines[0] == f"churn probability {strongest.contribution:+.4g}: {strongest.text}"
    assert lines[3].startswith("offer before the second ")


def test_a_record_of_an_earlier_version_has_no_reasons() -> None:
    assert msgspec.json.decode(b'{"received_ms": 1}', type=DecisionInputs).reasons == {}
    assert describe_reasons(None) == []


def test_what_a_model_cannot_explain_is_left_out_and_said_at_the_start(scorers: Scorers, tmp_path: Path) -> None:
    for name in ("churn", "nbo"):
        promote_unexplained(Path(shutil.copytree(SHIPPED / name, tmp_path / name)), f"{name}-old")
    old = load_scorers(tmp_path, FEATURE_MAPPING)
    known = definitions(ASKING)
    (explained,) = add_reasons([decided(ASKING)], customers("ann"), known, old)
    assert "reasons" not in trigger_body(explained)
    notes = describe_missing_reasons(known, old)
    assert [note.partition(";")[0] for note in notes] == ["campaign win-back asks for reasons"] * 2
    assert all("trained without a background" in note for note in notes)
    assert describe_missing_reasons(known, scorers) == []
    assert describe_missing_reasons(definitions(campaign()), old) == []


def test_the_second_offer_is_the_second_by_expected_value() -> None:
    values = {1: 10.0, 2: 1.0, 3: 8.0, 4: 2.0}
    made = {id_: each.model_copy(update={"value": values.get(id_, 1.0)}) for id_, each in offers().items()}
    four = campaign(offers=(1, 2, 3, 4), reasons=1)
    pair = find_pair(decided(four, made=made), made)
    assert pair is not None
    assert (pair.first, pair.second, pair.first_value, pair.second_value) == (3, 1, 8.0, 10.0)
    refused = decided(four, made=made)
    assert refused.inputs is not None
    refused = replace(refused, inputs=replace(refused.inputs, obstacles={1: "its rule does not hold"}))
    pair = find_pair(refused, made)
    assert pair is not None
    assert pair.second == 4


def test_a_random_offer_has_no_reason() -> None:
    explored = decided(campaign(reasons=1))
    assert explored.offer is not None
    other = replace(explored.offer, offer=offers()[1])
    assert find_pair(replace(explored, offer=other), offers()) is None


def test_a_variant_s_own_offers_are_compared() -> None:
    varied = campaign(reasons=1, variants=[{"key": "a", "offers": (3, 5)}, {"key": "b", "offers": (3, 5)}])
    pair = find_pair(decided(varied), offers())
    assert pair is not None
    assert (pair.first, pair.second) == (3, 5)


@pytest.mark.parametrize("number", [-1, 9, 1.5, "all"])
def test_a_campaign_cannot_ask_for_other_numbers_of_reasons(number: Any) -> None:
    with pytest.raises(ValueError, match="reasons"):
        campaign(reasons=number)
