"""Signing in with an OpenID provider, and what a false one or a thief could try."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from console.access.openid_provider import OpenIdProvider, SignInFlow, SignInRefusedError
from console.access.passwords import hash_password
from console.access.roles import Role
from console.errors import AccessError
from tests.console.conftest import PASSWORD
from tests.console.openid_server import CLIENT, SECRET, OpenIdServer, foreign_signatures, serve_openid
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from console.access.postgres_accounts import PostgresAccounts

CLAIM = "realm_access.roles"
RETURN = "https://crm.example.org/sign-in/openid/return"


@pytest.fixture
def provider() -> Iterator[OpenIdServer]:
    """A provider that knows one marketer."""
    with serve_openid() as served:
        served.claims = person(["offline_access", "marketer"])
        yield served


def person(roles: Any, **more: Any) -> dict[str, Any]:
    """Return the claims of somebody whom no other test knows."""
    name = f"anna-{secrets.token_hex(4)}@example.org"
    return {"sub": name, "email": name.title(), "email_verified": True, "realm_access": {"roles": roles}, **more}


def client_of(provider: OpenIdServer) -> OpenIdProvider:
    """Return the console's side."""
    return OpenIdProvider(provider.issuer, CLIENT, SECRET, CLAIM)


def redeem(provider: OpenIdServer, flow: SignInFlow | None = None, issuer: str | None = None) -> Any:
    """Return who has signed in."""
    client, begun = client_of(provider), SignInFlow("secret of the cookie")
    answer = provider.authorize(client.find_authorization(begun, RETURN))
    return client.redeem(answer["code"], flow or begun, RETURN, issuer or answer["iss"])


# The provider's answers


def test_the_role_and_the_name_come_from_the_token(provider: OpenIdServer) -> None:
    identity = redeem(provider)
    assert (identity.name, identity.role) == (provider.claims["sub"], Role.MARKETER)
    assert identity.subject == f"{provider.issuer} {provider.claims['sub']}"


@pytest.mark.parametrize(
    ("roles", "role"), [("care", "care"), (["viewer", "admin", "care"], "admin"), (["other", "operator"], "operator")]
)
def test_of_several_roles_one_is_taken(provider: OpenIdServer, roles: Any, role: str) -> None:
    provider.claims["realm_access"] = {"roles": roles}
    assert redeem(provider).role == role


@pytest.mark.parametrize(
    "claim", [None, {}, {"roles": []}, {"roles": "Admin"}, {"roles": [["admin"]]}, "admin", ["roles"]], ids=str
)
def test_who_has_no_role_does_not_get_in(provider: OpenIdServer, claim: Any) -> None:
    provider.claims["realm_access"] = claim
    with pytest.raises(SignInRefusedError, match="no role"):
        redeem(provider)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"exp": int(time.time()) - 3_600},
        {"exp": None},
        {"iat": int(time.time()) + 3_600},
        {"iat": None},
        {"sub": None},
        {"nonce": None},
        {"nonce": "of another sign-in"},
    ],
    ids=" ".join,
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(provider: OpenIdServer, claims: dict[str, Any]) -> None:
    provider.claims |= claims
    with pytest.raises(SignInRefusedError, match=r"cannot be trusted|another client"):
        redeem(provider)


@pytest.mark.parametrize("by", list(foreign_signatures()))
def test_a_token_that_the_provider_did_not_sign_is_refused(provider: OpenIdServer, by: str) -> None:
    provider.sign_with = foreign_signatures()[by]
    with pytest.raises(SignInRefusedError, match="cannot be trusted"):
        redeem(provider)


def test_a_stolen_code_is_of_no_use_in_another_browser(provider: OpenIdServer) -> None:
    with pytest.raises(SignInRefusedError, match="refuses"):
        redeem(provider, SignInFlow("secret of the thief"))


def test_an_answer_of_another_issuer_is_refused(provider: OpenIdServer) -> None:
    with pytest.raises(SignInRefusedError, match="another issuer"):
        redeem(provider, issuer="https://evil.example")


@pytest.mark.parametrize(
    "issuer",
    ["http://id.example.org", "ftp://127.0.0.1", "https://", "id.example.org", "http://127.0.0.1.evil.example"],
)
def test_an_issuer_without_tls_is_refused(issuer: str) -> None:
    with pytest.raises(AccessError, match="must begin with https"):
        OpenIdProvider(issuer, CLIENT, SECRET, CLAIM)


# In the console


@pytest.fixture
def console(environment: Mapping[str, str], provider: OpenIdServer) -> Iterator[str]:
    """A console that the provider's people may use."""
    settings = {"ISSUER": provider.issuer, "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET, "ROLE_CLAIM": CLAIM}
    named = {f"HOLDFAST_CONSOLE_OIDC_{name}": value for name, value in settings.items()}
    with serve_console(environment, **named) as address:
        yield address


def sign_in(console: str, provider: OpenIdServer, client: httpx.Client, **query: str) -> httpx.Response:
    """Go to the provider and back, and return the console's answer."""
    sent = client.get(f"{console}/sign-in/openid", params={"next": "/customers"})
    return client.get(f"{console}/sign-in/openid/return", params=provider.authorize(sent.headers["Location"]) | query)


def test_people_of_the_provider_get_in_and_their_role_follows_it(
    console: str, provider: OpenIdServer, accounts: PostgresAccounts
) -> None:
    with httpx.Client(timeout=60) as client:
        assert 'href="/sign-in/openid?next=/"' in client.get(f"{console}/sign-in").text
        assert sign_in(console, provider, client).headers["Location"] == "/customers"
        assert client.get(f"{console}/customers").status_code == 200
        provider.claims["realm_access"] = {"roles": ["viewer"]}
        sign_in(console, provider, client)
        assert client.get(f"{console}/customers").status_code == 403
    assert accounts.list_audit(before=None, limit=1, actor=provider.claims["sub"])[0].action == "sign in"


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(console: str, provider: OpenIdServer) -> None:
    with httpx.Client(timeout=60) as victim, httpx.Client(timeout=60) as thief:
        asked = thief.get(f"{console}/sign-in/openid").headers["Location"]
        planted = victim.get(f"{console}/sign-in/openid/return", params=provider.authorize(asked))
        assert planted.status_code == 403
        assert sign_in(console, provider, victim, state="guessed").status_code == 403
        assert victim.get(f"{console}/customers").status_code == 303


def test_nobody_gets_the_account_of_another_by_its_name(console: str, provider: OpenIdServer) -> None:
    provider.claims |= {"email": "admin", "realm_access": {"roles": ["admin"]}}
    with httpx.Client(timeout=60) as client:
        answer = sign_in(console, provider, client)
        assert answer.status_code == 403
        assert "is another&#39;s" in answer.text
    unverified = {"email": "admin", "email_verified": False, "preferred_username": provider.claims["sub"]}
    provider.claims |= unverified
    assert redeem(provider).name == provider.claims["sub"]


def test_a_disabled_account_stays_disabled(console: str, provider: OpenIdServer, accounts: PostgresAccounts) -> None:
    with httpx.Client(timeout=60) as client:
        sign_in(console, provider, client)
        accounts.disable_account(provider.claims["sub"])
        assert sign_in(console, provider, client).status_code == 403
        assert client.get(f"{console}/customers").status_code == 303


def test_passwords_work_beside_the_provider(console: str, accounts: PostgresAccounts) -> None:
    name = f"local-{secrets.token_hex(4)}"
    accounts.add_account(name, Role.CARE, hash_password(PASSWORD), by="test")
    form = {"name": name, "password": PASSWORD}
    assert httpx.post(f"{console}/sign-in", data=form, timeout=60).status_code == 303
