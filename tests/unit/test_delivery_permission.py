"""Consent and address at the moment of sending."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from campaigns.channels import Channel
from campaigns.consent import ConsentTimes
from campaigns.definition import Campaign
from delivery.config import EmailDelivery, WebhookDelivery
from delivery.consent_check import ConsentCheck
from delivery.permission import Permitted, Unknown, Withheld, find_domain, find_permission
from features.errors import WarehouseRowError, WarehouseUnavailableError
from tests.builders import campaign
from tests.fakes.deliveries import InMemoryDeliveries
from tests.fakes.warehouse import InMemoryWarehouse
from tests.triggers import NOW, received

if TYPE_CHECKING:
    from features.table import FeatureTable

EMAIL = Channel(key="email", message_format="text", purposes={"service": "service_ok"})
STAFF = Channel(key="desk", message_format="text", recipient="staff")
ROW: dict[str, Any] = {"email_consent": True, "email": "ann@mail.example"}
REVOKED = {"email": ConsentTimes(revoked_at=NOW)}


@pytest.mark.parametrize(
    ("rows", "consent", "permission"),
    [
        ([ROW], {}, Permitted("ann@mail.example")),
        ([ROW], REVOKED, Withheld("no_consent")),
        ([ROW], {"*": ConsentTimes(revoked_at=NOW)}, Withheld("no_consent")),
        ([ROW], {"sms": ConsentTimes(revoked_at=NOW)}, Permitted("ann@mail.example")),
        ([{**ROW, "email_consent_at": (NOW + timedelta(days=1)).isoformat()}], REVOKED, Permitted("ann@mail.example")),
        ([{**ROW, "email_consent": False}], {}, Withheld("no_consent")),
        ([{**ROW, "email_consent": None}], {}, Withheld("no_consent")),
        ([{"email": "ann@mail.example"}], {}, Unknown("the warehouse has no column email_consent")),
        ([{**ROW, "email_consent": "yes"}], {}, Withheld("no_consent")),
        ([], {}, Withheld("no_row")),
        ([ROW, ROW], {}, Withheld("several_rows")),
        ([{**ROW, "email": None}], {}, Withheld("no_address")),
        ([{**ROW, "email": ""}], {}, Withheld("no_address")),
        ([{"email_consent": True}], {}, Unknown("the warehouse has no column email")),
    ],
)
def test_consent_and_address_decide(rows: list[dict[str, Any]], consent: Any, permission: object) -> None:
    assert find_permission(EMAIL, rows, consent, address_column="email") == permission


@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "ann@",
        "@mail.example",
        "ann@mail",
        "ann@mail.example\r\nBcc: eve@mail.example",
        "ann@mail.example, eve@mail.example",
        "Ann <ann@mail.example>",
        "ann@@mail.example",
        "a" * 65 + "@mail.example",
        "ann@" + "m" * 250 + ".example",
        5,
    ],
)
def test_an_address_that_is_none_is_refused(address: object) -> None:
    """None of them adds a recipient or a header."""
    row = {**ROW, "email": address}
    assert find_permission(EMAIL, [row], {}, address_column="email") == Withheld("invalid_address")


@pytest.mark.parametrize("address", ["o'brien+news@mail.example", " ann@mail.example ", "jürgen@müller.example"])
def test_a_usual_address_is_used(address: str) -> None:
    row = {**ROW, "email": address}
    assert find_permission(EMAIL, [row], {}, address_column="email") == Permitted(address.strip())


def test_without_the_warehouse_revocations_alone_count() -> None:
    assert find_permission(EMAIL, None, {}) == Permitted()
    assert find_permission(EMAIL, None, REVOKED) == Withheld("no_consent")
    assert find_permission(STAFF, None, {"*": ConsentTimes(revoked_at=NOW)}) == Permitted()


def test_domains_are_in_lower_case() -> None:
    assert find_domain("Ann@Mail.Example") == "mail.example"


BY_MAIL = EmailDelivery(channel="email", by="smtp", sender="a@b.example", subject="s", address_column="email")
KINDS: Any = {"email": "other", "email_consent": "boolean", "service_ok": "boolean"}


async def test_the_check_reads_the_warehouse_once_for_all_triggers() -> None:
    """A campaign with a purpose has that purpose's consent column."""
    warehouse = InMemoryWarehouse(KINDS, {"ann": ROW, "bob": {**ROW, "email_consent": False, "service_ok": True}})
    content = {**campaign(channels=("email",)).model_dump(), "key": "service", "purpose": "service"}
    service = Campaign.model_validate(content, context={"channels": {"email": EMAIL}})
    check = ConsentCheck(BY_MAIL, EMAIL, [service], InMemoryDeliveries(), warehouse)
    triggers = [received(name).trigger for name in ("ann", "bob", "eve")]
    triggers += [received(name, campaign="service").trigger for name in ("ann", "bob")]
    assert await check.find(triggers) == [
        Permitted("ann@mail.example"),
        Withheld("no_consent"),
        Withheld("no_row"),
        Withheld("no_consent"),
        Permitted("ann@mail.example"),
    ]
    assert warehouse.queries == [["ann", "bob", "eve"]]


async def test_a_webhook_may_leave_the_warehouse_out_and_staff_need_it_not() -> None:
    warehouse = InMemoryWarehouse(KINDS)
    warehouse.away = True
    hook = WebhookDelivery(channel="email", by="webhook", check_warehouse=False)
    assert await ConsentCheck(hook, EMAIL, [], InMemoryDeliveries(), warehouse).find([received().trigger]) == [
        Permitted()
    ]
    desk = EmailDelivery(channel="desk", by="smtp", sender="a@b.example", subject="s", to="desk@b.example")
    check = ConsentCheck(desk, STAFF, [], InMemoryDeliveries(), warehouse)
    assert await check.find([received(recipient="staff").trigger]) == [Permitted()]
    assert check.columns == frozenset()
    with pytest.raises(WarehouseUnavailableError):
        await ConsentCheck(BY_MAIL, EMAIL, [], InMemoryDeliveries(), warehouse).find([received().trigger])


async def test_a_note_for_staff_never_reaches_a_customer() -> None:
    """Nor the reverse, when a channel has changed since the decision."""
    warehouse = InMemoryWarehouse(KINDS, {"ann": ROW})
    check = ConsentCheck(BY_MAIL, EMAIL, [], InMemoryDeliveries(), warehouse)
    assert await check.find([received(recipient="staff").trigger]) == [Withheld("other_recipient")]
    assert check.columns == {"email", "email_consent"}


class BrokenRow(InMemoryWarehouse):
    """The server fails on bob's row."""

    async def fetch(self, customer_ids: Any) -> FeatureTable:
        """Fail where bob is among the customers."""
        if "bob" in customer_ids:
            raise WarehouseRowError("division by zero")
        return await super().fetch(customer_ids)


async def test_a_row_that_cannot_be_read_holds_back_its_customer_alone() -> None:
    warehouse = BrokenRow(KINDS, {"ann": ROW})
    check = ConsentCheck(BY_MAIL, EMAIL, [], InMemoryDeliveries(), warehouse)
    found = await check.find([received(name).trigger for name in ("ann", "bob")])
    assert found == [Permitted("ann@mail.example"), Unknown("the customer's row cannot be read")]
