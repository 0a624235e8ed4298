"""Accounts, browsers, sessions, keys and the audit log on a real ledger."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from campaigns.errors import LedgerUnavailableError
from campaigns.postgres_erasure import open_erasure
from console.access.postgres_accounts import PostgresAccounts, View
from console.access.roles import Role
from console.errors import AccessError
from console.web.errors import TooManyRequestsError
from console.web.sign_in_limits import OF_ACCOUNT, OF_ADDRESS, OF_BROWSER, SignInLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from console.web.sign_in_limits import Try

HASH = "$argon2id$of-a-test"
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def accounts(ledger_url: str) -> Iterator[PostgresAccounts]:
    """The accounts of a ledger, one of them ann's, who is an operator."""
    found = PostgresAccounts(ledger_url)
    found.open()
    found.add_account("ann", Role.OPERATOR, HASH, by="test")
    yield found
    found.close()


def change(ledger_url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement on the ledger, and return its rows if it has any."""
    with psycopg.connect(ledger_url, autocommit=True) as ledger:
        done = ledger.execute(statement.encode())
        return done.fetchall() if done.description else []


def at_once(does: Callable[[int], Any], times: int = 8) -> list[Any]:
    """Do something several times at once, and return the results; None in the place of an error for people."""
    barrier = threading.Barrier(times)

    def do(number: int) -> Any:
        barrier.wait()
        try:
            return does(number)
        except (AccessError, TooManyRequestsError):
            return None

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(do, range(times)))


# Accounts


def test_an_account_is_found_by_its_name(accounts: PostgresAccounts) -> None:
    found = accounts.find_account("ann")
    assert found is not None
    assert (found.role, found.password_hash, found.created_by, found.disabled_at) == (Role.OPERATOR, HASH, "test", None)
    assert [each.name for each in accounts.list_accounts()] == ["ann"]
    assert accounts.find_account("bob") is None


def test_of_two_who_take_a_name_at_once_one_gets_it(accounts: PostgresAccounts) -> None:
    added = at_once(lambda _: accounts.add_account("bob", Role.CARE, None, by="test") or True)
    assert sorted(map(bool, added)) == [False] * 7 + [True]


@pytest.mark.parametrize("name", ["Ann", "an n", "", "local", "unknown", "x" * 101])
def test_a_name_that_no_account_can_have_is_refused(accounts: PostgresAccounts, name: str) -> None:
    with pytest.raises(AccessError):
        accounts.add_account(name, Role.CARE, None, by="test")


def test_changes_of_an_account_that_there_is_not_are_refused(accounts: PostgresAccounts) -> None:
    changes: tuple[Callable[[], None], ...] = (
        partial(accounts.set_role, "bob", Role.ADMIN),
        partial(accounts.set_password, "bob", HASH),
        partial(accounts.disable_account, "bob"),
        partial(accounts.add_key, "k", "secret", "bob", by="test", expires_at=None),
        partial(accounts.revoke_key, "k"),
    )
    for each in changes:
        with pytest.raises(AccessError):
            each()


def test_somebody_of_the_provider_keeps_the_name_and_gets_the_role(accounts: PostgresAccounts) -> None:
    assert accounts.admit("issuer 1", "bob", Role.CARE) == "bob"
    assert accounts.admit("issuer 1", "robert", Role.ADMIN) == "bob"
    found = accounts.find_account("bob")
    assert found is not None
    assert (found.role, found.password_hash) == (Role.ADMIN, None)
    with pytest.raises(AccessError, match="another's"):
        accounts.admit("issuer 2", "ann", Role.ADMIN)
    accounts.disable_account("bob")
    with pytest.raises(AccessError, match="disabled"):
        accounts.admit("issuer 1", "bob", Role.ADMIN)


def test_a_first_sign_in_with_the_provider_in_two_windows_makes_one_account(accounts: PostgresAccounts) -> None:
    assert at_once(lambda _: accounts.admit("issuer 1", "bob", Role.CARE)) == ["bob"] * 8


# Sessions and keys


def test_a_session_ends_with_its_time_its_owner_and_the_password(accounts: PostgresAccounts, ledger_url: str) -> None:
    ends: tuple[Callable[[], object], ...] = (
        partial(change, ledger_url, "UPDATE console_session SET expires_at = now()"),
        partial(accounts.end_session, "token"),
        partial(accounts.set_password, "ann", HASH),
        partial(accounts.disable_account, "ann"),
    )
    for end in ends:
        accounts.begin_session("ann", "token")
        assert accounts.find_session("token") == ("ann", Role.OPERATOR)
        end()
        assert accounts.find_session("token") is None
        accounts.end_session("token")


def test_sessions_that_are_over_go_with_the_next(accounts: PostgresAccounts, ledger_url: str) -> None:
    accounts.begin_session("ann", "old")
    change(ledger_url, "UPDATE console_session SET expires_at = now() - interval '1 s'")
    accounts.begin_session("ann", "new")
    assert change(ledger_url, "SELECT count(*) FROM console_session") == [(1,)]


def test_many_sign_in_at_once(accounts: PostgresAccounts, ledger_url: str) -> None:
    for number in range(50):
        accounts.begin_session("ann", f"old {number}")
    change(ledger_url, "UPDATE console_session SET expires_at = now() - interval '1 s'")
    at_once(lambda number: accounts.begin_session("ann", f"new {number}"))
    assert change(ledger_url, "SELECT count(*) FROM console_session") == [(8,)]


def test_a_changed_role_counts_for_sessions_and_keys_that_there_are(accounts: PostgresAccounts) -> None:
    accounts.begin_session("ann", "token")
    accounts.add_key("k", "secret", "ann", by="test", expires_at=None)
    accounts.set_role("ann", Role.VIEWER)
    assert [accounts.find_session("token"), *accounts.find_keys(["secret"])] == [("ann", Role.VIEWER)] * 2


def test_keys_count_until_they_expire_are_revoked_or_their_account_is_disabled(accounts: PostgresAccounts) -> None:
    soon, past = (datetime.now(UTC) + timedelta(days=days) for days in (1, -1))
    for name, expires_at in (("kept", None), ("lasting", soon), ("expired", past), ("revoked", None)):
        accounts.add_key(f"id of {name}", name, "ann", by="test", expires_at=expires_at)
    accounts.revoke_key("id of revoked")
    with pytest.raises(AccessError):
        accounts.revoke_key("id of revoked")
    asked = ["revoked", "kept", "no key", "expired", "lasting", "kept"]
    ann = ("ann", Role.OPERATOR)
    assert accounts.find_keys(asked) == [None, ann, None, None, ann, ann]
    assert accounts.find_keys([]) == []
    accounts.disable_account("ann")
    assert accounts.find_keys(asked) == [None] * 6
    with pytest.raises(AccessError, match="not disabled"):
        accounts.add_key("k", "secret", "ann", by="test", expires_at=None)


def test_secrets_are_not_in_the_ledger(accounts: PostgresAccounts, ledger_url: str) -> None:
    accounts.begin_session("ann", "secret of a session")
    accounts.add_key("k", "secret of a key", "ann", by="test", expires_at=None)
    accounts.add_device("ann", "secret of a browser", replaced=None)
    accounts.count_try("secret that was typed as a name", timedelta(hours=1))
    tables = ("console_session", "console_key", "console_device", "console_try", "console_account")
    kept = str([change(ledger_url, f"TABLE {table}") for table in tables])
    assert "secret" not in kept


# Sign-ins that fail


def fail(accounts: PostgresAccounts, times: int, name: str = "ann", address: str = HERE, **more: str) -> list[Try]:
    """Let sign-ins fail; with `{}` in name or address each has its own."""
    limits = SignInLimits(accounts)
    return [limits.begin(name.format(number), address.format(number), more.get("device")) for number in range(times)]


def is_refused(accounts: PostgresAccounts, name: str = "ann", address: str = HERE, device: str | None = None) -> bool:
    """Return whether a sign-in is refused unseen."""
    try:
        SignInLimits(accounts).begin(name, address, device)
    except TooManyRequestsError as error:
        return 0 < int(error.headers["Retry-After"]) <= OF_ACCOUNT.window.total_seconds()
    return False


def test_after_five_failures_an_account_is_closed_to_the_address_alone(
    accounts: PostgresAccounts, ledger_url: str
) -> None:
    fail(accounts, OF_BROWSER.most)
    assert is_refused(accounts)
    assert not is_refused(accounts, address=THERE)
    assert not is_refused(accounts, name="bob")
    change(ledger_url, "UPDATE console_try SET ends_at = now()")
    assert not is_refused(accounts)


@pytest.mark.parametrize("address", [HERE, "2001:db8:7::{}"])
def test_one_address_cannot_lock_anybody_out_elsewhere(accounts: PostgresAccounts, address: str) -> None:
    """However often it tries in an hour: every five minutes five times, and hundreds of times that are refused."""
    for _ in range(13):
        for number in range(20):
            is_refused(accounts, address=address.format(number))
        accounts.forget_tries(f"account ann at {find_site(address)}", [])
        accounts.forget_tries(f"address {find_site(address)}", [])
    assert is_refused(accounts, address=THERE) is False


def find_site(address: str) -> str:
    """Return what the limits take for one client."""
    return "20010db80007" if ":" in address else address


def test_an_address_is_closed_after_thirty_failures_for_any_names(accounts: PostgresAccounts) -> None:
    fail(accounts, OF_ADDRESS.most, name="name-{}")
    assert is_refused(accounts, name="another")
    assert not is_refused(accounts, name="another", address=THERE)


def test_who_has_many_addresses_of_one_site_is_one(accounts: PostgresAccounts) -> None:
    fail(accounts, OF_ADDRESS.most, name="name-{}", address="2001:db8:7:{}::1")
    assert is_refused(accounts, name="another", address="2001:db8:7:ffff::1")
    assert not is_refused(accounts, name="another", address="2001:db8:8::1")
    fail(accounts, OF_BROWSER.most, address="::ffff:192.0.2.7")
    assert is_refused(accounts, address="192.0.2.7")


def test_from_many_addresses_an_account_can_be_closed_but_not_to_browsers_that_it_knows(
    accounts: PostgresAccounts,
) -> None:
    """So guesses from everywhere are no more than a hundred an hour, and who works there goes on."""
    accounts.add_device("ann", "known", replaced=None)
    fail(accounts, OF_ACCOUNT.most, address="198.51.100.{}")
    assert is_refused(accounts, address=THERE)
    assert is_refused(accounts, address=THERE, device="guessed")
    assert not is_refused(accounts, device="known")


def test_a_browser_that_is_known_has_five_tries_of_its_own(accounts: PostgresAccounts) -> None:
    """Others at its address do not take them, and it does not take theirs."""
    accounts.add_device("ann", "known", replaced=None)
    fail(accounts, OF_BROWSER.most)
    fail(accounts, OF_BROWSER.most, device="known")
    assert is_refused(accounts, device="known")
    assert not is_refused(accounts, name="bob", device="known")


def test_a_browser_is_known_to_one_account_and_until_the_password_changes(
    accounts: PostgresAccounts, ledger_url: str
) -> None:
    ends: tuple[Callable[[], object], ...] = (
        partial(change, ledger_url, "UPDATE console_device SET expires_at = now()"),
        partial(accounts.add_device, "ann", "its next token", replaced="known"),
        partial(accounts.set_password, "ann", HASH),
        partial(accounts.disable_account, "ann"),
    )
    for end in ends:
        accounts.add_device("ann", "known", replaced=None)
        assert accounts.knows_device("known", "ann")
        assert not accounts.knows_device("known", "bob")
        end()
        assert not accounts.knows_device("known", "ann")
        change(ledger_url, "DELETE FROM console_device")


def test_a_success_is_no_failure(accounts: PostgresAccounts) -> None:
    """Many people behind one address can sign in, and who mistyped four times has five tries again."""
    limits = SignInLimits(accounts)
    for number in range(2 * OF_ADDRESS.most):
        limits.note_success(limits.begin(f"name-{number}", HERE, None))
    fail(accounts, OF_BROWSER.most - 1, address=THERE)
    limits.note_success(limits.begin("ann", THERE, None))
    assert not is_refused(accounts, address=THERE)


def test_failures_of_many_names_at_an_address_are_not_forgotten_by_a_success(accounts: PostgresAccounts) -> None:
    limits = SignInLimits(accounts)
    fail(accounts, OF_ADDRESS.most - 1, name="name-{}")
    limits.note_success(limits.begin("ann", HERE, None))
    fail(accounts, 1, name="bob")
    assert is_refused(accounts, name="carl")


def test_tries_that_are_not_decided_yet_count(accounts: PostgresAccounts) -> None:
    """Else a burst of requests would all be let through."""
    begun = at_once(lambda _: SignInLimits(accounts).begin("ann", HERE, None))
    assert len([each for each in begun if each]) == OF_BROWSER.most


def test_all_processes_count_together(accounts: PostgresAccounts, ledger_url: str) -> None:
    fail(accounts, OF_BROWSER.most)
    other = PostgresAccounts(ledger_url)
    other.open()
    assert is_refused(other)
    other.close()


def test_counts_that_are_over_go_with_the_next(accounts: PostgresAccounts, ledger_url: str) -> None:
    fail(accounts, 20, name="name-{}")
    change(ledger_url, "UPDATE console_try SET ends_at = now()")
    at_once(lambda number: fail(accounts, 1, name=f"other-{number}"))
    assert change(ledger_url, "SELECT count(*) FROM console_try WHERE ends_at <= now()") == [(0,)]


# The audit log


def test_the_audit_log_is_read_from_the_latest_on_in_pages(accounts: PostgresAccounts) -> None:
    for number in range(5):
        accounts.record(
            "ann", f"action {number}", "subject", customer_id="7" if number % 2 else None, detail={"n": number}
        )
    first = accounts.list_audit(before=None, limit=2)
    assert [each.action for each in first] == ["action 4", "action 3"]
    rest = accounts.list_audit(before=first[-1].entry_id, limit=10)
    assert [each.detail for each in rest] == [{"n": 2}, {"n": 1}, {"n": 0}]
    assert [each.action for each in accounts.list_audit(before=None, limit=9, customer_id="7")] == [
        "action 3",
        "action 1",
    ]
    assert accounts.list_audit(before=None, limit=9, actor="bob") == []


def test_each_customer_who_was_looked_at_has_a_line(accounts: PostgresAccounts) -> None:
    views = [View("ann", "view a", ["1", "2"]), View("bob", "view b", ["2"]), View("bob", "view b", [])]
    assert accounts.record_views(views) == [None] * 3
    found = accounts.list_audit(before=None, limit=9, customer_id="2")
    assert sorted((each.actor, each.action, each.subject) for each in found) == [
        ("ann", "view a", "2"),
        ("bob", "view b", "2"),
    ]


def test_lines_that_are_written_at_once_are_all_there(accounts: PostgresAccounts) -> None:
    at_once(lambda number: accounts.record("ann", f"action {number}", ""))
    assert len(accounts.list_audit(before=None, limit=99)) == 8


def test_an_erased_customer_is_no_longer_in_the_log_and_what_was_done_is(
    accounts: PostgresAccounts, ledger_url: str
) -> None:
    accounts.record("ann", "view customer", "7", customer_id="7", detail={"why": "7 called"})
    accounts.record("ann", "view customer", "8", customer_id="8")
    with open_erasure(ledger_url) as erasure:
        erasure.erase(["7"], by="ann", why="asked")
    erased, other = accounts.list_audit(before=None, limit=9)[::-1]
    assert (erased.actor, erased.action, erased.subject, erased.customer_id, erased.detail) == (
        "ann",
        "view customer",
        "",
        None,
        {},
    )
    assert other.customer_id == "8"


# A ledger that cannot be used


def test_a_ledger_without_tables_says_what_to_do(empty_ledger_url: str) -> None:
    accounts = PostgresAccounts(empty_ledger_url)
    accounts.open()
    with pytest.raises(LedgerUnavailableError, match="holdfast ledger migrate"):
        accounts.list_accounts()
    accounts.close()
