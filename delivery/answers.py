"""What the answer of a mail server or of a webhook means for a delivery. Pure.

Reasons hold codes and never a server's own words: those often quote the address.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from delivery.config import Retries

Outcome = Literal["delivered", "bounced", "failed"]
SmtpStage = Literal["connection", "sender", "recipient", "message"]

LATER_OF_4XX = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""The answers below 500 after which a webhook is tried again."""
LONGEST_RETRY_AFTER = timedelta(days=1)
_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})\b")
_PERMANENT_SMTP = 500


@dataclass(frozen=True, slots=True)
class Settled:
    """The delivery has this outcome and is not attempted again."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The attempt failed for this reason; the server asks for a pause of at least `after`."""

    reason: str
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Retry:
    """Attempt it again at this time."""

    reason: str
    at: datetime


Answer = Settled | TryAgain


def read_smtp_refusal(stage: SmtpStage, code: int, text: str) -> Answer:
    """Return what the refusal of a mail server means (RFC 5321, section 4.2.1; enhanced codes: RFC 3463).

    A permanent refusal of the recipient or of the message is a bounce. One of the connection, of the password or of the
    sender concerns every message and is corrected by an operator: the message is tried again.
    """
    enhanced = _ENHANCED.match(text)
    reason = f"smtp {stage}: {code}{' ' + enhanced[1] if enhanced else ''}"
    if stage in {"recipient", "message"} and code >= _PERMANENT_SMTP:
        return Settled("bounced", reason)
    return TryAgain(reason)


def read_http_answer(status: int, retry_after: str | None, now: datetime) -> Answer:
    """Return what the answer of a webhook means.

    Args:
        status: the status code.
        retry_after: the header Retry-After.
        now: the time to which it is relative where it is a date.
    """
    reason = f"http {status}"
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Settled("delivered", reason)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER_OF_4XX:
        return Settled("failed", reason)
    return TryAgain(reason, _read_retry_after(retry_after, now))


def _read_retry_after(value: str | None, now: datetime) -> timedelta:
    """Return the pause that a server asks for, in seconds or as a date (RFC 9110, section 10.2.3)."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(timedelta(seconds=int(text)), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return timedelta()
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), LONGEST_RETRY_AFTER)


def conclude(answer: Answer, attempts: int, now: datetime, expires_at: datetime, retries: Retries) -> Settled | Retry:
    """Return what follows from the answer to an attempt.

    A trigger that would expire before the next attempt has failed.

    Args:
        answer: the answer.
        attempts: the attempts made, this one included.
        now: the time of the answer.
        expires_at: from then on the trigger may not be delivered.
        retries: the pauses between attempts.
    """
    if isinstance(answer, Settled):
        return answer
    at = now + max(find_pause(attempts, retries), answer.after)
    if at >= expires_at:
        return Settled("failed", f"expired after {attempts} attempts, the last one: {answer.reason}")
    return Retry(answer.reason, at)


def find_pause(attempts: int, retries: Retries) -> timedelta:
    """Return the pause after so many attempts: it doubles with each one, up to the longest."""
    doublings = min(max(attempts - 1, 0), math.ceil(math.log2(retries.longest_pause_s / retries.first_pause_s)))
    return timedelta(seconds=min(retries.first_pause_s * 2**doublings, retries.longest_pause_s))
