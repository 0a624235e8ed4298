"""Old rows deleted from the ledger while workers decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from campaigns.candidates import Definitions
from campaigns.postgres_pruning import Pruned, open_pruning
from campaigns.retention import RULES, check_retention, plan_pruning
from intelligence.postgres_messages import open_store
from streams.definitions import read_definitions
from streams.errors import BrokerUnavailableError
from streams.kafka.group_progress import find_oldest_unprocessed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from campaigns.retention import Pruning, Rule
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was deleted by table, up to when, and why guarding tables were left out; empty when they were not.

    `messages` is what was deleted of the message store, None where there is no store, or it keeps its messages.
    """

    pruned: Sequence[Pruned]
    plan: Pruning
    unknown_progress: str = ""
    messages: int | None = None


def prune_ledger(
    settings: Settings, *, now: datetime, dry_run: bool, on_progress: Callable[[str, int, int], None]
) -> PruneReport:
    """Delete the rows whose retention is over, or count them.

    Where the group's progress is unknown, the tables that guard against second effects are left out.

    Args:
        settings: the retention, the ledger, and the group whose progress limits it.
        now: the present time.
        dry_run: only count.
        on_progress: receives the table, its pages done and all its pages.

    Raises:
        RetentionError: the definitions need rows for longer, or another process prunes.
        LedgerUnavailableError, MessageStoreUnavailableError: the ledger or the message store cannot be reached.
    """
    days = settings.retention_days
    defined = read_definitions(settings)
    versions = {each.key: each.version for each in defined.segments}
    definitions = Definitions(defined.campaigns, defined.offers, {}, versions, channels=defined.channels)
    check_retention(days, defined.campaigns, definitions)
    rules: Sequence[Rule] = RULES
    unknown, oldest = "", None
    try:
        oldest = find_oldest_unprocessed(settings)
    except BrokerUnavailableError as error:
        unknown = str(error)
        rules = [each for each in RULES if not each.guards]
    plan = plan_pruning(days, now=now, oldest_unprocessed=oldest)
    with open_pruning(settings.ledger_url) as ledger, ledger.alone():
        chosen = [(each, plan.cutoffs[each.table]) for each in rules if each.table in plan.cutoffs]
        if dry_run:
            counted = [Pruned(each.table, ledger.count(each, cutoff)) for each, cutoff in chosen]
            return PruneReport(counted, plan, unknown, _prune_messages(settings, now, dry_run=True))
        if plan.horizon is not None and not unknown:
            ledger.announce(plan.horizon)
        pruned = [
            ledger.prune(each, cutoff, lambda done, total, table=each.table: on_progress(table, done, total))  # type: ignore[misc]
            for each, cutoff in chosen
        ]
        return PruneReport(pruned, plan, unknown, _prune_messages(settings, now, dry_run=False))


def _prune_messages(settings: Settings, now: datetime, *, dry_run: bool) -> int | None:
    days = settings.retention_message_days
    with open_store(settings.store_url) as store:
        if not days or not store.has_tables():
            return None
        cutoff = now - timedelta(days=days)
        return store.count_older(cutoff) if dry_run else store.delete_older(cutoff)
