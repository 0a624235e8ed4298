"""Which offers a customer may get: rules, limits on repetition, and the policies that choose among the rest."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from campaigns.candidates import Definitions, decide_all
from campaigns.contact_limits import PastContact
from campaigns.decide import ContactHistory, Outcome
from campaigns.definition import Campaign, Offer, load_campaigns
from campaigns.guardrails import Reason
from campaigns.unknown_facts import find_unknown_facts
from features.table import FeatureTable
from segments.errors import DefinitionError
from tests.builders import AS_OF, campaign, candidate, facts, offers, scores

if TYPE_CHECKING:
    from pathlib import Path

    from campaigns.decide import Candidate, Decision

CHEAP = {"<": [{"var": "spent"}, 100]}
RICH = {">=": [{"var": "spent"}, 100]}
DAY = timedelta(days=1)


def with_offers(**changes: dict[str, Any]) -> dict[int, Offer]:
    """All eight offers, of which some have conditions: `_3={"rule": …}`."""
    changed = {int(name[1:]): more for name, more in changes.items()}
    return offers() | {n: Offer(id=n, key=f"offer-{n}", name=f"Offer {n}", **more) for n, more in changed.items()}


def decided(
    made: dict[int, Offer],
    *candidates: Candidate,
    history: ContactHistory | None = None,
    unavailable: tuple[str, ...] = (),
    **known: Any,
) -> list[Decision]:
    """The decisions about candidates, best with offer 3 or else 1."""
    chosen = candidates or (candidate(facts_read=(*facts(), *known)),)
    row = facts(**known)
    del row["offer_basis"]
    customers = tuple(dict.fromkeys(each.customer_id for each in chosen))
    table = FeatureTable.from_rows(customers, list(row), [list(row.values())] * len(customers))

    def score(rows: FeatureTable) -> tuple[Any, Any]:
        return np.tile(scores(3), (len(rows), 1)), np.full(len(rows), "model", dtype=object)

    histories = dict.fromkeys(customers, history) if history else {}
    return decide_all(chosen, table, histories, made, score, unavailable=unavailable)  # type: ignore[arg-type]  # none is None


def offer_of(decision: Decision) -> int | None:
    """The id of the offer made."""
    return decision.offer.offer.id if decision.offer else None


@pytest.mark.parametrize(
    ("rule", "spent", "made"),
    [
        (CHEAP, 50.0, 3),
        (CHEAP, 150.0, 1),
        (RICH, 150.0, 3),
        (RICH, None, 1),
        (CHEAP, None, 3),
        ({}, None, 3),
        (False, 1.0, 1),
    ],
)
def test_an_offer_whose_rule_does_not_hold_is_not_made(rule: Any, spent: float | None, made: int) -> None:
    """Null is as in the rules of segments: less than 100."""
    (decision,) = decided(with_offers(_3={"rule": rule}), spent=spent)
    assert offer_of(decision) == made


def test_with_no_offer_left_the_contact_is_withheld_with_each_reason() -> None:
    made = with_offers(_1={"rule": RICH}, _3={"repeat_days": 7})
    past = ContactHistory(contacts=(PastContact("other", "sms", AS_OF - 2 * DAY, 3),))
    (decision,) = decided(made, history=past, spent=1.0)
    assert (decision.outcome, decision.reason) == (Outcome.WITHHELD, Reason.NO_ELIGIBLE_OFFER)
    assert decision.detail == (
        "the customer may get no offer: offer-1: its rule does not hold; "
        "offer-3: not twice in 7 day(s), again from 2011-06-06 12:30"
    )


@pytest.mark.parametrize("unavailable", [(), ("spent",)])
def test_a_rule_on_a_column_that_is_gone_holds_for_nobody(unavailable: tuple[str, ...]) -> None:
    """Null would be less than 100."""
    known = {"spent": 1.0} if unavailable else {}
    (decision,) = decided(with_offers(_3={"rule": CHEAP}), unavailable=unavailable, **known)
    assert offer_of(decision) == 1


def test_an_offer_that_may_not_be_made_is_not_explored() -> None:
    exploring = campaign(offers=(1, 3, 5), exploration_percent=50)
    everybody = [candidate(campaign=exploring, customer_id=f"c{n}", event_id=f"e{n}") for n in range(400)]
    made = Counter((offer_of(each), each.propensity) for each in decided(with_offers(_5={"rule": False}), *everybody))
    assert set(made) == {(3, 0.75), (1, 0.25)}


def test_the_facts_of_a_rule_are_read_and_recorded() -> None:
    made = with_offers(_3={"rule": CHEAP}, _5={"rule": {"==": [{"var": "other"}, 1]}})
    definitions = Definitions([campaign()], made, {}, {"at-risk": "1"})
    read = set(definitions.facts_read_for(campaign()))
    assert "spent" in read
    assert "other" not in read
    assert find_unknown_facts([], [], {"other"}, "view", list(made.values())) == [
        "the rule of offer 'offer-3' reads 'spent', which neither the warehouse view view nor Holdfast supplies"
    ]


@pytest.mark.parametrize(("days_ago", "made"), [(0, 1), (6.9, 1), (7, 3), (8, 3), (-6.9, 1), (-7, 3)])
def test_an_offer_is_not_repeated_within_its_days(days_ago: float, made: int) -> None:
    """Before or after: an event that arrives late counts at its own time."""
    past = ContactHistory(contacts=(PastContact("other", "sms", AS_OF - days_ago * DAY, 3),))
    (decision,) = decided(with_offers(_3={"repeat_days": 7}), history=past)
    assert offer_of(decision) == made


def test_other_offers_do_not_count() -> None:
    past = ContactHistory(contacts=(PastContact("win-back", "email", AS_OF, 1),))
    (decision,) = decided(with_offers(_3={"repeat_days": 7}), history=past)
    assert offer_of(decision) == 3


def test_an_offer_of_the_same_batch_counts() -> None:
    """Of both arms: the first of them is held out."""
    held = campaign(key="a", offers=(3,)).model_copy(update={"holdout_percent": 100})
    both = [candidate(campaign=held, event_id="e1"), candidate(campaign=campaign(key="b"), event_id="e2")]
    first, second = decided(with_offers(_3={"repeat_days": 7}), *both)
    assert (first.outcome, offer_of(first), offer_of(second)) == (Outcome.CONTROL, 3, 1)


def test_what_staff_gets_repeats_nothing_to_the_customer(tmp_path: Path) -> None:
    write_offers(tmp_path, [{"id": 1, "key": "gift", "name": "A gift", "repeat_days": 7}])
    (tmp_path / "channels.json").write_text(
        '[{"key": "email", "message_format": "html"}, {"key": "sales", "message_format": "text", "recipient": "staff"}]'
    )
    (tmp_path / "a.yaml").write_text("{key: a, name: A, segment: s, offers: [1], channels: [sales], message: Call}")
    (tmp_path / "b.yaml").write_text("{key: b, name: B, segment: s, offers: [1], channels: [email], message: Hello}")
    (notified, sent), made = load_campaigns(tmp_path, segments=["s"])
    events = [
        candidate(campaign=each, event_id=f"e{n}", occasion=str(n))
        for n, each in enumerate((notified, sent, notified, sent))
    ]
    reasons = [each.reason for each in decided(made, *events)]
    assert reasons == [Reason.ENTERED_SEGMENT] * 3 + [Reason.NO_ELIGIBLE_OFFER]


def test_the_ledger_is_asked_for_contacts_as_far_back_as_an_offer_needs() -> None:
    made = with_offers(_3={"repeat_days": 30}, _8={"repeat_days": 90})
    assert Definitions([campaign()], made, {}, {"at-risk": "1"}).longest_limit == 30 * DAY


def test_a_fixed_policy_makes_the_first_offer_that_the_customer_may_get() -> None:
    fixed = candidate(campaign=campaign(offers=(5, 3, 1), offer_policy="fixed"))
    found = [decided(made, fixed)[0] for made in (offers(), with_offers(_5={"rule": False}))]
    assert [(offer_of(each), each.propensity, each.net_value) for each in found] == [(5, 1, 0.25), (3, 1, 0.75)]


def test_an_experiment_makes_each_offer_as_often() -> None:
    """Of 3,000: a third, within four standard deviations; the net value does not depend on the draw."""
    trying = campaign(offers=(1, 3, 5, 7), offer_policy="experiment")
    everybody = [candidate(campaign=trying, customer_id=f"c{n}", event_id=f"e{n}") for n in range(3_000)]
    found = decided(with_offers(_7={"rule": False}), *everybody)
    made = Counter(map(offer_of, found))
    assert set(made) == {1, 3, 5}
    assert all(count == pytest.approx(1_000, abs=4 * (3_000 * 2 / 9) ** 0.5) for count in made.values())
    assert {each.propensity for each in found} == {0.333333333}
    assert {each.net_value for each in found} == {round((0.25 + 0.75 + 0.25) / 3, 6)}
    again = decided(with_offers(_7={"rule": False}), *everybody)
    assert list(map(offer_of, again)) == list(map(offer_of, found))


@pytest.mark.parametrize("policy", ["next_best", "fixed", "experiment"])
def test_both_arms_get_the_same_offers(policy: str) -> None:
    treated = campaign(offers=(1, 3, 5), offer_policy=policy)
    held = treated.model_copy(update={"holdout_percent": 100})
    made = with_offers(_3={"rule": CHEAP}, _5={"repeat_days": 3})
    for number in range(30):
        arms = [candidate(campaign=each, customer_id=f"c{number}") for each in (treated, held)]
        one, other = (decided(made, each, spent=float(number * 10))[0] for each in arms)
        assert (one.offer, one.propensity, one.net_value) == (other.offer, other.propensity, other.net_value)


def test_a_loss_of_an_experiment_is_said_of_the_mean() -> None:
    costly = Campaign.model_validate(campaign(channels=("email",), offer_policy="experiment").model_dump())
    channel = costly.channels_by_key["email"].model_copy(update={"cost": 1.0})
    costly.__dict__["channels_by_key"] = {"email": channel}
    (decision,) = decided(offers(), candidate(campaign=costly))
    assert decision.reason is Reason.NEGATIVE_VALUE
    assert decision.detail == "a loss is expected: 0.5 as the mean of the offers - cost 1 of a contact by email"


def write_offers(folder: Path, content: Any) -> None:
    """Write offers.json."""
    (folder / "offers.json").write_text(json.dumps(content, indent=1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rule": {"matches": [1]}}, "$[0].rule (line 6): unknown operator 'matches' at $.matches"),
        ({"rule": "spent > 3"}, "$[0].rule (line 6): a rule is an object, true, false or null"),
        ({"rule": {"var": ""}}, "$[0].rule (line 6): 'var' takes the name of a fact"),
        ({"repeat_days": 366}, "$[0].repeat_days (line 6): Input should be less than or equal to 365"),
    ],
)
def test_wrong_conditions_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write_offers(tmp_path, [{"id": 1, "key": "gift", "name": "A gift", **changes}])
    with pytest.raises(DefinitionError) as refused:
        load_campaigns(tmp_path, segments=[])
    assert str(refused.value).startswith(f"{tmp_path / 'offers.json'}: {said}")


def test_a_policy_that_explores_by_itself_has_no_exploration() -> None:
    with pytest.raises(ValueError, match="exploration_percent is for next_best; leave it out with experiment"):
        campaign(exploration_percent=5, offer_policy="experiment")


def test_the_version_follows_policy_and_conditions_of_its_own_offers(tmp_path: Path) -> None:
    def version(policy: str = "next_best", **conditions: Any) -> str:
        write_offers(
            tmp_path,
            [
                {"id": 1, "key": "gift", "name": "A gift", **conditions},
                {"id": 2, "key": "x", "name": "X", "rule": RICH},
            ],
        )
        (tmp_path / "a.yaml").write_text(
            f"{{key: a, name: A, segment: s, offers: [1], channels: [email], message: Hi, offer_policy: {policy}}}"
        )
        ((found,), _) = load_campaigns(tmp_path, segments=["s"])
        return found.version

    plain = version()
    assert version(rule=None) == version(rule={}) == version(repeat_days=0) == plain
    changed = {version(rule=RICH), version(rule=CHEAP), version(rule=False), version(repeat_days=3), version("fixed")}
    assert len({plain, *changed}) == 6


def test_an_offer_of_a_variant_alone_counts_for_what_is_read_and_recorded() -> None:
    """Without its contacts its limit would count none, and without its facts a decision could not be explained."""
    made = with_offers(_5={"rule": CHEAP, "repeat_days": 30})
    varied = campaign(variants=[{"key": "plain"}, {"key": "other", "offers": (5,)}])
    definitions = Definitions([varied], made, {}, {"at-risk": "1"})
    assert definitions.longest_limit == 30 * DAY
    assert "spent" in definitions.facts_read_for(varied)
