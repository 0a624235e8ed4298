from __future__ import annotations

from pathlib import Path

import pytest

from console.cli import holdfast
from streams.settings import INPUT_TOPICS, OUTPUT_TOPICS
from streams.topic_descriptions import MAX_MESSAGE_BYTES, SHADOW, TOPICS, find_differences

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"


def compose_service(name: str) -> str:
    """Return a service's part of docker-compose.yml."""
    services = COMPOSE.read_text().partition("\nservices:\n")[2]
    return services.partition(f"\n  {name}:\n")[2].partition("\n\n  ")[0]


def described() -> dict[str, dict[str, str]]:
    return {f"p.{topic.name}": dict(topic.configs) for topic in TOPICS}


def test_docker_compose_creates_the_topics_by_the_command() -> None:
    """So that there is one description of them, and no list of names beside it."""
    topics = compose_service("topics")
    assert 'command: ["holdfast", "topics", "create", "--partitions", "4"]' in topics
    assert "build: ." in topics
    assert holdfast.get_command(None, "topics").get_command(None, "create")  # type: ignore[arg-type,union-attr,attr-defined]
    assert not [topic.name for topic in TOPICS if topic.name in COMPOSE.read_text()]
    assert "kafka-topics.sh" not in COMPOSE.read_text()


def test_the_worker_of_docker_compose_waits_for_the_topics() -> None:
    worker = compose_service("worker")
    assert "topics:\n        condition: service_completed_successfully" in worker


def test_settings_name_the_topics_that_are_described() -> None:
    assert {*INPUT_TOPICS, *OUTPUT_TOPICS.values(), SHADOW} == {topic.name for topic in TOPICS}
    assert not [
        topic
        for topic in TOPICS
        if (topic.kind == "output") != (topic.destination in OUTPUT_TOPICS or topic.name == SHADOW)
    ]


def test_topics_as_described_do_not_differ() -> None:
    assert find_differences("p.", described()) == []


@pytest.mark.parametrize(
    ("topic", "name", "value"),
    [
        ("dead-letters", "max.message.bytes", "1048588"),
        ("decisions", "message.timestamp.type", "CreateTime"),
    ],
)
def test_a_difference_names_topic_setting_and_both_values(topic: str, name: str, value: str) -> None:
    found = described()
    found[f"p.{topic}"][name] = value
    (difference,) = find_differences("p.", found)
    for part in (f"p.{topic}", name, value):
        assert part in difference


def test_a_larger_limit_is_no_difference() -> None:
    found = described()
    found["p.dead-letters"]["max.message.bytes"] = str(2 * MAX_MESSAGE_BYTES)
    assert find_differences("p.", found) == []


def test_a_topic_that_may_not_be_read_is_left_out() -> None:
    assert find_differences("p.", {}) == []
