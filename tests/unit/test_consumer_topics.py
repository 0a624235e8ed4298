from __future__ import annotations

import pytest

from streams.errors import BrokerUnavailableError, TopicLayoutError
from streams.kafka.topics import PARTITIONS, check_layout, choose_partitions, verify_topics


def test_equal_partition_counts_are_the_layout() -> None:
    """Topics that are not asked for do not matter."""
    assert check_layout(["updates", "outcomes"], {"updates": 6, "outcomes": 6, "other": 1}) == 6


def test_missing_topics_are_named_with_the_command_that_creates_them() -> None:
    """The operator can act on the message."""
    with pytest.raises(TopicLayoutError, match=r"outcomes, evaluations; .*holdfast topics create"):
        check_layout(["updates", "outcomes", "evaluations"], {"updates": 6})


def test_unequal_partition_counts_are_refused() -> None:
    """They would let two workers see one customer."""
    with pytest.raises(TopicLayoutError, match="updates has 6, outcomes has 4"):
        check_layout(["updates", "outcomes"], {"updates": 6, "outcomes": 4})


TOPICS = ["updates", "outcomes", "decisions"]


@pytest.mark.parametrize(
    ("requested", "there", "chosen"),
    [
        (6, {}, 6),
        (6, {"updates": 6, "other": 1}, 6),
        (None, {}, PARTITIONS),
        (None, {"updates": 12, "decisions": 1}, 12),
        (None, {"decisions": 12}, PARTITIONS),
    ],
)
def test_missing_topics_get_as_many_partitions_as_the_others_have(
    requested: int | None, there: dict[str, int], chosen: int
) -> None:
    """Unless a number is requested; only input topics must agree."""
    assert choose_partitions(requested, TOPICS, ["updates", "outcomes"], there) == chosen


def test_another_number_of_partitions_than_requested_is_refused() -> None:
    """With what exists and what to do."""
    with pytest.raises(TopicLayoutError, match=r"6 partitions were requested, but updates has 2; nothing was created"):
        choose_partitions(6, TOPICS, ["updates", "outcomes"], {"updates": 2, "decisions": 6})


def test_a_broker_that_is_not_there_is_one_clear_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The address and the variable are named, and librdkafka stays silent."""
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1 .*HOLDFAST_BROKER"):
        verify_topics("127.0.0.1:1", ["updates"], timeout_s=0.5)
    assert capfd.readouterr() == ("", "")
