"""The AsyncAPI 3.0 document of all topics. Pure.

Source: AsyncAPI Specification 3.0.0 and its Kafka bindings 0.5.0.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streams.contracts.messages import all_messages
from streams.topic_descriptions import SHADOW, TOPICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.contracts.messages import MessageContract
    from streams.topic_descriptions import TopicDescription

DOCUMENT = "asyncapi.json"
BINDING = "0.5.0"
CONTRACT_VERSION = "1.0.0"
"""Of the document: the first number grows when a message gets a new version."""
_LEFT_OUT = ("$schema", "$id", "examples")
"""Keywords of a schema file that the document leaves out: examples are those of the message."""
_OF_LEADS = ("leads", "lead-alerts")
"""Topics whose records are keyed by leads."""
_MEANINGS = {
    "customer-updates": "A customer's row in the warehouse changed.",
    "conversations": "A customer wrote, or staff answered.",
    "outcomes": "What became of a contact, changes of consent, and feedback of staff.",
    "evaluations": "Requests to evaluate a customer.",
    "leads": "Updates of leads, what became of them, and feedback on their scores; read with HOLDFAST_LEADS=true.",
    "campaign-triggers": "Contact the customer of each trigger.",
    "campaign-triggers.control": "Customers whom a campaign would have contacted, held out to measure its effect.",
    SHADOW: "What a replay would have sent: do not contact customers by it.",
    "decisions": "Every decision with its reason, whether a customer was contacted or not.",
    "segment-transitions": "Entries into segments and exits; only with HOLDFAST_PUBLISH_TRANSITIONS=true.",
    "lead-alerts": "Leads that become hot; only with HOLDFAST_LEADS=true.",
    "dead-letters": "Records that could not be decided, unchanged, and messages that could not be published.",
}


def describe_topics(prefix: str = "") -> dict[str, Any]:
    """Return the document.

    Args:
        prefix: precedes every topic's name; see HOLDFAST_TOPIC_PREFIX.
    """
    messages = all_messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Holdfast",
            "version": CONTRACT_VERSION,
            "description": (
                "What Holdfast reads and publishes on Kafka. Every record is keyed by the customer's id, in UTF-8; "
                "those of leads by the lead's. "
                "Read with isolation.level=read_committed. Ignore fields and headers that are not described here: "
                "later releases may add some. Inputs are described as Holdfast's own JSON; docs/events.md names the "
                "other formats that are read."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _describe_channel(topic, prefix, messages) for topic in TOPICS},
        "operations": {_operation(topic): _describe_operation(topic) for topic in TOPICS},
        "components": {"messages": {each.key: _describe_message(each) for each in messages}},
    }


def write_document(document: Mapping[str, Any]) -> str:
    """Return a document or a schema as the text of its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _describe_channel(topic: TopicDescription, prefix: str, messages: tuple[MessageContract, ...]) -> dict[str, Any]:
    carried = {each.key: {"$ref": f"#/components/messages/{each.key}"} for each in messages if each.topic == topic.name}
    bytes_allowed = topic.configs.get("max.message.bytes")
    configuration = {} if bytes_allowed is None else {"topicConfiguration": {"max.message.bytes": int(bytes_allowed)}}
    return {
        "address": prefix + topic.name,
        "description": _MEANINGS[topic.name],
        "messages": carried,
        "bindings": {"kafka": {"topic": prefix + topic.name, **configuration, "bindingVersion": BINDING}},
    }


def _operation(topic: TopicDescription) -> str:
    words = topic.name.replace(".", "-").split("-")
    verb = "receive" if topic.kind == "input" else "send"
    return verb + "".join(word.capitalize() for word in words)


def _describe_operation(topic: TopicDescription) -> dict[str, Any]:
    return {
        "action": "receive" if topic.kind == "input" else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
    }


def _describe_message(message: MessageContract) -> dict[str, Any]:
    payload = {name: each for name, each in message.payload.items() if name not in _LEFT_OUT}
    headers = message.headers
    correlated = "ce_correlationid" in headers["properties"]
    return {
        "name": message.name,
        "title": payload.get("title", message.name),
        "contentType": "application/json" if payload else "application/octet-stream",
        **({"correlationId": {"location": "$message.header#/ce_correlationid"}} if correlated else {}),
        "headers": headers,
        "payload": payload or {"description": "The value of the record, unchanged: any bytes, or none."},
        "bindings": {"kafka": {"key": _describe_key(message), "bindingVersion": BINDING}},
        "examples": [{"headers": headers, "payload": value} for headers, value in message.examples],
    }


def _describe_key(message: MessageContract) -> dict[str, Any]:
    if message.payload:
        who = "lead" if message.topic in _OF_LEADS else "customer"
        return {"type": "string", "minLength": 1, "description": f"The {who}'s id."}
    return {"description": "The key of the record, unchanged: any bytes, or none."}
