"""delivery.json, and the variables of its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from campaigns.channels import Channel
from delivery.config import EmailDelivery, WebhookDelivery, load_config
from delivery.errors import DeliveryConfigError
from delivery.secrets import read_keys, read_mail_server, read_unsubscribe_keys, read_webhook
from delivery.smtp import SmtpServer, read_smtp_url
from segments.errors import DefinitionError
from tests.journey.workplace import write_json

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of Standard Webhooks
CHANNELS = {
    "email": Channel(key="email", message_format="html"),
    "desk": Channel(key="desk", message_format="text", recipient="staff"),
    "web-hook": Channel(key="web-hook", message_format="text"),
    "web_hook": Channel(key="web_hook", message_format="text"),
}
EMAIL: dict[str, Any] = {
    "channel": "email",
    "by": "smtp",
    "sender": "Shop <news@shop.example>",
    "subject": "Hello",
    "address_column": "email",
}
DESK = {
    key: value
    for key, value in {**EMAIL, "channel": "desk", "to": "desk@shop.example"}.items()
    if key != "address_column"
}
HOOK = {"channel": "web-hook", "by": "webhook"}
PAGE = {"base_url": "https://shop.example/u/"}


def load(folder: Path, **content: Any) -> Any:
    write_json(folder / "delivery.json", content)
    return load_config(folder, CHANNELS)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    config = load(tmp_path, channels=[EMAIL, DESK, HOOK], unsubscribe=PAGE)
    assert [each.channel for each in config.channels] == ["email", "desk", "web-hook"]
    assert config.unsubscribe.base_url == "https://shop.example/u"
    assert (config.retries.first_pause_s, config.alarm.percent) == (10, 5)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"channels": []}, "channels"),
        ({"channels": [{**HOOK, "by": "pigeon"}]}, "by"),
        ({"channels": [{**HOOK, "channel": "fax"}]}, r"\$\.channels\[0\].*no channel 'fax'.*desk, email"),
        ({"channels": [HOOK, HOOK]}, "appears twice"),
        ({"channels": [HOOK, {**HOOK, "channel": "web_hook"}]}, "has its variables"),
        ({"channels": [EMAIL]}, "unsubscribe is missing"),
        ({"channels": [{**EMAIL, "channel": "desk"}], "unsubscribe": PAGE}, "for staff"),
        ({"channels": [{**DESK, "channel": "email"}]}, "for customers"),
        ({"channels": [{**DESK, "address_column": "email"}], "unsubscribe": PAGE}, "either address_column"),
        ({"channels": [{**DESK, "subject": "a\nb"}]}, "one line"),
        ({"channels": [{**DESK, "subjects": {"vip": "a\rb"}}]}, "one line"),
        ({"channels": [{**DESK, "sender": "nobody"}]}, "must be an address"),
        ({"channels": [{**DESK, "to": "a@b\r\nBcc: c@d"}]}, "must be an address"),
        ({"channels": [HOOK], "unsubscribe": {"base_url": "http://shop.example/u"}}, "https"),
        ({"channels": [HOOK], "unsubscribe": {"base_url": "https://shop.example/?u=1"}}, "https"),
        ({"channels": [HOOK], "retries": {"first_pause_s": 5, "longest_pause_s": 1}}, "longest_pause_s"),
        ({"channels": [HOOK], "secret": "x"}, "secret"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: dict[str, Any], why: str) -> None:
    """The message names the file."""
    with pytest.raises((DeliveryConfigError, DefinitionError), match=why) as caught:
        load(tmp_path, **content)
    assert "delivery.json" in str(caught.value)


def test_the_file_may_be_yaml(tmp_path: Path) -> None:
    (tmp_path / "delivery.yaml").write_text("channels:\n  - channel: web-hook\n    by: webhook\n")
    assert load_config(tmp_path, CHANNELS).channels[0].connections == 8
    (tmp_path / "delivery.yaml").write_text("channels:\n  - channel: fax\n    by: webhook\n")
    with pytest.raises(DeliveryConfigError, match=r"line 2.*no channel 'fax'"):
        load_config(tmp_path, CHANNELS)


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryConfigError, match=r"has no delivery\.json or delivery\.yaml"):
        load_config(tmp_path, CHANNELS)
    with pytest.raises(DeliveryConfigError, match="HOLDFAST_DEFINITIONS_DIR"):
        load_config(None, CHANNELS)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://relay.example", SmtpServer("smtp", "relay.example", 25)),
        ("smtp+starttls://u:p%40@relay.example", SmtpServer("smtp+starttls", "relay.example", 587, "u", "p@")),
        ("smtps://u:p@relay.example:4650", SmtpServer("smtps", "relay.example", 4650, "u", "p")),
        ("smtp://u:p@127.0.0.1:1025", SmtpServer("smtp", "127.0.0.1", 1025, "u", "p")),
    ],
)
def test_a_mail_server_has_a_url(url: str, server: SmtpServer) -> None:
    assert read_smtp_url(url) == server
    assert "p@" not in repr(read_smtp_url(url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("relay.example", "smtp"),
        ("http://relay.example", "smtp"),
        ("smtp://u:s3cret@relay.example", "without encryption"),
        ("smtps://u@relay.example", "or neither"),
        ("smtps://relay.example:99999", "port"),
        ("smtps://relay.example/x", "smtp"),
        ("", "is not set"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_named_by_its_variable(url: str, why: str) -> None:
    """And is not quoted: it may have a password."""
    delivered = EmailDelivery.model_validate(EMAIL)
    with pytest.raises(DeliveryConfigError, match=f"^HOLDFAST_DELIVERY_EMAIL_URL.*{why}") as caught:
        read_mail_server(delivered, {"HOLDFAST_DELIVERY_EMAIL_URL": url})
    assert "s3cret" not in str(caught.value)


def test_a_webhook_has_an_address_and_a_secret() -> None:
    """Neither shows in its repr."""
    delivered = WebhookDelivery.model_validate(HOOK)
    url = {"HOLDFAST_DELIVERY_WEB_HOOK_URL": "https://crm.example/t0ken"}
    address = read_webhook(delivered, {**url, "HOLDFAST_DELIVERY_WEB_HOOK_SECRET": f"{SECRET} {SECRET}"})
    assert (address.url, len(address.keys)) == ("https://crm.example/t0ken", 2)
    assert "t0ken" not in repr(address)
    with pytest.raises(DeliveryConfigError, match="HOLDFAST_DELIVERY_WEB_HOOK_SECRET is not set"):
        read_webhook(delivered, url)
    with pytest.raises(DeliveryConfigError, match="https://"):
        read_webhook(delivered, {"HOLDFAST_DELIVERY_WEB_HOOK_URL": "http://crm.example"})
    with pytest.raises(DeliveryConfigError, match="https://"):
        read_webhook(delivered, {"HOLDFAST_DELIVERY_WEB_HOOK_URL": "https://["})


def test_unsubscribe_links_need_a_secret_where_there_is_a_page(tmp_path: Path) -> None:
    assert read_unsubscribe_keys(load(tmp_path, channels=[HOOK]), {}) == ()
    with pytest.raises(DeliveryConfigError, match="HOLDFAST_UNSUBSCRIBE_SECRET is not set"):
        read_unsubscribe_keys(load(tmp_path, channels=[EMAIL], unsubscribe=PAGE), {})
    with pytest.raises(DeliveryConfigError, match="X: a secret must be base64"):
        read_keys("X", {"X": "!"}, "tests")
