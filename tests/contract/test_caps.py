"""Who cannot be contacted now because of a cap: PostgreSQL counts as the guardrails of a decision do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.contact_limits import ContactLimit, PastContact
from campaigns.decide import ContactHistory
from campaigns.errors import LedgerUnavailableError
from campaigns.guardrails import refuse_in_cooldown
from campaigns.postgres_caps import read_caps
from tests.builders import AS_OF, campaign, candidate
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from campaigns.definition import Campaign
    from campaigns.postgres_caps import CapUse

STAFF = "help-desk"
NAMES = ("ann", "bob", "cy", "dee")
MEMBERS = {"ann", "cy"}
NOT_FOR_STAFF = {"staff_channels": [STAFF]}
# Half days, so that contacts meet the ends of windows, and each other.
CONTACTS = st.lists(
    st.builds(
        PastContact,
        st.sampled_from(["win-back", "other"]),
        st.sampled_from(["email", "sms", STAFF]),
        st.integers(-12, 4).map(lambda half: AS_OF + half * timedelta(hours=12)),
    ),
    max_size=12,
)
LIMITS = st.lists(
    st.builds(
        lambda **fields: ContactLimit.model_validate({"key": "some", **fields}, context=NOT_FOR_STAFF),
        contacts=st.integers(1, 4),
        days=st.integers(1, 6),
        campaign=st.sampled_from([None, "win-back"]),
        channel=st.sampled_from([None, "email", "sms"]),
    ),
    max_size=3,
)


def store(ledger_url: str, contacts: Mapping[str, Sequence[PastContact]]) -> None:
    """Replace what the ledger holds by contacts, each second one a control exposure, and by members of at-risk."""
    rows = [
        (customer, each.campaign, each.channel, ("treatment", "control")[place % 2], each.at)
        for customer, of_customer in contacts.items()
        for place, each in enumerate(of_customer)
    ]
    with psycopg.connect(ledger_url) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE contact, membership")
        cursor.executemany(
            """INSERT INTO contact (customer_id, trigger_id, campaign, channel, variant, offer_id, status, decided_at)
               VALUES (%s, gen_random_uuid(), %s, %s, %s, 1, 'delivered', %s)""",
            rows,
        )
        cursor.executemany(
            """INSERT INTO membership (customer_id, segment, episode, is_member, entered_at, definition_version)
               VALUES (%s, 'at-risk', 1, %s, %s, 'v')""",
            [(each, each in MEMBERS, AS_OF) for each in NAMES],
        )


def counted(ends: Mapping[str, datetime | None]) -> tuple[int, int, datetime | None]:
    """Return members, customers and the first end of those who have one."""
    found = {customer: end for customer, end in ends.items() if end is not None}
    return len(MEMBERS & set(found)), len(found), min(found.values(), default=None)


def figures(use: CapUse) -> tuple[int, int, datetime | None]:
    return use.members, use.customers, use.first_free


def expect(capped: Campaign, contacts: Mapping[str, Sequence[PastContact]]) -> list[Any]:
    """Return what the guardrails say of each customer, for each cap."""
    caps = []
    if capped.cooldown_days:
        asked = candidate(campaign=capped)
        ends = {}
        for customer, of_customer in contacts.items():
            latest = max((each.at for each in of_customer if each.campaign == capped.key), default=None)
            history = ContactHistory(last_contacts={capped.key: latest} if latest else {})
            refused = refuse_in_cooldown(asked, history, {})
            ends[customer] = refused.until if refused else None
        caps.append(counted(ends))
    return [
        *caps,
        *(counted({each: limit.find_end(contacts[each], AS_OF) for each in contacts}) for limit in capped.limits),
    ]


def test_postgresql_counts_as_the_guardrails_of_a_decision_do(ledger_url: str) -> None:
    """Also where contacts are later than the moment, or at the same time, and whatever a limit counts."""

    @examples(150)
    @given(st.fixed_dictionaries(dict.fromkeys(NAMES, CONTACTS)), LIMITS, st.integers(0, 6))
    def compare(contacts: dict[str, list[PastContact]], limits: list[ContactLimit], cooldown_days: int) -> None:
        capped = campaign(limits=limits, cooldown_days=cooldown_days)
        store(ledger_url, contacts)
        assert list(map(figures, read_caps(ledger_url, capped, AS_OF))) == expect(capped, contacts)

    compare()


def test_a_member_who_was_contacted_is_free_when_the_cooldown_and_the_window_are_over(ledger_url: str) -> None:
    weekly = ContactLimit(key="weekly", contacts=1, days=7)
    capped = campaign(limits=[weekly], cooldown_days=30)
    yesterday = AS_OF - timedelta(days=1)
    store(ledger_url, {"ann": [PastContact("win-back", "email", yesterday)]})
    cooldown, limit = read_caps(ledger_url, capped, AS_OF)
    assert (cooldown.limit, *figures(cooldown)) == (None, 1, 1, yesterday + timedelta(days=30))
    assert (limit.limit, *figures(limit)) == (weekly, 1, 1, yesterday + timedelta(days=7))


def test_a_campaign_without_caps_has_none(ledger_url: str) -> None:
    assert list(read_caps(ledger_url, campaign(), AS_OF)) == []


def test_a_ledger_that_is_away_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailableError):
        read_caps("postgresql://127.0.0.1:1/nowhere", campaign(cooldown_days=1), AS_OF)
