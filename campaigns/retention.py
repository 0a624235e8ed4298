"""How long rows are kept, which of them may be deleted, and up to when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from campaigns.errors import RetentionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from campaigns.candidates import Definitions
    from campaigns.definition import Campaign

CLOCK_SKEW = timedelta(hours=1)
"""How far a producer's clock may be ahead: a row may be written so long before the timestamp of its record."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be deleted of a table.

    Attributes:
        setting: of the days, a key of the retention.
        condition: in SQL, with `cutoff`.
        guards: whether a missing row would let a redelivered record have a second effect.
    """

    table: str
    setting: str
    condition: str
    guards: bool = False


RULES = (
    Rule("outbox", "outbox", "sent_at < %(cutoff)s AND failed_at IS NULL"),
    Rule("seen_event", "seen_event", "seen_at < %(cutoff)s", guards=True),
    Rule("decision", "decision", "recorded_at < %(cutoff)s", guards=True),
    Rule("contact", "contact", "recorded_at < %(cutoff)s", guards=True),
    Rule(
        "dead_letter",
        "dead_letter",
        "resolution IN ('requeued', 'discarded') AND resolved_at < %(cutoff)s AND created_at < %(cutoff)s",
        guards=True,
    ),
    Rule("delivery", "delivery", "reported_at < %(cutoff)s AND greatest(settled_at, expires_at) < %(cutoff)s"),
    Rule("opt_out", "delivery", "reported_at < %(cutoff)s"),
    Rule("experiment_customer", "contact", "recorded_at < %(cutoff)s"),
    # What a redelivered event of a lead would be compared with.
    Rule("lead", "lead", "changed_at < %(cutoff)s", guards=True),
    Rule("lead_event", "lead", "recorded_at < %(cutoff)s"),
    Rule("campaign_hour", "campaign_hour", "hour < floor(extract(epoch FROM %(cutoff)s) / 3600)"),
    Rule("segment_size", "segment_size", "at < %(cutoff)s"),
    Rule("audit_entry", "audit", "at < %(cutoff)s"),
    # Those that no later sign-in or request has removed.
    Rule("console_session", "audit", "expires_at < %(cutoff)s"),
    Rule("console_device", "audit", "expires_at < %(cutoff)s"),
    Rule("console_try", "audit", "ends_at < %(cutoff)s"),
    Rule("console_action", "audit", "begun_at < %(cutoff)s"),
    Rule("console_job", "audit", "ended_at < %(cutoff)s"),
)


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is to be deleted.

    Attributes:
        cutoffs: by table, the time before which its rows may be deleted.
        horizon: records with an older timestamp have no second effect from now on; None where nothing guards.
        held_back: the horizon that the settings give, where what is not processed yet holds it back.
    """

    cutoffs: Mapping[str, datetime]
    horizon: datetime | None
    held_back: datetime | None = None


def plan_pruning(days: Mapping[str, float], *, now: datetime, oldest_unprocessed: datetime | None) -> Pruning:
    """Return what may be deleted: nothing that guards a record that is not processed yet.

    Args:
        days: how long rows are kept by setting; 0 keeps them.
        now: the present time.
        oldest_unprocessed: the timestamp of the oldest record that the group has not processed, None without any.
    """
    wanted = {rule: now - timedelta(days=days[rule.setting]) for rule in RULES if days[rule.setting]}
    latest = max((cutoff for rule, cutoff in wanted.items() if rule.guards), default=None)
    horizon = latest
    if latest is not None and oldest_unprocessed is not None:
        horizon = min(latest, oldest_unprocessed - CLOCK_SKEW)
    cutoffs = {
        rule.table: min(cutoff, horizon - CLOCK_SKEW) if rule.guards and horizon is not None else cutoff
        for rule, cutoff in wanted.items()
    }
    return Pruning(cutoffs, horizon, latest if latest != horizon else None)


def check_retention(days: Mapping[str, float], campaigns: Sequence[Campaign], definitions: Definitions) -> None:
    """Compare the retention with the windows of the definitions.

    Raises:
        RetentionError: rows that a cooldown, a limit or a breaker counts would be deleted.
    """
    cooldown = max((each.cooldown_days for each in campaigns), default=0)
    contacts = max(cooldown, definitions.longest_limit / timedelta(days=1))
    needed = {
        "contact": (contacts, "cooldown, limit or repeat_days"),
        "campaign_hour": (definitions.longest_breaker / 24, "breaker"),
    }
    for setting, (least, what) in needed.items():
        if 0 < days[setting] <= least:
            raise RetentionError(
                f"HOLDFAST_RETENTION_{setting.upper()}_DAYS is {days[setting]:g}; the longest {what} of the "
                f"definitions counts {least:g} days: keep more than that"
            )
