"""Names, passwords and refusals of access to the console."""

from __future__ import annotations

import pytest

from console.access.names import check_name, is_name, normalize_name
from console.access.passwords import LONGEST, SHORTEST, hash_password, verify_password
from console.errors import AccessError
from console.web.links import within_console
from console.web.serving import build_served_app, is_loopback, listen
from streams.errors import SettingsError
from streams.settings import load_settings

OPEN = {"HOLDFAST_CONSOLE_ACCESS": "open"}


# Names


@pytest.mark.parametrize("name", ["anna", "a.b-c_d+e@example.org", "0", "x" * 100])
def test_names_of_people_and_programs_are_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Anna",
        " anna",
        "anna\n",
        "anna\N{NULL}",
        "\N{CYRILLIC SMALL LETTER A}nna",
        "an\N{RIGHT-TO-LEFT OVERRIDE}na",
        "anna\N{ZERO WIDTH SPACE}",
        "-anna",
        "an na",
        "<b>anna</b>",
        "anna'--",
        "../anna",
        "\N{FULLWIDTH LATIN SMALL LETTER A}nna",
        "\ud800",
        "x" * 101,
        "local",
        "unknown",
    ],
    ids=ascii,
)
def test_a_name_cannot_look_like_another_or_be_obeyed(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(AccessError):
        check_name(name)


def test_names_are_typed_in_any_case() -> None:
    assert normalize_name("  Anna@Example.ORG ") == "anna@example.org"


# Passwords


@pytest.mark.parametrize("password", ["x" * (SHORTEST - 1), "x" * (LONGEST + 1)])
def test_a_password_is_neither_short_nor_endless(password: str) -> None:
    with pytest.raises(AccessError, match="12 to 512 characters"):
        hash_password(password)


@pytest.mark.parametrize("password", ["", "wrong", "\N{NULL}", "\ud800", "x" * 100_000], ids=ascii)
def test_any_text_can_be_a_wrong_password(password: str) -> None:
    assert not verify_password(hash_password("correct horse battery"), password)
    assert not verify_password(None, password)
    assert not verify_password("no hash", password)


# Refusals at the start


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST"])
def test_an_open_console_starts_on_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert build_served_app(load_settings(HOLDFAST_CONSOLE_HOST=host, **OPEN)).state.context.is_open


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",  # noqa: S104 - refused
        "::",
        "192.168.1.7",
        "fd00::1",
        "crm.example.org",
        "::ffff:10.0.0.1",
        "127.1",
        "0",
        "localhost.evil.example",
    ],
)
def test_an_open_console_does_not_start_where_others_can_reach_it(host: str) -> None:
    with pytest.raises(AccessError, match="HOLDFAST_CONSOLE_ACCESS=accounts"):
        build_served_app(load_settings(HOLDFAST_CONSOLE_HOST=host, **OPEN))


def test_an_open_console_does_not_start_behind_a_proxy() -> None:
    with pytest.raises(AccessError, match="a proxy lets others reach it"):
        build_served_app(load_settings(HOLDFAST_CONSOLE_URL="https://crm.example.org", **OPEN))


@pytest.mark.parametrize(
    "url", ["https://", "https://*", "https://*.example.org", "http://[::1", "https://crm.example.org:x"]
)
def test_an_address_without_a_host_is_refused(url: str) -> None:
    with pytest.raises(AccessError, match="HOLDFAST_CONSOLE_URL"):
        build_served_app(load_settings(HOLDFAST_CONSOLE_URL=url))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOLDFAST_CONSOLE_HOST", ""),
        ("HOLDFAST_CONSOLE_HOST", "*"),
        ("HOLDFAST_CONSOLE_PROXIES", "*"),
        ("HOLDFAST_CONSOLE_PROXIES", "proxy"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings(**{name: value})


# Where it listens


def test_a_port_in_use_is_named_with_its_setting() -> None:
    (taken,) = listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with (
        taken,
        pytest.raises(AccessError, match=f"HOLDFAST_CONSOLE_PORT={port}: another program listens on port {port}"),
    ):
        listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no-such-host.invalid"])
def test_an_address_that_is_not_of_this_machine_is_named_with_its_setting(host: str) -> None:
    with pytest.raises(AccessError, match=f"HOLDFAST_CONSOLE_HOST={host}: the console cannot listen there"):
        listen(host, 0)


def test_all_addresses_of_a_host_have_one_port() -> None:
    sockets = listen("localhost", 0)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()


# Addresses to go to after signing in


@pytest.mark.parametrize("address", ["/", "/customers/a%2Fb?x=1", "/a//b", "/:80"])
def test_addresses_within_the_console_are_kept(address: str) -> None:
    assert within_console(address) == address


@pytest.mark.parametrize(
    "address",
    ["", "//x", "/\\x", "\\/x", "x", "https://x", "/\rx", "/\N{NULL}", "/\N{ZERO WIDTH SPACE}/x", "\ud800"],
    ids=ascii,
)
def test_addresses_outside_are_not(address: str) -> None:
    assert within_console(address) == "/"
