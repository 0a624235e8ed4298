"""The check of consent just before sending: the ledger's revocations, and the customer's row in the warehouse."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from delivery.config import EmailDelivery
from delivery.permission import Permission, Unknown, Withheld, find_permission
from features.errors import WarehouseRowError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from campaigns.channels import Channel
    from campaigns.consent import Consent
    from campaigns.definition import Campaign
    from delivery.config import ChannelDelivery
    from delivery.ports import Deliveries
    from delivery.trigger import Trigger
    from features.ports import Warehouse

Row = dict[str, Any]


class ConsentCheck:
    """Permissions of the triggers of one channel.

    Args:
        delivered: how the channel is delivered.
        channel: its definition.
        campaigns: a campaign may have a purpose, whose consent column counts.
        deliveries: has the changes of consent.
        warehouse: read without the cache.
    """

    def __init__(
        self,
        delivered: ChannelDelivery,
        channel: Channel,
        campaigns: Sequence[Campaign],
        deliveries: Deliveries,
        warehouse: Warehouse,
    ) -> None:
        self._channel = channel
        self._by_campaign = {
            each.key: each.channels_by_key[channel.key] for each in campaigns if channel.key in each.channels
        }
        self._address_column = delivered.address_column if isinstance(delivered, EmailDelivery) else None
        checks = self._address_column is not None or (
            not isinstance(delivered, EmailDelivery) and delivered.check_warehouse
        )
        # Nothing is read for a notification that needs neither consent nor an address.
        self._reads_rows = checks and (channel.needs_consent or self._address_column is not None)
        self._deliveries = deliveries
        self._warehouse = warehouse

    async def find(self, triggers: Sequence[Trigger]) -> Sequence[Permission]:
        """See the port."""
        customers = {each.customer_id for each in triggers}
        rows = await self._read_rows(sorted(customers)) if self._reads_rows else None
        # Last, so that an opt-out that arrives during the other look-up counts.
        consent = await self._deliveries.consent(customers)
        return [self._decide(each, rows, consent.get(each.customer_id, {})) for each in triggers]

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the warehouse that it needs."""
        channels = [self._channel, *self._by_campaign.values()]
        consent = {each.consent_column for each in channels if each.needs_consent}
        return frozenset({*consent, *filter(None, [self._address_column])} if self._reads_rows else ())

    def _decide(self, trigger: Trigger, rows: Mapping[str, list[Row] | None] | None, consent: Consent) -> Permission:
        if trigger.recipient != self._channel.recipient:
            # The channel has changed since: a note for staff is not for the customer, or the reverse.
            return Withheld("other_recipient")
        own = None if rows is None else rows[trigger.customer_id]
        if rows is not None and own is None:
            return Unknown("the customer's row cannot be read")
        channel = self._by_campaign.get(trigger.campaign, self._channel)
        return find_permission(channel, own, consent, address_column=self._address_column)

    async def _read_rows(self, customers: Sequence[str]) -> Mapping[str, list[Row] | None]:
        """Return the rows of each customer, None of one whose row the server fails on."""
        try:
            return await self._fetch(customers)
        except WarehouseRowError:
            if len(customers) == 1:
                return {customers[0]: None}
        found: dict[str, list[Row] | None] = {}
        for each in customers:
            found |= await self._read_rows([each])
        return found

    async def _fetch(self, customers: Collection[str]) -> Mapping[str, list[Row]]:
        table = await self._warehouse.fetch(list(customers))
        found: dict[str, list[Row]] = defaultdict(list, {each: [] for each in customers})
        for position, customer in enumerate(table.customer_ids):
            found[customer].append(table.row(position))
        return found
