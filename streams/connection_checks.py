"""Checks of the connection settings of Kafka and Redis, and the TLS context. No client library.

Imported by settings.py, which checks what it has read, and by kafka/connection.py, which uses it.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from streams.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings

_SEE = "see Connections in docs/settings.md"


def build_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS context for Kafka: the CA of the settings or else the system's, and the client certificate if any.

    Raises:
        SettingsError: a file cannot be used; the message names its variable.
    """
    context = _trust("HOLDFAST_KAFKA_CA_FILE", settings.kafka_ca_file)
    if settings.kafka_cert_file is not None:
        try:
            # Without a password argument OpenSSL would prompt for the password of an encrypted key.
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file, password="")
        except OSError as error:
            raise SettingsError(
                f"HOLDFAST_KAFKA_CERT_FILE and HOLDFAST_KAFKA_KEY_FILE: {error.strerror or 'not a pair'}; they must be "
                f"a PEM certificate and its key without a password; {_SEE}"
            ) from error
    return context


def check_connection(settings: Settings) -> None:
    """Refuse settings of Kafka and Redis that contradict each other.

    Raises:
        SettingsError: the message names the variable and what to do; it quotes no value but paths.
    """
    _check_sasl(settings)
    _check_tls(settings)
    if settings.redis_ca_file is not None:
        if not settings.redis_url.startswith("rediss://"):
            raise SettingsError(
                f"HOLDFAST_REDIS_CA_FILE: needs a HOLDFAST_REDIS_URL that begins with rediss://; {_SEE}"
            )
        _trust("HOLDFAST_REDIS_CA_FILE", settings.redis_ca_file)


def _check_sasl(settings: Settings) -> None:
    given = {
        "HOLDFAST_KAFKA_USERNAME": bool(settings.kafka_username),
        "HOLDFAST_KAFKA_PASSWORD": bool(read_password(settings)),
    }
    for name, is_given in given.items():
        if uses_sasl(settings) and not is_given:
            raise SettingsError(f"{name}: is needed with {_protocol(settings)}; {_SEE}")
        if is_given and not uses_sasl(settings):
            raise SettingsError(f"{name}: is not used with {_protocol(settings)}; name a sasl_ one or unset it; {_SEE}")


def _check_tls(settings: Settings) -> None:
    files = {
        "HOLDFAST_KAFKA_CA_FILE": settings.kafka_ca_file,
        "HOLDFAST_KAFKA_CERT_FILE": settings.kafka_cert_file,
        "HOLDFAST_KAFKA_KEY_FILE": settings.kafka_key_file,
    }
    for name, path in files.items():
        if path is not None and not uses_tls(settings):
            raise SettingsError(f"{name}: is not used with {_protocol(settings)}; name ssl or sasl_ssl; {_SEE}")
        _check_file(name, path)
    if settings.kafka_cert_file is None and settings.kafka_key_file is not None:
        raise SettingsError(f"HOLDFAST_KAFKA_CERT_FILE: is needed with HOLDFAST_KAFKA_KEY_FILE; {_SEE}")
    if settings.kafka_key_file is None and settings.kafka_cert_file is not None:
        raise SettingsError(f"HOLDFAST_KAFKA_KEY_FILE: is needed with HOLDFAST_KAFKA_CERT_FILE; {_SEE}")
    if uses_tls(settings):
        build_context(settings)


def _trust(name: str, authority: Path | None) -> ssl.SSLContext:
    _check_file(name, authority)
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise SettingsError(f"{name}: {authority} is not a readable PEM file of certificates; {_SEE}") from error


def _check_file(name: str, path: Path | None) -> None:
    if path is not None and not path.is_file():
        raise SettingsError(f"{name}: there is no file {path}; {_SEE}")


def _protocol(settings: Settings) -> str:
    return f"HOLDFAST_KAFKA_SECURITY_PROTOCOL {settings.kafka_security_protocol}"


def uses_sasl(settings: Settings) -> bool:
    """Return whether the client authenticates by SASL."""
    return settings.kafka_security_protocol.startswith("sasl_")


def uses_tls(settings: Settings) -> bool:
    """Return whether the connection to Kafka is encrypted."""
    return settings.kafka_security_protocol.endswith("ssl")


def read_password(settings: Settings) -> str:
    """Return the SASL password, empty without one. Never log it."""
    return settings.kafka_password.get_secret_value() if settings.kafka_password else ""
