"""Kafka authentication for Faust; connection.py has the same for librdkafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faust.auth import SASLCredentials, SSLCredentials

from streams.connection_checks import build_context, read_password, uses_sasl, uses_tls

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

    from streams.settings import Settings


def build_credentials(settings: Settings) -> CredentialsT | None:
    """Return the credentials of the Faust app, None for a plaintext broker.

    Raises:
        SettingsError: a file cannot be used; the message names its variable.
    """
    context = build_context(settings) if uses_tls(settings) else None
    if uses_sasl(settings):
        return SASLCredentials(
            username=settings.kafka_username,
            password=read_password(settings),
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    return SSLCredentials(context) if context else None
