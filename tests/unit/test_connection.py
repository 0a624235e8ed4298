from __future__ import annotations

import ssl
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from faust.auth import SASLCredentials

from streams.errors import SettingsError
from streams.kafka.connection import describe_connection
from streams.kafka.credentials import build_credentials
from streams.settings import load_settings
from tests.settings_table import PAGE

if TYPE_CHECKING:
    from pathlib import Path

SASL: dict[str, Any] = {
    "kafka_security_protocol": "sasl_ssl",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_username": "worker",
    "kafka_password": "s3cret",
}


def without(*names: str, **changes: Any) -> dict[str, Any]:
    """Return the settings of SASL but for some."""
    return {name: value for name, value in (SASL | changes).items() if name not in names}


def test_a_plaintext_broker_is_reached_by_its_address_alone() -> None:
    """As before there was any security."""
    settings = load_settings(broker="kafka:9092")
    assert describe_connection(settings) == {"bootstrap.servers": "kafka:9092"}
    assert build_credentials(settings) is None


def test_sasl_and_tls_are_said_in_both_clients_words() -> None:
    """The same user, password and mechanism; certificates and host names are checked."""
    settings = load_settings(broker="kafka:9093", **SASL)
    assert describe_connection(settings) == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "worker",
        "sasl.password": "s3cret",
    }
    credentials = build_credentials(settings)
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.password) == ("worker", "s3cret")
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert credentials.ssl_context is not None
    assert credentials.ssl_context.check_hostname
    assert credentials.ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_sasl_without_tls_has_no_context() -> None:
    """And says so to both."""
    settings = load_settings(**without(kafka_security_protocol="sasl_plaintext"))
    credentials: Any = build_credentials(settings)
    assert credentials.protocol.value == "SASL_PLAINTEXT"
    assert describe_connection(settings)["security.protocol"] == "sasl_plaintext"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (without("kafka_username"), "HOLDFAST_KAFKA_USERNAME"),
        (without(kafka_username=""), "HOLDFAST_KAFKA_USERNAME"),
        (without("kafka_password"), "HOLDFAST_KAFKA_PASSWORD"),
        (without(kafka_password=""), "HOLDFAST_KAFKA_PASSWORD"),
        (without(kafka_security_protocol="ssl"), "HOLDFAST_KAFKA_USERNAME"),
        (without("kafka_security_protocol"), "HOLDFAST_KAFKA_USERNAME"),
        ({"kafka_password": "s3cret"}, "HOLDFAST_KAFKA_PASSWORD"),
        (
            without("kafka_security_protocol", HOLDFAST_KAFKA_SECURITY_PROTOCOL="SASL"),
            "HOLDFAST_KAFKA_SECURITY_PROTOCOL",
        ),
        (without("kafka_sasl_mechanism", HOLDFAST_KAFKA_SASL_MECHANISM="GSSAPI"), "HOLDFAST_KAFKA_SASL_MECHANISM"),
        (without(kafka_ca_file="{here}"), "HOLDFAST_KAFKA_CA_FILE"),
        (without(kafka_ca_file="{here}/none.pem"), "HOLDFAST_KAFKA_CA_FILE"),
        (without(kafka_ca_file="{page}"), "HOLDFAST_KAFKA_CA_FILE"),
        (without(kafka_cert_file="{page}"), "HOLDFAST_KAFKA_KEY_FILE"),
        (without(kafka_key_file="{page}"), "HOLDFAST_KAFKA_CERT_FILE"),
        (without(kafka_cert_file="{page}", kafka_key_file="{here}/none.key"), "HOLDFAST_KAFKA_KEY_FILE"),
        (without(kafka_cert_file="{page}", kafka_key_file="{page}"), "HOLDFAST_KAFKA_CERT_FILE and .*KEY_FILE"),
        ({"kafka_ca_file": "{page}"}, "HOLDFAST_KAFKA_CA_FILE"),
        (without(kafka_security_protocol="sasl_plaintext", kafka_ca_file="{page}"), "HOLDFAST_KAFKA_CA_FILE"),
        ({"redis_ca_file": "{page}"}, "HOLDFAST_REDIS_CA_FILE.*rediss"),
        ({"redis_ca_file": "{page}", "redis_url": "rediss://:s3cret@host/0"}, "HOLDFAST_REDIS_CA_FILE"),
    ],
)
def test_settings_that_contradict_each_other_name_the_variable(
    settings: dict[str, Any], named: str, tmp_path: Path
) -> None:
    """And quote no password, not even in the traceback."""
    places = {"{here}": str(tmp_path), "{page}": str(PAGE)}
    for name, value in settings.items():
        for place, path in places.items():
            settings = settings | {name: str(settings[name]).replace(place, path)} if place in value else settings
    with pytest.raises(SettingsError, match=named) as caught:
        load_settings(**settings)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert "docs/settings.md" in str(caught.value)


def test_no_password_shows_in_the_settings_as_text() -> None:
    """Nor in the credentials'."""
    settings = load_settings(**SASL)
    for told in (repr(settings), str(settings), settings.model_dump_json(), repr(build_credentials(settings))):
        assert "s3cret" not in told
