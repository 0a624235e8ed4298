"""An operator's launch: one request for evaluation for each member of a campaign's segment.

A trigger's id contains the launch's, so requests that are published twice under one launch id contact no customer
twice. Two launches of a campaign may contact a customer twice: a second one needs `again`. A launch is
published page by page, by customer id; the ledger keeps the last customer whose request Kafka has acknowledged, and an
interrupted launch resumes after it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from campaigns.definition import Launch
from campaigns.definition_versions import name_campaign, name_segment
from campaigns.errors import (
    CampaignDefinitionError,
    DefinitionMissingError,
    LaunchError,
    LedgerUnavailableError,
    UnknownLaunchError,
)
from campaigns.postgres_launches import BEFORE_ALL, open_launches
from features.errors import WarehouseError
from features.warehouses import opened
from streams.definitions import read_definitions, read_ledger
from streams.errors import BrokerUnavailableError
from streams.kafka.event_producer import DELIVERY_TIMEOUT_S
from streams.kafka.launch_requests import LaunchRequestProducer
from streams.known_facts import check_facts, known_facts
from streams.runtime.model_reload import load_models
from streams.warehouse import find_warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from campaigns.definition import Campaign, DefinitionSet
    from campaigns.postgres_launches import PostgresLaunches
    from campaigns.records import LaunchRecord
    from streams.settings import Settings

PAGE_MEMBERS = 5_000
MAX_LAUNCH_ID = 100
TAKEN_UP_AFTER = timedelta(seconds=10)
"""In which every worker has looked for changed definitions, see streams/runtime/definition_reload.py."""


@dataclass(frozen=True, slots=True)
class LaunchProgress:
    """The progress of a launch: members requested, of all members."""

    launch_id: str
    members: int
    total: int


@dataclass(frozen=True, slots=True)
class Launched:
    """A complete launch.

    Attributes:
        members: members requested, those of earlier attempts included.
        earlier: members that earlier attempts requested.
        was_complete: it was complete before; nothing was published.
        unchecked: why the campaign's facts could not be checked; None when they were. Workers check them at start.
    """

    launch_id: str
    segment: str
    members: int
    earlier: int = 0
    was_complete: bool = False
    unchecked: str | None = None


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What became of a launch so far.

    Attributes:
        launch: the launch.
        decided: customers by (outcome, reason), the most frequent first.
    """

    launch: LaunchRecord
    decided: Mapping[tuple[str, str], int]

    @property
    def undecided(self) -> int:
        """Members requested and not decided: their requests wait, or became dead letters."""
        return max(0, self.launch.members - sum(self.decided.values()))


def find_result(settings: Settings, launch_id: str) -> LaunchResult:
    """Return what the workers have decided for a launch.

    Raises:
        UnknownLaunchError: there is no launch of that id.
        LedgerUnavailableError: the ledger cannot be read.
    """
    with open_launches(settings.ledger_url) as launches:
        launch = launches.find(launch_id)
        if launch is None:
            raise UnknownLaunchError(
                f"there is no launch {launch_id!r}; `holdfast campaigns launch` prints the id of each"
            )
        return LaunchResult(launch, launches.count_decisions(launch))


def count_requested(settings: Settings, last: LaunchProgress) -> int:
    """Return the members that an interrupted launch has requested.

    The ledger may be one page ahead of the last progress. Without the ledger it is that of the last progress.
    """
    try:
        with open_launches(settings.ledger_url) as launches:
            launch = launches.find(last.launch_id)
    except LedgerUnavailableError:
        return last.members
    return last.members if launch is None else launch.members


def find_launchable(campaigns: Sequence[Campaign], key: str) -> Campaign:
    """Return the campaign that an operator names.

    Raises:
        CampaignDefinitionError: there is none, or it is not launched by operators.
    """
    by_key = {campaign.key: campaign for campaign in campaigns}
    if key not in by_key:
        raise DefinitionMissingError(f"no campaign {key!r}; there are: {', '.join(sorted(by_key))}")
    if by_key[key].launch is not Launch.BY_OPERATOR:
        runs = f"campaign {key!r} runs by itself {_describe_cause(by_key[key])}"
        raise CampaignDefinitionError(f'{runs}; only campaigns with "launch": "by_operator" are launched')
    return by_key[key]


def _describe_cause(campaign: Campaign) -> str:
    if campaign.event:
        return f"at each {campaign.event} of a member of {campaign.segment!r}"
    verb = "enters" if campaign.launch is Launch.ON_ENTER else "leaves"
    return f"when a customer {verb} {campaign.segment!r}"


def count_launch(settings: Settings, key: str) -> int:
    """Return how many members a new launch of a campaign would request; nothing is published.

    Fewer may be contacted: consent, cooldown, holdout and limits count.

    Raises:
        CampaignDefinitionError: see find_launchable.
        LaunchError: the campaign is stopped.
        LedgerUnavailableError: the ledger cannot be used.
    """
    campaign = find_launchable(read_definitions(settings).campaigns, key)
    with open_launches(settings.ledger_url) as launches:
        _refuse_stopped(launches, key)
        return launches.count_members(campaign.segment, after=BEFORE_ALL)


async def check_launch_facts(settings: Settings, definitions: DefinitionSet, campaign: Campaign) -> str | None:
    """Refuse a campaign whose message or segment reads unknown facts.

    Returns:
        None, or why the facts could not be checked.

    Raises:
        CampaignDefinitionError: a fact is unknown.
    """
    try:
        async with opened(find_warehouse(settings)) as warehouse:
            columns = await warehouse.fetch([])
    except WarehouseError as error:
        return str(error)
    segments = tuple(each for each in definitions.segments if each.key == campaign.segment)
    launched = replace(definitions, segments=segments, campaigns=(campaign,))
    scorers = load_models(settings, definitions.offers)
    known = known_facts(columns, scorers, marks_stale=settings.updated_at_column is not None)
    check_facts(launched, known, settings.features_table)
    return None


def launch_campaign(  # noqa: PLR0913 - each is one choice of the operator
    settings: Settings,
    key: str,
    *,
    by: str,
    at: datetime | None = None,
    launch_id: str | None = None,
    again: bool = False,
    on_progress: Callable[[LaunchProgress], None] = lambda _: None,
    page: int = PAGE_MEMBERS,
    timeout_s: float = DELIVERY_TIMEOUT_S,
) -> Launched:
    """Request the evaluation of every member of a campaign's segment on the evaluations topic.

    The workers decide as for any event: consent, cooldown and holdout count, and customers who have left the segment by
    then are left out. Customers who enter it during the launch may or may not be included. Where the campaign or its
    segment was changed in the last TAKEN_UP_AFTER, a launch begins or goes on when that is over.

    Args:
        settings: where Kafka, the ledger and the definitions are.
        key: the campaign's.
        by: the operator's name.
        at: event time of a new launch; now, when None. A resumed launch keeps its own.
        launch_id: resumes this launch, or begins one with this id.
        again: begin a new launch although the campaign has one already.
        on_progress: called when the launch begins and after each page.
        page: members published between two records of progress.
        timeout_s: longest wait for Kafka to acknowledge a page.

    Raises:
        CampaignDefinitionError: see find_launchable and check_launch_facts.
        LaunchError: the launch is refused; the message says what to do instead.
        BrokerUnavailableError: not every request was acknowledged; resume with the same id.
        LedgerUnavailableError: the ledger cannot be used; resume with the same id.
    """
    definitions = read_definitions(settings)
    campaign = find_launchable(definitions.campaigns, key)
    unchecked = asyncio.run(check_launch_facts(settings, definitions, campaign))
    if launch_id is not None:
        _check_id(launch_id)
    with open_launches(settings.ledger_url) as launches, launches.launch_alone(key):
        begun = _find_begun(launches, key, launch_id, again=again)
        if begun is None or begun.done_at is None:
            _refuse_stopped(launches, key)
            _await_take_up(settings, campaign)
        if begun is None:
            name = launch_id or uuid.uuid4().hex[:12]
            begun = launches.begin(name, key, as_of=at or datetime.now(UTC), by=by)
        if begun.done_at is not None:
            return Launched(
                begun.launch_id, campaign.segment, begun.members, begun.members, was_complete=True, unchecked=unchecked
            )
        producer = LaunchRequestProducer(settings, timeout_s=timeout_s)
        launched = _publish(producer, launches, campaign, begun, on_progress, page)
    return replace(launched, unchecked=unchecked)


def check_launch(settings: Settings, key: str, launch_id: str | None = None, *, again: bool = False) -> None:
    """Refuse what launch_campaign would refuse at once, and publish nothing.

    Raises:
        CampaignDefinitionError: see find_launchable.
        LaunchError: the launch would be refused; the message says what to do instead.
        LedgerUnavailableError: the ledger cannot be used.
    """
    find_launchable(read_definitions(settings).campaigns, key)
    with open_launches(settings.ledger_url) as launches:
        begun = _find_begun(launches, key, launch_id, again=again)
        if begun is None or begun.done_at is None:
            _refuse_stopped(launches, key)


def _await_take_up(settings: Settings, campaign: Campaign) -> None:
    """Return when workers have taken up the campaign and its segment: until then they know none of that version."""
    if settings.definitions == "files":
        return
    versions = read_ledger(settings).versions
    changed = max(versions[each].at for each in (name_campaign(campaign.key), name_segment(campaign.segment)))
    time.sleep(max(0.0, (changed + TAKEN_UP_AFTER - datetime.now(UTC)).total_seconds()))


def _refuse_stopped(launches: PostgresLaunches, key: str) -> None:
    """Refuse to launch a stopped campaign: its contacts would be withheld, and not made later."""
    if why := launches.find_stop(key):
        raise LaunchError(
            f"campaign {key!r} is stopped: {why}; resume it first: holdfast campaigns resume {key} --why …"
        )


def _publish(
    producer: LaunchRequestProducer,
    launches: PostgresLaunches,
    campaign: Campaign,
    begun: LaunchRecord,
    on_progress: Callable[[LaunchProgress], None],
    page: int,
) -> Launched:
    name, after, members = begun.launch_id, begun.last_customer_id, begun.members
    total = members + launches.count_members(campaign.segment, after=after)
    on_progress(LaunchProgress(name, members, total))
    for customer_ids in launches.members(campaign.segment, after=after, page=page):
        try:
            producer.publish(campaign.key, name, customer_ids, as_of=begun.as_of)
        except BrokerUnavailableError as error:
            raise BrokerUnavailableError(
                f"launch {name} is incomplete after {members:,} of {total:,} members ({error}); "
                f"{how_to_resume(campaign.key, name)}"
            ) from error
        launches.advance(name, last=customer_ids[-1], members=len(customer_ids))
        members += len(customer_ids)
        on_progress(LaunchProgress(name, members, max(total, members)))
    launches.finish(name)
    return Launched(name, campaign.segment, members, begun.members)


def how_to_resume(campaign: str, launch_id: str) -> str:
    """Return the command that resumes a launch, and why it is safe."""
    return (
        f"continue with `holdfast campaigns launch {campaign} --launch-id {launch_id}`: no customer is contacted "
        "twice under one id"
    )


def _find_begun(
    launches: PostgresLaunches, campaign: str, launch_id: str | None, *, again: bool
) -> LaunchRecord | None:
    """Return the launch to resume, None to begin one.

    Raises:
        LaunchError: a new launch could contact customers twice, and the operator did not ask for that.
    """
    if launch_id is not None:
        found = launches.find(launch_id)
        if found is not None and found.campaign != campaign:
            raise LaunchError(
                f"launch {launch_id!r} belongs to campaign {found.campaign!r}; choose another --launch-id"
            )
        return found
    last = launches.last(campaign)
    if last is None or again or (last.done_at is not None and not last.members):
        return None
    at = f"{last.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    begun = f"launch {last.launch_id} of {campaign}, begun at {at} by {last.actor}"
    if last.done_at is None:
        raise LaunchError(
            f"{begun}, is not complete ({last.members:,} members requested); "
            f"{how_to_resume(campaign, last.launch_id)}. A new launch is begun with --again"
        )
    raise LaunchError(
        f"{begun}, has requested all {last.members:,} members; a new launch contacts them once more, as the campaign's "
        "cooldown allows: begin it with --again"
    )


def _check_id(launch_id: str) -> None:
    if not launch_id.isprintable() or not 0 < len(launch_id) <= MAX_LAUNCH_ID:
        raise LaunchError(f"--launch-id {launch_id!r}: must be 1 to {MAX_LAUNCH_ID} printable characters")
