"""Checks of the settings with one another, and of what is installed. They need no service."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from console.use_cases.doctor.findings import note, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from console.use_cases.doctor.findings import Finding
    from streams.settings import Settings

LOCKS = Path(__file__).parents[3] / "requirements"
"""The locks of a source tree; an installed package has none. Extras may have other versions than the worker alone."""
SHOWN = 5
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def check_mock_mode(settings: Settings) -> Iterator[Finding]:
    """Scores are not made up."""
    if settings.mock_mode:
        yield warning(
            "mock-mode",
            "ML_MOCK_MODE is true",
            "Scores are sample values by customer id: customers are contacted by chance.",
            "unset ML_MOCK_MODE",
        )


def check_expiry(settings: Settings) -> Iterator[Finding]:
    """Triggers that have expired are withheld."""
    if not settings.withhold_expired:
        yield warning(
            "expired-sent",
            "HOLDFAST_WITHHOLD_EXPIRED is false",
            "Triggers of old events are published; that is for replays.",
            "unset HOLDFAST_WITHHOLD_EXPIRED",
        )


def check_patience(settings: Settings) -> Iterator[Finding]:
    """A worker is not called stuck before the group would notice."""
    if settings.stuck_after_s <= settings.session_timeout_s:
        yield warning(
            "stuck-before-session",
            f"HOLDFAST_STUCK_AFTER_S is {settings.stuck_after_s:g} s, HOLDFAST_SESSION_TIMEOUT_S "
            f"{settings.session_timeout_s:g} s",
            "A worker is restarted during an ordinary rebalance, which makes another one.",
            "set HOLDFAST_STUCK_AFTER_S to several times HOLDFAST_SESSION_TIMEOUT_S",
        )


def check_sizes(settings: Settings) -> Iterator[Finding]:
    """A batch has room for an event."""
    if settings.max_event_bytes > settings.max_batch_bytes:
        yield warning(
            "event-above-batch",
            f"HOLDFAST_MAX_EVENT_BYTES is {settings.max_event_bytes}, HOLDFAST_MAX_BATCH_BYTES "
            f"{settings.max_batch_bytes}",
            "An event of that size in a compressed batch becomes a dead letter with the whole batch.",
            "set HOLDFAST_MAX_BATCH_BYTES above HOLDFAST_MAX_EVENT_BYTES",
        )


def check_replica(settings: Settings) -> Iterator[Finding]:
    """Settings of a replica that lags are read."""
    given = settings.model_fields_set & {"replica_tolerance_s", "replica_wait_s"}
    if given and settings.updated_at_column is None:
        yield note(
            "replica-unread",
            "HOLDFAST_REPLICA_TOLERANCE_S or HOLDFAST_REPLICA_WAIT_S is set, and DWH_UPDATED_AT_COLUMN is not",
            "No row is compared with its event.",
            "set DWH_UPDATED_AT_COLUMN to the column with the time of a row's last change",
        )


def check_password_in_clear(settings: Settings) -> Iterator[Finding]:
    """A password is not sent in clear text to another machine."""
    remote = [each for each in settings.broker.split(",") if not each.strip().startswith(LOOPBACK)]
    protocol, mechanism = settings.kafka_security_protocol, settings.kafka_sasl_mechanism
    if remote and (protocol, mechanism) == ("sasl_plaintext", "PLAIN"):
        yield warning(
            "password-in-clear",
            f"HOLDFAST_KAFKA_SECURITY_PROTOCOL is {protocol} with {mechanism}, and {remote[0]} is another machine",
            "The password crosses the network in clear text.",
            "set HOLDFAST_KAFKA_SECURITY_PROTOCOL to sasl_ssl",
        )


def check_packages(settings: Settings) -> Iterator[Finding]:
    """The packages installed are those of the lock; without a source tree there is none to compare with."""
    locks = (
        [each.read_text(encoding="utf-8") for each in LOCKS.glob("*.txt")] if (LOCKS / "runtime.txt").is_file() else []
    )
    if others := find_other_versions("".join(locks)):
        shown = ", ".join(f"{name} {found}, locked {locked}" for name, (found, locked) in list(others.items())[:SHOWN])
        yield warning(
            "packages-differ",
            f"{len(others)} package(s) have other versions than the locks in {LOCKS.name}/: {shown}",
            "Holdfast is tested with those of the locks.",
            "touch requirements/local.txt && make .venv/runtime",
        )


def find_other_versions(lock: str) -> Mapping[str, tuple[str, str]]:
    """Return the installed and the locked versions of packages that differ, by name, of those that are installed."""
    locked: dict[str, list[str]] = defaultdict(list)
    for name, pinned in _PINNED.findall(lock):
        locked[name].append(pinned)
    others = {}
    for name, versions in locked.items():
        try:
            found = version(name)
        except PackageNotFoundError:  # of another platform or another Python
            continue
        if found not in versions:
            others[name] = (found, " or ".join(sorted(set(versions))))
    return others


CHECKS: Sequence[Callable[[Settings], Iterator[Finding]]] = (
    check_mock_mode,
    check_expiry,
    check_patience,
    check_sizes,
    check_replica,
    check_password_in_clear,
    check_packages,
)
