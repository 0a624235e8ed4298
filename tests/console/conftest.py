"""Consoles of a deployment that has decided nothing, and those who ask them."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from console.access.passwords import hash_password
from console.access.postgres_accounts import PostgresAccounts
from console.access.roles import Role
from console.access.tokens import make_key, make_session_token
from console.web.authentication import COOKIE
from tests.journey.workplace import SCHEMA, lend_place
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from console.embedded.services import Endpoints

PASSWORD = "correct horse battery"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def environment(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A deployment that has decided nothing, with an account of each role; each one's name is the role."""
    with lend_place(endpoints, tmp_path_factory.mktemp("console"), {}) as place:
        with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute(SCHEMA)
        with opened(place.environment) as accounts:
            hashed = hash_password(PASSWORD)
            for role in Role:
                accounts.add_account(role, role, hashed, by="test")
        yield place.environment


@contextmanager
def opened(environment: Mapping[str, str]) -> Iterator[PostgresAccounts]:
    """Yield the accounts of a deployment."""
    accounts = PostgresAccounts(environment["HOLDFAST_LEDGER_URL"])
    accounts.open()
    yield accounts
    accounts.close()


@pytest.fixture(scope="module")
def accounts(environment: Mapping[str, str]) -> Iterator[PostgresAccounts]:
    """The accounts of the deployment."""
    with opened(environment) as found:
        yield found


@pytest.fixture(scope="module")
def keys(accounts: PostgresAccounts) -> Mapping[str, str]:
    """A key of each role."""
    made = {role.value: make_key() for role in Role}
    for role, key in made.items():
        accounts.add_key(f"of-{role}", key, role, by="test", expires_at=None)
    return made


@pytest.fixture(scope="module")
def console(environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a console that asks people to sign in."""
    with serve_console(environment) as address:
        yield address


@pytest.fixture(scope="module")
def open_console(environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a console that lets everybody in."""
    with serve_console(environment, HOLDFAST_CONSOLE_ACCESS="open") as address:
        yield address


@pytest.fixture
def account(accounts: PostgresAccounts) -> str:
    """The name of an account of one test, whose role is care."""
    name = f"care-{secrets.token_hex(4)}"
    accounts.add_account(name, Role.CARE, hash_password(PASSWORD), by="test")
    return name


@contextmanager
def signed_in(address: str, accounts: PostgresAccounts, name: str) -> Iterator[httpx.Client]:
    """Yield someone who has a session."""
    token = make_session_token()
    accounts.begin_session(name, token)
    with httpx.Client(base_url=address, cookies={COOKIE: token}, timeout=30) as client:
        yield client


def sign_in(address: str, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    """Return the answer to somebody who signs in."""
    return httpx.post(f"{address}/sign-in", data={"name": name, "password": password, **more}, timeout=60)


def bearer(key: str) -> dict[str, str]:
    """Return the header with a key."""
    return {"Authorization": f"Bearer {key}"}
