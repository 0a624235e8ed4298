"""Requests that are meant to break the console, and what it answers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from console.access.passwords import LONGEST
from console.access.tokens import make_key
from console.web.authentication import COOKIE
from console.web.middleware import MAX_BODY_BYTES, SECURITY_HEADERS
from console.web.pages.sign_in import DEVICE_COOKIE
from console.web.sign_in_limits import OF_ADDRESS, OF_BROWSER
from tests.console.conftest import PASSWORD, bearer, sign_in, signed_in
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.access.postgres_accounts import PostgresAccounts

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ask_raw(address: str, request: bytes) -> bytes:
    """Return the answer to bytes, to its end."""
    host, port = urlsplit(address).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


# Other hosts


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::2]", "a b"]
)
def test_a_name_of_another_site_for_this_address_is_refused(open_console: str, host: str) -> None:
    """An open console would otherwise answer the page of a site that gives its own name this address."""
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    answer = ask_raw(open_console, request)
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8700", "crm.example.org", "[fd00::1]"]
)
def test_the_names_of_the_console_are_answered(environment: Mapping[str, str], host: str) -> None:
    public = "http://[fd00::1]:9000" if host.startswith("[fd") else "https://crm.example.org"
    with serve_console(environment, HOLDFAST_CONSOLE_URL=public) as address:
        assert httpx.get(f"{address}/sign-in", headers={"Host": host}, timeout=30).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "counted"), [("127.0.0.1", "203.0.113.7"), ("10.0.0.0/8", "127.0.0.1"), ("", "127.0.0.1")]
)
def test_only_a_proxy_may_say_where_a_request_comes_from(
    environment: Mapping[str, str], accounts: PostgresAccounts, account: str, proxies: str, counted: str
) -> None:
    settings = {"HOLDFAST_CONSOLE_URL": "https://crm.example.org", "HOLDFAST_CONSOLE_PROXIES": proxies}
    with serve_console(environment, **settings) as address:
        form = {"name": account, "password": "wrong"}
        httpx.post(
            f"{address}/sign-in", data=form, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}, timeout=30
        )
    assert accounts.list_audit(before=None, limit=1, actor=account)[0].address == counted


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        " //evil.example",
        "evil.example",
    ],
)
def test_signing_in_leads_to_no_other_site(console: str, accounts: PostgresAccounts, target: str) -> None:
    assert sign_in(console, "viewer", next=target).headers["Location"] == "/"
    with signed_in(console, accounts, "viewer") as client:
        assert client.get("/sign-in", params={"next": target}).headers["Location"] == "/"


def test_signing_in_leads_back_to_the_page(console: str) -> None:
    asked = httpx.get(f"{console}/customers/a%2Fb%3Fc%23d?x=1%262", timeout=30).headers["Location"]
    form = httpx.get(console + asked, timeout=30).text
    assert 'name="next" value="/customers/a%2Fb%3Fc%23d?x=1%262"' in form


# Guesses


@pytest.fixture
def guarded_console(console: str, environment: Mapping[str, str]) -> str:
    """A console that has seen no sign-in fail."""
    with psycopg.connect(environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute("DELETE FROM console_try")
    return console


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_passwords_cannot_be_guessed(guarded_console: str, account: str, *, is_known: bool) -> None:
    name = account if is_known else f"no-{account}"
    answers = [sign_in(guarded_console, name, f"guess number {number}") for number in range(OF_BROWSER.most + 1)]
    assert [each.status_code for each in answers] == [401] * OF_BROWSER.most + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 300
    assert sign_in(guarded_console, name).status_code == 429, "the right password tells no more than a wrong one"


def test_a_stranger_does_not_lock_somebody_out(guarded_console: str, account: str) -> None:
    """Not even at the same address, as behind one proxy, and not with a cookie that was made up."""
    with httpx.Client(base_url=guarded_console, timeout=60) as browser:
        form = {"name": account, "password": PASSWORD}
        assert browser.post("/sign-in", data=form).status_code == 303
        for _ in range(OF_BROWSER.most + 1):
            answer = sign_in(guarded_console, account, "wrong password")
        made_up = httpx.post(f"{guarded_console}/sign-in", data=form, cookies={DEVICE_COOKIE: "made up"})
        assert (answer.status_code, made_up.status_code) == (429, 429)
        assert browser.post("/sign-in", data=form).status_code == 303


def test_strangers_do_not_fill_the_audit_log(
    guarded_console: str, accounts: PostgresAccounts, environment: Mapping[str, str]
) -> None:
    before = accounts.list_audit(before=None, limit=1)[0].entry_id
    for number in range(OF_ADDRESS.most + 1):
        answer = sign_in(guarded_console, f"nobody-{number}", "wrong password")
    assert answer.status_code == 429
    added = [each for each in accounts.list_audit(before=None, limit=99) if each.entry_id > before]
    assert [(each.actor, each.action) for each in added] == [("unknown", "fail to sign in")]
    with psycopg.connect(environment["HOLDFAST_LEDGER_URL"]) as ledger:
        ledger.execute("DELETE FROM console_try")


def test_scripts_and_other_sites_do_not_get_the_cookie_of_the_browser(guarded_console: str, account: str) -> None:
    cookies = sign_in(guarded_console, account).headers.get_list("Set-Cookie")
    (cookie,) = (each for each in cookies if each.startswith(DEVICE_COOKIE))
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))


def test_a_name_that_no_account_has_looks_like_a_wrong_password(guarded_console: str, account: str) -> None:
    known = sign_in(guarded_console, account, "wrong password").text
    unknown = sign_in(guarded_console, f"no-{account}", "wrong password").text
    assert known == unknown.replace(f"no-{account}", account)


def test_what_a_stranger_typed_as_a_name_is_not_recorded(guarded_console: str, accounts: PostgresAccounts) -> None:
    """It may be a password in the wrong field."""
    sign_in(guarded_console, "my secret passphrase", "x")
    latest = accounts.list_audit(before=None, limit=1)[0]
    assert (latest.actor, latest.action, latest.subject) == ("unknown", "fail to sign in", "")


# Files, sizes and odd values


@pytest.mark.parametrize(
    "path",
    [
        "/static/../serving.py",
        "/static/..%2fserving.py",
        "/static/%2e%2e/serving.py",
        "/static/..%5cserving.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/console.css%00.html",
        "/static/%c0%ae%c0%ae/serving.py",
        "/static/",
        "/static/..%252fserving.py",
    ],
)
def test_no_file_but_the_assets_is_served(console: str, path: str) -> None:
    answer = ask_raw(console, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert b"root:" not in answer
    assert b"uvicorn" not in answer


def test_a_body_that_says_it_is_too_large_is_refused_unread(console: str) -> None:
    head = f"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n"
    answer = ask_raw(console, f"{head}Content-Type: {FORM['Content-Type']}\r\n\r\nname=".encode())
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_say_how_large_it_is_is_read_to_the_limit(console: str) -> None:
    pieces = (b"name=" + b"x" * 100_000 for _ in range(MAX_BODY_BYTES // 100_000 + 1))
    assert httpx.post(f"{console}/sign-in", content=pieces, headers=FORM, timeout=30).status_code in {400, 413}


@pytest.mark.parametrize("fields", [1_001, 20_000])
@pytest.mark.parametrize("multipart", [False, True], ids=["urlencoded", "multipart"])
def test_a_form_of_very_many_fields_is_refused(console: str, fields: int, *, multipart: bool) -> None:
    if multipart:
        part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        body, kind = part * fields + b"--b--\r\n", "multipart/form-data; boundary=b"
    else:
        body, kind = b"a=1&" * fields, FORM["Content-Type"]
    assert httpx.post(f"{console}/sign-in", content=body, headers={"Content-Type": kind}, timeout=30).status_code == 400


ODD_PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n\\ud800\r\n'
    b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n\\ud800\xff\r\n--b--\r\n'
)
ODD_FORMS = [
    (b"name=a%00b&password=x", FORM["Content-Type"]),
    (b"name=%ff%fe&password=%ed%a0%80", FORM["Content-Type"]),
    (b"name=admin&password=" + b"x" * (LONGEST + 1), FORM["Content-Type"]),
    (b"name=" + b"a" * 201 + b"&password=x", FORM["Content-Type"]),
    (b"name=a&name=b&password=x&password=y", FORM["Content-Type"]),
    (b"name=&password=", FORM["Content-Type"]),
    (b"", "multipart/form-data"),
    (b"garbage", "multipart/form-data; boundary=b"),
    (b"{}", "application/json"),
    *(
        (
            ODD_PARTS,
            f"multipart/form-data; boundary=b; charset={charset}",
        )
        for charset in ("unicode_escape", "undefined", "idna", "rot13", "utf-16")
    ),
]


@pytest.mark.parametrize(("body", "kind"), ODD_FORMS, ids=range(len(ODD_FORMS)))
def test_an_odd_form_is_refused_in_words(guarded_console: str, body: bytes, kind: str) -> None:
    answer = httpx.post(f"{guarded_console}/sign-in", content=body, headers={"Content-Type": kind}, timeout=30)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("charset", ["unicode_escape", "undefined", "idna"])
def test_an_odd_form_is_no_way_round_the_token(console: str, accounts: PostgresAccounts, charset: str) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n\\ud800\r\n--b--\r\n'
    with signed_in(console, accounts, "care") as client:
        kind = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
        assert client.post("/sign-out", content=part, headers=kind).status_code in {400, 403, 422}


@pytest.mark.parametrize(
    "path",
    [
        "/customers/a%00b",
        "/customers/%ff%fe",
        "/customers/%ed%a0%80",
        "/customers/" + "x" * 5_000,
        "/customers/..%2f..%2fetc%2fpasswd",
        "/customers?id=a%00b",
        "/customers?id=" + "x" * 201,
        "/api/v1/customers/a%00b/explanation",
        "/api/v1/customers/%ff/explanation",
        "/api/v1/customers/%F0%9F%98%80/explanation",
        "/%00",
        "/api/%00",
        "//evil.example/",
    ],
)
def test_odd_ids_break_nothing(console: str, accounts: PostgresAccounts, path: str) -> None:
    with signed_in(console, accounts, "admin") as client:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {COOKIE}={client.cookies[COOKIE]}\r\n"
        answer = ask_raw(console, f"{request}Connection: close\r\n\r\n".encode())
    status = int(answer.split(b" ", 2)[1])
    assert status < 500, answer


# Headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/sign-in", 200),
        ("/customers", 303),
        ("/nothing-here", 404),
        ("/static/console.css", 200),
        ("/static/nothing", 404),
        ("/api/v1/status", 401),
        ("/api/v1/openapi.json", 200),
        ("/api/v1/nothing", 404),
    ],
)
def test_every_answer_has_the_security_headers(console: str, path: str, status: int) -> None:
    answer = httpx.get(console + path, timeout=30)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "Server" not in answer.headers
    kept = path == "/static/console.css"
    assert answer.headers["Cache-Control"] == ("public, max-age=31536000, immutable" if kept else "no-store")


def test_a_refused_host_gets_the_security_headers_too(console: str) -> None:
    answer = httpx.get(console, headers={"Host": "evil.example"}, timeout=30)
    assert answer.status_code == 400
    assert set(SECURITY_HEADERS) <= {name.title() for name in answer.headers} | set(answer.headers)


def test_strangers_learn_nothing_of_a_ledger_that_is_down(environment: Mapping[str, str]) -> None:
    down = "postgresql://secret-user@127.0.0.1:1/secret-database"
    with serve_console(environment, HOLDFAST_LEDGER_URL=down) as address:
        probes = [httpx.get(f"{address}/health/{probe}", timeout=30) for probe in ("live", "ready")]
        answers = [
            httpx.get(f"{address}/api/v1/status", headers=bearer(make_key()), timeout=30),
            httpx.post(f"{address}/sign-in", data={"name": "admin", "password": "x"}, timeout=30),
        ]
    assert [each.status_code for each in answers] == [503, 503]
    assert [each.headers["Retry-After"] for each in answers] == ["5", "5"]
    assert [(each.status_code, each.json()) for each in probes] == [(200, {"alive": True}), (503, {"ready": False})]
    assert not any("secret" in each.text or "127.0.0.1" in each.text for each in answers)


def test_probes_need_no_sign_in(console: str) -> None:
    answers = [httpx.get(f"{console}/health/{probe}") for probe in ("live", "ready")]
    assert [(each.status_code, each.json()) for each in answers] == [(200, {"alive": True}), (200, {"ready": True})]
