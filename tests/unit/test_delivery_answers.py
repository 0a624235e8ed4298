"""What answers of mail servers and webhooks mean."""

from __future__ import annotations

from datetime import timedelta

import pytest

from delivery.answers import Retry, Settled, TryAgain, conclude, find_pause, read_http_answer, read_smtp_refusal
from delivery.config import Retries
from tests.triggers import NOW

RETRIES = Retries(first_pause_s=10, longest_pause_s=100)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("stage", "code", "answer"),
    [
        ("recipient", 550, Settled("bounced", "smtp recipient: 550 5.1.1")),
        ("message", 554, Settled("bounced", "smtp message: 554 5.1.1")),
        ("recipient", 450, TryAgain("smtp recipient: 450 5.1.1")),
        ("message", 452, TryAgain("smtp message: 452 5.1.1")),
        ("sender", 550, TryAgain("smtp sender: 550 5.1.1")),
        ("connection", 535, TryAgain("smtp connection: 535 5.1.1")),
    ],
)
def test_only_a_permanent_refusal_of_recipient_or_message_is_a_bounce(stage: str, code: int, answer: object) -> None:
    """A wrong password must not bounce every customer; the server's words, which quote the address, are not kept."""
    said = "5.1.1 <ann@mail.example>: no such user"
    assert read_smtp_refusal(stage, code, said) == answer  # type: ignore[arg-type]


def test_a_refusal_without_an_enhanced_code_has_its_code() -> None:
    assert read_smtp_refusal("recipient", 550, "no") == Settled("bounced", "smtp recipient: 550")


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_a_webhook_that_takes_a_trigger_has_delivered_it(status: int) -> None:
    assert read_http_answer(status, None, NOW) == Settled("delivered", f"http {status}")


@pytest.mark.parametrize("status", [400, 401, 404, 409, 410, 422, 499])
def test_a_webhook_that_refuses_a_trigger_has_failed(status: int) -> None:
    assert read_http_answer(status, "5", NOW) == Settled("failed", f"http {status}")


@pytest.mark.parametrize("status", [301, 308, 408, 425, 429, 500, 502, 503, 599])
def test_other_answers_are_tried_again(status: int) -> None:
    assert read_http_answer(status, None, NOW) == TryAgain(f"http {status}")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Mon, 02 Mar 2026 12:05:00 GMT", 300),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0),
        ("999999999", 86_400),
        ("99999999999999999999", 0),
        ("-5", 0),
        ("soon", 0),
        ("Mon, 99 Mar 2026 12:05:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: int) -> None:
    """One day at most; one that cannot be read asks for nothing."""
    assert read_http_answer(503, header, NOW) == TryAgain("http 503", timedelta(seconds=seconds))


def test_pauses_double_up_to_the_longest() -> None:
    pauses = [find_pause(attempts, RETRIES).total_seconds() for attempts in (1, 2, 3, 4, 5, 6, 10_000)]
    assert pauses == [10, 20, 40, 80, 100, 100, 100]


def test_an_attempt_that_failed_is_repeated_after_its_pause() -> None:
    later = NOW + timedelta(days=1)
    assert conclude(TryAgain("http 503"), 2, NOW, later, RETRIES) == Retry("http 503", NOW + 20 * SECOND)
    asked = TryAgain("http 503", 60 * SECOND)
    assert conclude(asked, 2, NOW, later, RETRIES) == Retry("http 503", NOW + 60 * SECOND)
    settled = Settled("delivered", "http 204")
    assert conclude(settled, 2, NOW, NOW, RETRIES) is settled


def test_a_trigger_that_expires_before_the_next_attempt_has_failed() -> None:
    expires = NOW + 20 * SECOND
    assert conclude(TryAgain("smtp 451"), 2, NOW, expires, RETRIES) == Settled(
        "failed", "expired after 2 attempts, the last one: smtp 451"
    )
