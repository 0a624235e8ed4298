"""Changes the configuration of a running broker and of its topics."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

TOPIC, BROKER = ResourceType.TOPIC, ResourceType.BROKER
BROKER_ID = "1"


def set_options(address: str, kind: ResourceType, name: str, **options: object) -> None:
    """Set options, with underscores for the dots in their names; None restores the default.

    Args:
        address: address of the broker.
        kind: TOPIC or BROKER.
        name: the topic's name, or BROKER_ID.
        options: the options.
    """
    entries = [
        ConfigEntry(
            option.replace("_", "."),
            None if value is None else str(value),
            incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
        )
        for option, value in options.items()
    ]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    client = AdminClient({"bootstrap.servers": address, "log_level": 0})
    client.incremental_alter_configs([resource])[resource].result()
