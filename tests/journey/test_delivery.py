"""Triggers by e-mail and webhook, on real Kafka and PostgreSQL, a mail server and a web server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from console.demo.worker_process import WorkerProcess
from tests.forked_process import ForkedProcess, run_command
from tests.journey.receivers import mail_server, web_server
from tests.journey.test_worker import workplace
from tests.journey.workplace import campaign, wait_until, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
    """A workplace whose lapsing customers get an e-mail, and of whom the CRM is told."""
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
        }
        yield lent


def fork_deliver(environment: Mapping[str, str], log: Path) -> ForkedProcess:
    return ForkedProcess(run_command, ["deliver"], environment, log)


@contextmanager
def delivering(
    place: Workplace, start: Callable[[Mapping[str, str], Path], ForkedProcess] = fork_deliver
) -> Iterator[WorkerProcess]:
    """Run `holdfast deliver` meanwhile."""
    process = WorkerProcess(place.environment, place.folder / "deliver.log", start)
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.stop()


def lapse(place: Workplace, customer: str, address: str | None = None) -> str:
    """Make a customer lapse, and return the address."""
    address = address or f"{customer}@mail.example"
    place.set_customer(customer)
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
        warehouse.execute("UPDATE customer_features_view SET email = %s WHERE customer_id = %s", [address, customer])
    place.update(customer)
    place.set_customer(customer, days=90)
    place.update(customer)
    return address


def outcomes(place: Workplace, customer: str) -> dict[str, tuple[str, str]]:
    """Return (channel, outcome) of each outcome event of a customer, by id."""
    bodies: list[dict[str, Any]] = [each.body for each in place.see("outcomes") if each.key == customer.encode()]
    return {body["id"]: (body["channel"], body["type"]) for body in bodies}


@pytest.mark.usefixtures("worker")
def test_a_trigger_becomes_an_email_a_webhook_and_two_outcomes(
    place: Workplace, mail: MailServer, hook: WebServer
) -> None:
    """The ledger then knows that both contacts were delivered."""
    address = lapse(place, "ann")
    with delivering(place):
        wait_until(lambda: len(outcomes(place, "ann")) == 2)
    (message,) = mail.mails(address)
    (email,) = (each for each in place.triggers("ann") if each["channel"] == "email")
    assert message["Message-ID"] == f"<{email['trigger_id']}@shop.example>"
    assert message["Subject"] == "We miss you"
    assert hook.received[-1][0]["webhook-id"]
    place.settle()
    rows = place.ask_ledger("SELECT channel, status FROM contact WHERE customer_id = 'ann'")
    assert sorted(rows) == [("crm", "delivered"), ("email", "delivered")]
