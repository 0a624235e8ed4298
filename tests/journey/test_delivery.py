"""Triggers by e-mail and webhook, on real Kafka and PostgreSQL, a mail server and a web server."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from console.demo.worker_process import WorkerProcess
from delivery.signatures import read_secret, sign_webhook
from tests.forked_process import ForkedProcess, run_command
from tests.journey.deliver_with_faults import run as run_faulty
from tests.journey.receivers import mail_server, web_server
from tests.journey.test_worker import workplace
from tests.journey.workplace import TIMEOUT_S, campaign, wait_until, write_json
from tests.triggers import trigger_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.receivers import MailServer, WebServer
    from tests.journey.workplace import Workplace

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 - of a test
ATTEMPT_S = 1.0


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def hook() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def place(
    endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory, mail: MailServer, hook: WebServer
) -> Iterator[Workplace]:
    """A workplace whose lapsing customers get an e-mail, and whom the CRM is notified about."""
    folder = tmp_path_factory.mktemp("delivery")
    with workplace(endpoints, folder) as lent:
        definitions = folder / "definitions"
        channels = [
            {"key": "email", "message_format": "html"},
            {"key": "crm", "message_format": "text", "consent_column": "email_consent"},
        ]
        write_json(definitions / "campaigns" / "channels.json", channels)
        note = {**campaign("crm-note", "lapsing", "on_enter"), "channels": ["crm"], "competes": False}
        write_json(definitions / "campaigns" / "crm-note.json", note)
        delivery = {
            "unsubscribe": {"base_url": "http://127.0.0.1:1/u", "port": 0},
            "retries": {"first_pause_s": 0.2, "longest_pause_s": 1},
            "alarm": {"least": 3},
            "channels": [
                {
                    "channel": "email",
                    "by": "smtp",
                    "sender": "Shop <news@shop.example>",
                    "address_column": "email",
                    "subject": "An offer for you",
                    "subjects": {"win-back": "We miss you"},
                    "timeout_s": ATTEMPT_S,
                },
                {"channel": "crm", "by": "webhook", "timeout_s": ATTEMPT_S},
            ],
        }
        write_json(definitions / "delivery.json", delivery)
        lent.environment = {
            **lent.environment,
            "HOLDFAST_DELIVERY_EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
            "HOLDFAST_DELIVERY_CRM_URL": f"http://127.0.0.1:{hook.port}/hook",
            "HOLDFAST_DELIVERY_CRM_SECRET": SECRET,
            "HOLDFAST_UNSUBSCRIBE_SECRET": SECRET,
            "HOLDFAST_PRIVATE_COLUMNS": "email",
            # A killed process keeps its partitions for so long.
            "HOLDFAST_SESSION_TIMEOUT_S": "6",
        }
        yield lent


def fork_deliver(environment: Mapping[str, str], log: Path) -> ForkedProcess:
    return ForkedProcess(run_command, ["deliver"], environment, log)


@contextmanager
def delivering(place: Workplace) -> Iterator[WorkerProcess]:
    """Run `holdfast deliver` meanwhile."""
    process = WorkerProcess(place.environment, log_of(place), fork_deliver)
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.stop()
        assert process._process.returncode == 0


def log_of(place: Workplace) -> Path:
    return place.folder / "deliver.log"


def read_log(place: Workplace) -> list[dict[str, Any]]:
    """Return what the last process has logged."""
    return [json.loads(line) for line in log_of(place).read_text().splitlines()]


def set_warehouse(place: Workplace, customer: str, column: str, value: object) -> None:
    query = sql.SQL("UPDATE customer_features_view SET {} = %s WHERE customer_id = %s").format(sql.Identifier(column))
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute(query, [value, customer])


def add_customer(place: Workplace, customer: str) -> str:
    """Add a customer to the warehouse, and return the address."""
    address = f"{customer}@mail.example"
    place.set_customer(customer)
    set_warehouse(place, customer, "email", address)
    return address


def lapse(place: Workplace, customer: str) -> str:
    """Make a customer lapse: an e-mail and a note for the CRM are due. Return the address."""
    address = add_customer(place, customer)
    place.update(customer)
    place.set_customer(customer, days=90)
    place.update(customer)
    return address


def trigger(customer: str, **changes: Any) -> dict[str, Any]:
    """Return a trigger that no worker has made."""
    body: dict[str, Any] = json.loads(trigger_bytes(customer))
    now = datetime.now(UTC)
    return {**body, "trigger_id": str(uuid4()), "expires_at": (now + timedelta(hours=1)).isoformat(), **changes}


def outcomes(place: Workplace, customer: str) -> dict[str, tuple[str, str, str | None]]:
    """Return (channel, outcome, reason) of each outcome event of a customer, by id."""
    bodies = [each.body for each in place.see("outcomes") if each.key == customer.encode()]
    return {body["id"]: (body["channel"], body["type"], body.get("reason")) for body in bodies}


def wait_for_outcomes(place: Workplace, customer: str, count: int) -> list[tuple[str, str, str | None]]:
    """Return the outcomes of a customer when there are so many, in the order of channels."""
    wait_until(lambda: len(outcomes(place, customer)) >= count)
    return sorted(outcomes(place, customer).values())


@pytest.mark.usefixtures("worker")
def test_a_trigger_becomes_an_email_a_webhook_and_two_outcomes(
    place: Workplace, mail: MailServer, hook: WebServer
) -> None:
    """The ledger then knows that both contacts were delivered; the log knows no address."""
    address = lapse(place, "ann")
    with delivering(place):
        wait_for_outcomes(place, "ann", 2)
    triggers = {each["channel"]: each for each in place.triggers("ann")}
    (message,) = mail.mails(address)
    assert message["Message-ID"] == f"<{triggers['email']['trigger_id']}@shop.example>"
    assert message["Subject"] == "We miss you"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert triggers["email"]["message"] in str(message.get_body(("html",)))
    (note,) = [each for each in hook.received if each[0]["webhook-id"] == triggers["crm"]["trigger_id"]]
    assert json.loads(note[1]) == triggers["crm"]
    timestamp = int(note[0]["webhook-timestamp"])
    signed = sign_webhook([read_secret(SECRET)], triggers["crm"]["trigger_id"], timestamp, note[1])
    assert note[0]["webhook-signature"] == signed["webhook-signature"]
    place.settle()
    rows = place.ask_ledger("SELECT channel, status FROM contact WHERE customer_id = 'ann'")
    assert sorted(rows) == [("crm", "delivered"), ("email", "delivered")]
    assert address not in log_of(place).read_text()
    assert place.ask_ledger("SELECT count(*) FROM delivery WHERE body IS NOT NULL") == [(0,)]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("dies", "mails"),
    [
        ("before accept", 1),
        ("after accept", 1),
        ("after commit", 1),
        ("after claim", 1),
        ("after check", 1),
        ("before send", 1),
        ("after send", 2),  # the mail server has accepted it, and no record says so
        ("before settle", 2),
        ("after settle", 1),
        ("before publish", 1),
        ("after publish", 1),
        ("after mark", 1),
    ],
)
def test_a_kill_at_any_step_loses_nothing(place: Workplace, mail: MailServer, dies: str, mails: int) -> None:
    """One outcome under one id; two e-mails only where the first cannot be known of, and both with one Message-ID."""
    customer = dies.replace(" ", "-")
    address = lapse(place, customer)
    environment = {**place.environment, "DELIVER_DIES": dies, "HOLDFAST_HEALTH_PORT": "0"}
    killed = ForkedProcess(run_faulty, ["deliver"], {**os.environ, **environment}, log_of(place))
    assert killed.wait(TIMEOUT_S) == -signal.SIGKILL
    with delivering(place):
        delivered = wait_for_outcomes(place, customer, 2)
    assert [each[:2] for each in delivered] == [("crm", "outcome.delivered"), ("email", "outcome.delivered")]
    received = mail.mails(address)
    assert len(received) == mails
    assert len({message["Message-ID"] for message in received}) == 1
    place.settle()
    contacts = place.ask_ledger("SELECT customer_id, status FROM contact")
    assert [each for each in contacts if each[0] == customer] == [(customer, "delivered")] * 2


@pytest.mark.usefixtures("worker")
def test_refusals_are_bounces_and_delays_are_repeated(place: Workplace, mail: MailServer, hook: WebServer) -> None:
    """A webhook that refuses has failed; the ledger knows both."""
    bounced, delayed = lapse(place, "bounced"), lapse(place, "delayed")
    mail.answers[bounced] = [f"550 5.1.1 {bounced} does not exist"]
    mail.answers[delayed] = ["450 4.2.1 later", "451 4.7.1 later"]
    hook.answers = [(503, {"Retry-After": "1"}), (410, {})]
    with delivering(place):
        assert wait_for_outcomes(place, "bounced", 2)[1] == ("email", "outcome.bounced", "smtp recipient: 550 5.1.1")
        assert wait_for_outcomes(place, "delayed", 2)[1] == ("email", "outcome.delivered", "smtp 250")
    assert (len(mail.mails(bounced)), len(mail.mails(delayed))) == (0, 1)
    by_webhook = [outcomes(place, each).values() for each in ("bounced", "delayed")]
    reasons = sorted(str(reason) for each in by_webhook for channel, _, reason in each if channel == "crm")
    assert reasons == ["http 204", "http 410"]
    assert bounced not in log_of(place).read_text()
    place.settle()
    rows = place.ask_ledger("SELECT status FROM contact WHERE customer_id = 'bounced' AND channel = 'email'")
    assert rows == [("bounced",)]


def test_quiet_hours_hold_a_trigger_through_a_crash_and_hold_back_no_other(place: Workplace, mail: MailServer) -> None:
    """Until then; an expired one is never sent."""
    held, other, late = (add_customer(place, name) for name in ("held", "other", "late"))
    now = datetime.now(UTC)
    due = now + timedelta(seconds=5)
    place.publish(
        "campaign-triggers",
        trigger("held", deliver_after=due.isoformat()),
        trigger("other"),
        trigger("late", expires_at=now.isoformat()),
    )
    first = WorkerProcess(place.environment, log_of(place), fork_deliver)
    wait_for_outcomes(place, "other", 1)
    os.kill(first.pid, signal.SIGKILL)
    assert mail.mails(held) == []
    with delivering(place):
        assert wait_for_outcomes(place, "held", 1) == [("email", "outcome.delivered", "smtp 250")]
        assert datetime.now(UTC) >= due
        assert wait_for_outcomes(place, "late", 1) == [("email", "outcome.failed", "expired")]
    assert [len(mail.mails(each)) for each in (held, other, late)] == [1, 1, 0]


def test_consent_that_is_gone_since_the_decision_withholds_a_trigger(place: Workplace, mail: MailServer) -> None:
    address = add_customer(place, "gone")
    place.publish("campaign-triggers", trigger("gone"), trigger("gone", channel="crm"))
    set_warehouse(place, "gone", "email_consent", value=False)
    with delivering(place):
        assert wait_for_outcomes(place, "gone", 2) == [
            ("crm", "outcome.failed", "no_consent"),
            ("email", "outcome.failed", "no_consent"),
        ]
    assert mail.mails(address) == []


@pytest.mark.usefixtures("worker")
def test_one_click_unsubscribes_at_once(place: Workplace, mail: MailServer) -> None:
    """By POST; a GET changes nothing. What waits for the customer is withheld, and the workers learn of it."""
    address = add_customer(place, "leaver")
    due = datetime.now(UTC) + timedelta(seconds=4)
    place.publish("campaign-triggers", trigger("leaver"), trigger("leaver", deliver_after=due.isoformat()))
    with delivering(place):
        wait_for_outcomes(place, "leaver", 1)
        (message,) = mail.mails(address)
        (port,) = [each["port"] for each in read_log(place) if each["event"] == "unsubscribe_page_served"]
        url = str(message["List-Unsubscribe"]).strip("<>").replace("127.0.0.1:1/", f"127.0.0.1:{port}/")
        with urlopen(url, timeout=30) as answer:  # noqa: S310 - the page above
            assert b"<form" in answer.read()
        assert place.ask_ledger("SELECT count(*) FROM opt_out") == [(0,)]
        with urlopen(url, data=b"List-Unsubscribe=One-Click", timeout=30) as answer:  # noqa: S310 - as above
            assert answer.status == 200
        found = wait_for_outcomes(place, "leaver", 3)
    assert [each[1:] for each in found] == [
        ("outcome.delivered", "smtp 250"),
        ("outcome.failed", "no_consent"),
        ("outcome.unsubscribed", None),
    ]
    assert len(mail.mails(address)) == 1
    place.settle()
    query = "SELECT channel, granted, source FROM consent_change WHERE customer_id = 'leaver'"
    assert place.ask_ledger(query) == [("email", False, "unsubscribed")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"HOLDFAST_DELIVERY_EMAIL_URL": ""}, "HOLDFAST_DELIVERY_EMAIL_URL is not set"),
        ({"HOLDFAST_UNSUBSCRIBE_SECRET": "short"}, "HOLDFAST_UNSUBSCRIBE_SECRET: a secret must"),
        ({"HOLDFAST_DELIVERY_CRM_URL": "http://crm.example"}, "HOLDFAST_DELIVERY_CRM_URL: must be an https:// address"),
        ({"HOLDFAST_TOPIC_PREFIX": "none."}, "holdfast topics create"),
        ({"HOLDFAST_WAREHOUSE_URL": "postgresql://127.0.0.1:1/none"}, "warehouse"),
    ],
)
def test_a_mistake_is_one_sentence(place: Workplace, changed: dict[str, str], said: str) -> None:
    """And exit code 2."""
    result = place.holdfast("deliver", **changed)
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 2, result.stderr
    assert last.startswith("holdfast: ")
    assert said in last
    assert "Traceback" not in result.stderr
