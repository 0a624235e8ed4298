from __future__ import annotations

import pytest

from streams.errors import BrokerUnavailableError, TopicLayoutError
from streams.kafka.topics import check_layout, verify_topics


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


def test_a_broker_that_is_not_there_is_one_clear_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The address and the variable are named, and librdkafka stays silent."""
    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1 .*HOLDFAST_BROKER"):
        verify_topics("127.0.0.1:1", ["updates"], timeout_s=0.5)
    assert capfd.readouterr() == ("", "")
