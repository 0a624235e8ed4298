"""A backtest from recorded contacts to its page, on real services."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.journey.test_performance import convert
from tests.journey.test_replay import moment
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

MANY = [f"many-{number}" for number in range(400)]
FEW = [f"few-{number}" for number in range(400)]


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """Of 800 customers who lapse, half after 70 days and half after 90, a fifth is held out.

    Of those after 90 days three in four buy when they are contacted, of the others one in ten; no one else buys.
    """
    folder = tmp_path_factory.mktemp("backtest")
    with workplace(endpoints, folder) as lent, ExitStack() as stack:
        tested = campaign("win-back", "lapsing", "on_enter") | {"holdout_percent": 20}
        write_json(folder / "definitions" / "campaigns" / "win-back.json", tested)
        channels = [{"key": "email", "message_format": "html", "cost": 0.5}]
        write_json(folder / "definitions" / "campaigns" / "channels.json", channels)
        named = [{"id": each, "key": f"offer-{each}", "name": f"Offer {each}", "value": 1_000} for each in range(1, 9)]
        write_json(folder / "definitions" / "campaigns" / "offers.json", named)
        stack.callback(lent.start_worker().stop)
        lent.set_customers([*MANY, *FEW])
        update(lent, *MANY, *FEW)
        begin = moment()
        lent.set_customers(FEW, days=70)
        lent.set_customers(MANY, days=90)
        update(lent, *MANY, *FEW)
        end = moment()
        sent = sorted((each.body for each in lent.see("campaign-triggers")), key=lambda body: body["trigger_id"])
        many = [each for each in sent if each["customer_id"].startswith("many")]
        few = [each for each in sent if each["customer_id"].startswith("few")]
        bought = [*(each for place, each in enumerate(many) if place % 4), *few[::10]]
        lent.publish("outcomes", *({**convert(lent, each, "0"), "value": 10} for each in bought))
        lent.settle()
        lent.environment = {**lent.environment, "BEGIN": begin.isoformat(), "END": end.isoformat()}
        yield lent


def update(place: Workplace, *customers: str) -> None:
    """Publish updates that occur now."""
    now = datetime.now(UTC).isoformat()
    place.publish("customer-updates", *({**place.event(each), "occurred_at": now} for each in customers))
    place.settle()


def edit(place: Workplace, folder: Path, *, days: int = 60, **changes: Any) -> Path:
    """Return other definitions: of the segment's rule, or of its campaign."""
    definitions = Path(place.environment["HOLDFAST_DEFINITIONS_DIR"])
    shutil.copytree(definitions, folder / "edited")
    lapsing = {">": [{"var": "days_since_last_transaction"}, days]}
    write_json(folder / "edited" / "segments" / "lapsing.json", {"key": "lapsing", "name": "lapsing", "rule": lapsing})
    old = json.loads((definitions / "campaigns" / "win-back.json").read_text())
    write_json(folder / "edited" / "campaigns" / "win-back.json", {**old, **changes})
    return folder / "edited"


def backtest(place: Workplace, definitions: Path, *more: str) -> str:
    period = ("--from", place.environment["BEGIN"], "--to", place.environment["END"])
    return place.do("backtest", *period, "--definitions", str(definitions), *more)


def test_a_narrower_segment_is_estimated_by_the_control_group(place: Workplace, tmp_path: Path) -> None:
    """It would have sent half, and earned what those who bought little cost less."""
    page = tmp_path / "backtest.html"
    found = json.loads(backtest(place, edit(place, tmp_path, days=80), "--json", "--report", str(page)))
    recorded = found["recorded"]["contacts"]
    # Of some customers the score of the offer is so low that a loss is expected of a contact.
    exposed = recorded + found["recorded"]["held_out"]
    assert 360 < found["planned"]["contacts"] + found["planned"]["held_out"] <= 400
    assert 720 < exposed <= 800
    assert found["planned"]["contact_cost"] == 0.5 * found["planned"]["contacts"]
    estimated = found["estimate"]
    assert (estimated["opportunities"], estimated["unsupported"], estimated["is_enough"]) == (exposed, {}, True)
    # Of those that it contacts three in four buy, and of the others no one: they are held out of every contact.
    assert estimated["conversion"]["low"] <= 0.375 <= estimated["conversion"]["high"]
    assert estimated["net_revenue"]["low"] <= 0.5 * (7.5 - 0.5) <= estimated["net_revenue"]["high"]
    written = page.read_text()
    assert "<svg" in written
    assert "<script" not in written


def test_an_offer_that_was_never_made_has_no_estimate(place: Workplace, tmp_path: Path) -> None:
    """The share is named."""
    definitions = edit(place, tmp_path, offers=[3])
    shown = backtest(place, definitions)
    assert "There is not enough evidence for its effect" in shown
    assert "the recorded campaign never made this offer by this channel" in shown
    found = json.loads(backtest(place, definitions, "--json"))["estimate"]
    assert found["unsupported"]["never_offered"] > 700
    assert not found["is_enough"]


def test_a_wider_segment_is_estimated_only_where_it_contacted(place: Workplace, tmp_path: Path) -> None:
    """Customers whom the recorded campaign never contacted are without support."""
    definitions = edit(place, tmp_path, days=2)
    found = json.loads(backtest(place, definitions, "--json"))
    assert found["estimate"]["unsupported"].keys() <= {"never_contacted"}


def test_a_backtest_changes_nothing(place: Workplace, tmp_path: Path) -> None:
    before = place.ask_ledger("SELECT count(*), max(as_of) FROM decision")
    backtest(place, edit(place, tmp_path, days=80))
    assert place.ask_ledger("SELECT count(*), max(as_of) FROM decision") == before
    assert place.ask_ledger("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replay%'") == []
    ended = place.holdfast("backtest", "--from", "2026-01-02", "--to", "2026-01-01")
    assert (ended.returncode, "is not before --to" in ended.stderr) == (2, True)
