"""`holdfast campaigns performance` on what a worker has decided and folded."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

CUSTOMERS = [f"customer-{number}" for number in range(400)]
BOUGHT_FOR = 20.0


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """Half of 400 customers who lapse are held out. All who are contacted buy twice, and half of the others once."""
    folder = tmp_path_factory.mktemp("performance")
    with workplace(endpoints, folder) as lent, ExitStack() as stack:
        held = campaign("win-back", "lapsing", "on_enter") | {"holdout_percent": 50, "name": "<Win> back"}
        held["holdout_group"] = "retention"
        write_json(folder / "definitions" / "campaigns" / "win-back.json", held)
        stack.callback(lent.start_worker().stop)
        lent.set_customers([*CUSTOMERS, "silent"])
        lent.update(*CUSTOMERS, "silent")
        lent.set_customers(CUSTOMERS, days=90)
        lent.set_customer("silent", days=90, consent=False)
        lent.update(*CUSTOMERS, "silent")
        report(lent)
        yield lent


def report(place: Workplace) -> None:
    """Publish every outcome twice, and one of a customer who was withheld."""
    sold = [convert(place, each.body, f"{n}") for each in place.see("campaign-triggers") for n in range(2)]
    sold += [convert(place, each.body, "0") for each in place.see("campaign-triggers.control")[::2]]
    (withheld,) = (each.body for each in place.see("decisions") if each.key == b"silent")
    place.publish("outcomes", *sold, *sold, convert(place, withheld, "0"))
    place.settle()


def convert(place: Workplace, trigger: dict[str, Any], number: str) -> dict[str, Any]:
    about = {"trigger_id": trigger["trigger_id"], "value": BOUGHT_FOR}
    return place.event(trigger["customer_id"], "outcome.converted", **about) | {"id": trigger["trigger_id"] + number}


def test_the_effect_is_that_of_the_contacted_against_the_held_out(place: Workplace, tmp_path: Path) -> None:
    page = tmp_path / "win-back.html"
    done = place.holdfast("campaigns", "performance", "win-back", "--json", "--html", str(page))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    effect, contacts = found["effect"], found["contacts"]
    treated, control = effect["treated"], effect["control"]
    assert treated["customers"] + control["customers"] == found["customers"] == len(CUSTOMERS)
    assert (contacts["treated"]["published"], contacts["control"]["published"]) == (
        treated["customers"],
        control["customers"],
    )
    assert treated["converted"] == treated["customers"]
    assert treated["revenue"] == 2 * BOUGHT_FOR * treated["customers"]
    assert contacts["treated"]["conversions"] == 2 * treated["customers"]
    assert effect["conversion_rate"]["control"] == pytest.approx(0.5, abs=0.01)
    assert effect["conversion_rate"]["established"]
    assert effect["conversion_rate"]["lift"] == pytest.approx(1, abs=0.02)
    assert found["sample_ratio"]["alarm"] is False
    assert "&lt;Win&gt; back" in page.read_text()
    assert "<script" not in page.read_text()


def test_the_terminal_says_what_was_achieved(place: Workplace) -> None:
    done = place.holdfast("campaigns", "performance", "win-back")
    assert done.returncode == 0, done.stderr
    assert "The campaign has an effect: more customers convert than without it" in done.stdout
    assert "relative lift" in done.stdout
    assert "The split is as planned" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_group_of_campaigns_is_measured_together(place: Workplace) -> None:
    """Here it has one."""
    done = place.holdfast("campaigns", "performance", "--group", "retention")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("group retention: win-back; holdout 50 %")
    assert "The campaigns together have an effect" in done.stdout
    assert "The split is as planned" in done.stdout


def test_a_campaign_without_a_holdout_has_figures_and_no_lift(place: Workplace) -> None:
    """Nor has one without a contact."""
    done = place.holdfast("campaigns", "performance", "make-good")
    assert (done.returncode, done.stderr) == (0, "")
    assert "make-good has exposed no customer yet" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("winback",), "no campaign 'winback'; did you mean 'win-back'?"),
        (("--group", "spring"), "no campaign has the holdout_group 'spring'; there are: retention"),
        (("win-back", "--group", "retention"), "name one campaign, or a holdout group with --group"),
        ((), "name one campaign, or a holdout group with --group"),
        (
            ("win-back", "--html", "/nowhere/page.html"),
            "/nowhere/page.html cannot be written: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_refused_in_words(place: Workplace, arguments: tuple[str, ...], says: str) -> None:
    done = place.holdfast("campaigns", "performance", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_ledger_out_of_reach_is_named(place: Workplace) -> None:
    nowhere = "postgresql://127.0.0.1:1/nowhere"
    done = place.holdfast("campaigns", "performance", "win-back", HOLDFAST_LEDGER_URL=nowhere)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "HOLDFAST_LEDGER_URL: the ledger cannot be used" in done.stderr
