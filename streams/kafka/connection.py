"""Kafka connection and authentication settings: TLS and SASL for librdkafka; credentials.py has those for Faust.

Both clients check the broker's certificate and its host name; no setting turns this off.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streams.connection_checks import read_password, uses_sasl

if TYPE_CHECKING:
    from streams.settings import Settings


def quiet_logger(name: str) -> logging.Logger:
    """Return a logger that discards what librdkafka says: it repeats on stderr what Holdfast raises once."""
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def describe_connection(settings: Settings) -> dict[str, str]:
    """Return the librdkafka properties that connect to the broker. They may hold a password: never log them."""
    return {"bootstrap.servers": settings.broker, **describe_security(settings)}


def describe_security(settings: Settings) -> dict[str, str]:
    """Return the librdkafka properties of TLS and SASL, none for a plaintext broker."""
    if settings.kafka_security_protocol == "plaintext":
        return {}
    files = {
        "ssl.ca.location": settings.kafka_ca_file,
        "ssl.certificate.location": settings.kafka_cert_file,
        "ssl.key.location": settings.kafka_key_file,
    }
    found = {name: str(path) for name, path in files.items() if path is not None}
    return {"security.protocol": settings.kafka_security_protocol, **found, **_describe_sasl(settings)}


def _describe_sasl(settings: Settings) -> dict[str, str]:
    if not uses_sasl(settings):
        return {}
    return {
        "sasl.mechanism": settings.kafka_sasl_mechanism,
        "sasl.username": settings.kafka_username or "",
        "sasl.password": read_password(settings),
    }
