"""`holdfast timeline` and `holdfast what-if`: what happened to a customer, and what would, on real services."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import redis
from psycopg import sql

from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A worker; its win-back has a control group of no one, and variants."""
    with workplace(endpoints, tmp_path_factory.mktemp("why")) as lent:
        definitions = Path(lent.environment["HOLDFAST_DEFINITIONS_DIR"])
        variants = {"variants": [{"key": "plain"}, {"key": "short", "message": "{{ offer.name }}"}]}
        write_json(definitions / "campaigns" / "win-back.json", campaign("win-back", "lapsing", "on_enter") | variants)
        lent.start_worker()
        yield lent


def lapse(place: Workplace, customer: str) -> str:
    """Let a customer enter the segment of win-back, and return the id of the trigger."""
    for days in (5, 90):
        place.set_customer(customer, days=days)
        place.update(customer)
    return str(place.triggers(customer)[0]["trigger_id"])


def test_a_timeline_has_everything_of_a_customer_in_order(place: Workplace) -> None:
    """Events, segments, decisions, contacts and their outcomes, consent, feedback."""
    trigger = lapse(place, "tina")
    about = {"trigger_id": trigger}
    place.publish("outcomes", place.event("tina", "outcome.converted", value=25.5, **about))
    place.publish("outcomes", place.event("tina", "outcome.unsubscribed", **about))
    place.do("customers", "feedback", "always-vip", "tina", "--by", "sam", "--why", "a friend")
    place.settle()
    found = json.loads(place.do("timeline", "tina", "--json"))
    assert not found["is_cut"]
    kinds = [each["kind"] for each in found["entries"] if each["kind"] not in ("processed", "feedback")]
    assert kinds == ["event", "entered", "decision", "contact", "outcome", "consent"]
    assert [each["at"] for each in found["entries"]] == sorted(each["at"] for each in found["entries"])
    (contact,) = (each for each in found["entries"] if each["kind"] == "contact")
    assert (contact["trigger_id"], contact["arm"], contact["offer_id"]) == (trigger, "treatment", 2)
    assert contact["variant"] in ("plain", "short")
    shown = place.do("timeline", "tina")
    assert "win-back: fired, entered_segment: lapsing" in shown
    assert "win-back: converted, value 25.5" in shown
    assert "always vip, by sam: a friend" in shown
    assert "consent revoked for" in shown


def test_a_timeline_ends_with_the_latest_entries(place: Workplace) -> None:
    lapse(place, "tom")
    shown = place.do("timeline", "tom", "--limit", "1")
    assert shown.startswith("customer tom: the latest 1 entries; --limit shows more\n")
    assert place.do("timeline", "tom", "--since", "2100-01-01") == (
        "customer tom: nothing happened since 2100-01-01 00:00\n"
    )


def test_a_customer_whom_the_ledger_does_not_know_has_no_timeline(place: Workplace) -> None:
    ended = place.holdfast("timeline", "nemo")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "holdfast: the ledger has nothing of customer 'nemo'; check the id: no worker has evaluated it\n"
    )


def test_what_if_shows_what_a_worker_then_does(place: Workplace) -> None:
    """With the same message, and nothing is changed by asking."""
    place.set_customer("will")
    place.update("will")
    before = checksum(place)
    change = ("what-if", "will", "--set", "days_since_last_transaction=90", "--set", "total_revenue=2000")
    found = json.loads(place.do(*change, "--json"))
    shown = place.do(*change)
    assert checksum(place) == before
    (fired,) = found["decisions"]
    assert (fired["campaign"], fired["outcome"], fired["caused"]) == ("win-back", "fired", True)
    entered = {each["segment"] for each in found["memberships"] if each["after"] and not each["before"]}
    assert entered == {"lapsing", "big-spenders"}
    assert "- days_since_last_transaction 5 -> 90" in shown
    assert "- win-back would contact: entered_segment: lapsing" in shown

    place.set_customer("will", days=90, revenue=2000)
    place.update("will")
    (sent,) = place.triggers("will")
    assert (sent["message"], sent["channel"]) == (fired["message"], fired["channel"])
    again = json.loads(place.do("what-if", "will", "--json"))
    assert (again["decisions"], again["changes"]) == ([], [])


def test_what_if_withholds_with_the_reason_and_overrides_a_score(place: Workplace) -> None:
    place.set_customer("wanda")
    place.update("wanda")
    shown = place.do(
        "what-if",
        "wanda",
        *("--set", "days_since_last_transaction=90", "--set", "email_consent=false", "--set", "churn_probability=0.9"),
    )
    assert "- win-back would withhold: no consent" in shown
    assert "churn_probability is set in place of the score of mock" in shown
    assert "- churn_risk " in shown.partition("scores:")[2] or '"high"' in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--set", "days_since_last=90"), "no fact 'days_since_last' that a decision reads; did you mean"),
        (("--set", "total_revenue=much"), "total_revenue is a number; 'much' is none"),
        (("--set", "total_revenue=nan"), "total_revenue is a number; 'nan' is none"),
        (("--set", "email_consent=perhaps"), "email_consent is true or false; 'perhaps' is neither"),
        (("--set", "birth_date=young"), "birth_date is a time; 'young' is none"),
        (("--set", "total_revenue"), "is not of the form FACT=VALUE"),
        (("--set", "total_revenue=1", "--unset", "total_revenue"), "total_revenue is both set and unset"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(place: Workplace, words: tuple[str, ...], sentence: str) -> None:
    place.set_customer("xaver")
    ended = place.holdfast("what-if", "xaver", *words)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def checksum(place: Workplace) -> dict[str, str]:
    """Return a digest of every table of the ledger, of Redis, and the ends of all topics."""
    digests: dict[str, Any] = {}
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as ledger:
        tables = ledger.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} t").format(
                sql.Identifier(table)
            )
            digests[table] = ledger.execute(query).fetchall()[0][0]
    with redis.Redis.from_url(place.environment["HOLDFAST_REDIS_URL"]) as cache:
        stored = sorted((key, cache.dump(key)) for key in cache.keys("*"))
        digests["redis"] = hashlib.sha256(repr(stored).encode()).hexdigest()
    for topic in ("campaign-triggers", "decisions", "dead-letters"):
        digests[topic] = str(len(place.see(topic)))
    return digests
