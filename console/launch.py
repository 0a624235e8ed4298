"""An operator's launch: one request for evaluation for each member of a campaign's segment."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import KafkaException, Producer

from campaigns.definition import Launch
from campaigns.errors import CampaignDefinitionError
from features.errors import WarehouseError
from features.postgres_warehouse import PostgresWarehouse
from streams.errors import BrokerUnavailableError
from streams.kafka.connection import describe_connection
from streams.services import check_facts, known_facts, load_models

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from campaigns.definition import Campaign, DefinitionSet
    from streams.settings import Settings

DELIVERY_TIMEOUT_S = 30


def find_launchable(campaigns: Sequence[Campaign], key: str) -> Campaign:
    """Return the campaign that an operator names.

    Raises:
        CampaignDefinitionError: there is none, or it is not launched by operators.
    """
    by_key = {campaign.key: campaign for campaign in campaigns}
    if key not in by_key:
        raise CampaignDefinitionError(f"no campaign {key!r}; there are: {', '.join(sorted(by_key))}")
    if by_key[key].launch is not Launch.BY_OPERATOR:
        runs = f"campaign {key!r} runs by itself when a customer enters {by_key[key].segment!r}"
        raise CampaignDefinitionError(f'{runs}; only campaigns with "launch": "by_operator" are launched')
    return by_key[key]


async def check_launch_facts(settings: Settings, definitions: DefinitionSet, campaign: Campaign) -> str | None:
    """Refuse to launch a campaign that reads unknown facts, in its message or in the rules of its segment.

    Returns:
        None, or why it could not be checked: the workers, which need the warehouse, check it when they start.

    Raises:
        CampaignDefinitionError: a fact is unknown.
    """
    warehouse = PostgresWarehouse(
        settings.warehouse_url, settings.features_table, private_columns=settings.private_columns
    )
    try:
        await warehouse.open()
        columns = await warehouse.fetch([])
    except WarehouseError as error:
        return str(error)
    finally:
        await warehouse.close()
    segments = tuple(each for each in definitions.segments if each.key == campaign.segment)
    concerned = replace(definitions, segments=segments, campaigns=(campaign,))
    scorers = load_models(settings, definitions.offers)
    check_facts(concerned, known_facts(columns, scorers), settings.features_table)
    return None


def launch(
    settings: Settings,
    campaign: Campaign,
    members: Sequence[str],
    *,
    at: datetime,
    launch_id: str | None = None,
) -> str:
    """Publish one event for each member on the evaluations topic and return the launch's id.

    The workers decide as for any event: consent, cooldown and holdout count, and whoever has left the segment by
    then is left out. Publishing the same launch id again contacts nobody twice.

    Raises:
        BrokerUnavailableError: not every event was acknowledged; launch again with the same id.
    """
    launch_id = launch_id or uuid.uuid4().hex[:12]
    producer = Producer(
        {
            **describe_connection(settings),
            "partitioner": settings.partitioner,
            "enable.idempotence": True,
            "linger.ms": 5,
        }
    )
    topic = f"{settings.topic_prefix}evaluations"
    failed: list[str] = []
    for customer_id in members:
        event = {
            "id": f"launch-{launch_id}-{customer_id}",
            "type": "evaluation.requested",
            "customer_id": customer_id,
            "occurred_at": at,
            "reason": "launch",
            "campaign": campaign.key,
            "launch": launch_id,
        }
        try:
            producer.produce(
                topic,
                key=customer_id,
                value=msgspec.json.encode(event),
                on_delivery=lambda error, _: failed.append(str(error)) if error else None,
            )
        except (BufferError, KafkaException) as error:
            failed.append(str(error))
            break
        producer.poll(0)
    unsent = producer.flush(DELIVERY_TIMEOUT_S)
    if failed or unsent:
        why = failed[0] if failed else f"{unsent} events were not acknowledged within {DELIVERY_TIMEOUT_S} s"
        raise BrokerUnavailableError(
            f"the launch is incomplete ({why}); run it again with --launch-id {launch_id}: nobody is contacted twice"
        )
    return launch_id
