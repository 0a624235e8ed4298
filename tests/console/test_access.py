"""Who gets into the console and its API, and who does not: strangers, each role, sessions and keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import psycopg
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount

from console.access.passwords import hash_password
from console.access.roles import Permission, Role
from console.access.tokens import derive_csrf_token, make_key
from console.web.authentication import COOKIE, SECURE_COOKIE, Requires
from console.web.pages.sign_in import SECURE_DEVICE_COOKIE
from console.web.serving import build_served_app
from streams.settings import load_settings
from tests.console.address_table import NEEDS
from tests.console.conftest import bearer, sign_in, signed_in
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi.dependencies.models import Dependant

    from console.access.postgres_accounts import PostgresAccounts

PUBLIC = {
    "GET /health/live",
    "GET /health/ready",
    "GET /sign-in",
    "POST /sign-in",
    "GET /sign-in/openid",
    "GET /sign-in/openid/return",
    "GET /api/v1/openapi.json",
    "HEAD /api/v1/openapi.json",
}
"""All that strangers may ask for, besides the assets."""
HARMLESS = {"POST /sign-out"}
"""Changes that need no more than to be signed in."""
ASKS = ("/predictions/{kind}", "/check", "/preview", "/diff", "/what-if", "/score", "/nbo/", "/churn/", "/rfm/", "/voc")
"""How addresses end that are asked with POST and change nothing."""
LOOKS = frozenset({Permission.READ, Permission.VIEW_CUSTOMERS})
MAY: Mapping[str, frozenset[Permission]] = {
    "viewer": frozenset({Permission.READ}),
    "care": LOOKS | {Permission.SEE_PERSONAL, Permission.ACT_FOR_CUSTOMERS},
    "marketer": LOOKS | {Permission.EDIT_DEFINITIONS, Permission.STOP_CAMPAIGNS, Permission.BACKTEST},
    "operator": LOOKS | {Permission.STOP_CAMPAIGNS, Permission.BACKTEST, Permission.OPERATE},
    "admin": frozenset(Permission),
}
NOTHING = "00000000-0000-0000-0000-000000000000"
A_CUSTOMER = f"/api/v1/customers/{NOTHING}/explanation"
FORM = "application/x-www-form-urlencoded"


def list_addresses(environment: Mapping[str, str]) -> dict[str, set[Permission]]:
    """Return every address of the app, as `GET /path`, with the permissions that it asks for."""
    app = build_served_app(load_settings(**environment))
    found: dict[str, set[Permission]] = {}
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            assert route.path == "/static", f"{route.path}: its addresses ask for no permission"
        needs = find_permissions(route.dependant) if isinstance(route.original_route, APIRoute) else set()
        found |= {f"{method} {route.path}": needs for method in route.methods or ()}
    return found


def find_permissions(dependant: Dependant) -> set[Permission]:
    """Return the permissions that an address asks for."""
    own = {dependant.call.permission} if isinstance(dependant.call, Requires) else set()
    return own.union(*map(find_permissions, dependant.dependencies))


def test_every_address_needs_the_one_permission_that_the_table_says(environment: Mapping[str, str]) -> None:
    wanted = {name: {needs} for name, needs in NEEDS.items()} | {name: set[Permission]() for name in PUBLIC}
    assert list_addresses(environment) == wanted


def test_who_may_only_look_can_change_nothing(environment: Mapping[str, str]) -> None:
    changes = {
        name
        for name, needs in list_addresses(environment).items()
        if not name.startswith(("GET ", "HEAD ")) and LOOKS.intersection(needs) and not name.endswith(ASKS)
    }
    assert changes == HARMLESS


@pytest.mark.parametrize("who", MAY)
def test_each_role_gets_what_it_may_and_no_more(console: str, keys: Mapping[str, str], who: str) -> None:
    """Every address answers 403 to a role without the permission, and something else to one that has it."""
    wrong = []
    with httpx.Client(base_url=console, timeout=30, headers=bearer(keys[who])) as client:
        for name, needs in NEEDS.items():
            status = ask(client, name)
            if status in {401, 500} or (status == 403) != (needs not in MAY[who]):
                wrong.append(f"{name}: {who} gets {status}")
    assert wrong == []


def test_strangers_get_nothing_but_the_form(console: str) -> None:
    wrong = []
    with httpx.Client(base_url=console, timeout=30) as client:
        for name in NEEDS:
            status = ask(client, name)
            is_form = status == 303 and name.startswith("GET ") and not name.startswith("GET /api/")
            if status != 401 and not is_form:
                wrong.append(f"{name}: a stranger gets {status}")
    assert wrong == []


def ask(client: httpx.Client, name: str) -> int:
    """Return the status of an answer, which may have no end; what the path names does not exist."""
    method, _, path = name.partition(" ")
    with client.stream(method, re.sub(r"{[^}]*}", NOTHING, path)) as answer:
        return answer.status_code


# Sessions and keys


def gets_in(console: str, cookies: Mapping[str, str]) -> bool:
    """Return whether somebody with these cookies gets in."""
    return httpx.get(f"{console}/customers", cookies=dict(cookies), timeout=30).status_code == 200


def status_with(console: str, key: str) -> int:
    """Return the status of the API's answer to a key; 404 is that of who gets in."""
    return httpx.get(
        f"{console}{A_CUSTOMER}", headers={"Authorization": f"Bearer {key}".encode()}, timeout=30
    ).status_code


def find_token(client: httpx.Client) -> str:
    """Return the token that the forms of somebody's pages carry."""
    found = re.search(r'name="csrf_token" value="(\w+)"', client.get("/customers").text)
    assert found, "the page has no form with a token"
    return found[1]


def test_signing_out_ends_the_session(console: str, accounts: PostgresAccounts) -> None:
    with signed_in(console, accounts, "care") as client:
        stolen = dict(client.cookies)
        assert gets_in(console, stolen)
        client.post("/sign-out", data={"csrf_token": find_token(client)})
        assert not gets_in(console, stolen)


def test_a_session_expires(
    console: str, accounts: PostgresAccounts, account: str, environment: Mapping[str, str]
) -> None:
    with signed_in(console, accounts, account) as client, psycopg.connect(environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute("UPDATE console_session SET expires_at = now() - interval '1 s' WHERE account = %s", [account])
        ledger.commit()
        assert not gets_in(console, dict(client.cookies))


def test_a_changed_role_counts_at_once(console: str, accounts: PostgresAccounts, account: str) -> None:
    with signed_in(console, accounts, account) as client:
        accounts.set_role(account, Role.VIEWER)
        assert client.get("/customers").status_code == 403


def test_a_changed_password_ends_the_sessions(console: str, accounts: PostgresAccounts, account: str) -> None:
    with signed_in(console, accounts, account) as client:
        accounts.set_password(account, hash_password("another correct horse"))
        assert not gets_in(console, dict(client.cookies))
    assert sign_in(console, account).status_code == 401


def test_a_disabled_account_gets_in_in_no_way(console: str, accounts: PostgresAccounts, account: str) -> None:
    key = make_key()
    accounts.add_key(f"key of {account}", key, account, by="test", expires_at=None)
    with signed_in(console, accounts, account) as client:
        assert status_with(console, key) == 404
        accounts.disable_account(account)
        assert not gets_in(console, dict(client.cookies))
    assert status_with(console, key) == 401
    assert sign_in(console, account).status_code == 401


def test_wrong_expired_and_revoked_keys_are_refused(console: str, accounts: PostgresAccounts, account: str) -> None:
    expired, revoked = make_key(), make_key()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    accounts.add_key(f"expired {account}", expired, account, by="test", expires_at=yesterday)
    accounts.add_key(f"revoked {account}", revoked, account, by="test", expires_at=None)
    accounts.revoke_key(f"revoked {account}")
    refused = (
        expired,
        revoked,
        make_key(),
        "hf_",
        "hf_\N{LATIN SMALL LETTER E WITH ACUTE}",
        f"{expired} {revoked}",
    )
    assert [status_with(console, key) for key in refused] == [401] * len(refused)


def test_a_wrong_key_does_not_fall_back_to_the_session(console: str, accounts: PostgresAccounts) -> None:
    with signed_in(console, accounts, "care") as client:
        assert client.get(A_CUSTOMER, headers=bearer(make_key())).status_code == 401


def test_a_wrong_key_is_refused_by_an_open_console_too(open_console: str) -> None:
    assert status_with(open_console, make_key()) == 401


def test_a_session_is_no_key_and_a_key_no_session(
    console: str, accounts: PostgresAccounts, keys: Mapping[str, str]
) -> None:
    with signed_in(console, accounts, "care") as client:
        assert status_with(console, client.cookies[COOKIE]) == 401
    assert not gets_in(console, {COOKIE: keys["care"]})


def test_part_of_a_page_whose_session_has_ended_loads_the_page_again(console: str) -> None:
    answer = httpx.get(f"{console}/parts/overview", headers={"HX-Request": "true"}, timeout=30)
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true")


# Cookies


def test_scripts_and_other_sites_do_not_get_the_cookie(console: str) -> None:
    cookie = sign_in(console, "care").headers.get_list("Set-Cookie")[0]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))


def test_with_tls_the_cookie_is_secure_and_no_other_counts(environment: Mapping[str, str]) -> None:
    with serve_console(environment, HOLDFAST_CONSOLE_URL="https://crm.example.org") as address:
        cookie, of_browser = sign_in(address, "care").headers.get_list("Set-Cookie")
        assert of_browser.startswith(f"{SECURE_DEVICE_COOKIE}=")
        assert "Secure" in of_browser.split("; ")
        assert cookie.startswith(f"{SECURE_COOKIE}=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        token = cookie.partition("=")[2].partition(";")[0]
        assert gets_in(address, {SECURE_COOKIE: token})
        assert not gets_in(address, {COOKIE: token})


# Requests that other sites send with somebody's cookie


@pytest.mark.parametrize("is_open", [False, True], ids=["accounts", "open"])
@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({}, None),
        ({}, ""),
        ({}, "wrong"),
        ({}, "of another session"),
        ({"Content-Type": "text/plain"}, "right"),
        ({"Sec-Fetch-Site": "cross-site"}, "right"),
        ({"X-CSRF-Token": "wrong"}, "right"),
        ({"X-CSRF-Token": "\N{LATIN SMALL LETTER E WITH ACUTE}"}, None),
        ({"X-CSRF-Token": "of another session"}, None),
        ({"X-CSRF-Token": "right", "Sec-Fetch-Site": "cross-site"}, None),
        ({"X-CSRF-Token": "right", "Sec-Fetch-Site": "same-site"}, None),
        ({"X-CSRF-Token": "right", "Origin": "https://evil.example"}, None),
        ({"X-CSRF-Token": "right", "Origin": "null"}, None),
    ],
    ids=str,
)
def test_a_change_that_another_site_may_have_sent_is_refused(
    console: str,
    open_console: str,
    accounts: PostgresAccounts,
    headers: dict[str, str],
    field: str | None,
    *,
    is_open: bool,
) -> None:
    with signed_in(open_console if is_open else console, accounts, "care") as client:
        texts = {"right": find_token(client), "wrong": "0" * 64, "of another session": derive_csrf_token("another")}
        sent = {"Content-Type": FORM, **{name: texts.get(text, text) for name, text in headers.items()}}
        content = "" if field is None else urlencode({"csrf_token": texts.get(field, field)})
        encoded = {name: text.encode() for name, text in sent.items()}
        assert client.post("/sign-out", content=content, headers=encoded).status_code == 403
        assert client.get("/customers").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}], ids=str)
@pytest.mark.parametrize("in_header", [False, True], ids=["field", "header"])
def test_a_change_with_the_token_is_made(
    console: str, accounts: PostgresAccounts, headers: dict[str, str], *, in_header: bool
) -> None:
    with signed_in(console, accounts, "care") as client:
        token = find_token(client)
        if in_header:
            answer = client.post("/sign-out", headers={**headers, "X-CSRF-Token": token, "Origin": console})
        else:
            answer = client.post("/sign-out", headers=headers, data={"csrf_token": token})
        assert answer.status_code == 303


def test_another_site_cannot_sign_somebody_in(console: str) -> None:
    form = {"name": "care", "password": "correct horse battery"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert httpx.post(f"{console}/sign-in", data=form, headers=headers, timeout=30).status_code == 403
