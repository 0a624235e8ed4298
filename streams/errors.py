"""What can go wrong at the Kafka edge.

HoldfastStreamError
├── SettingsError            a setting has a value that cannot be used
├── MissingCodecError        a compression codec is not installed
├── MissingPackageError      a setting needs a package that is not installed
├── RegistryUnavailableError the schema registry did not answer; retry
├── DuplicateInstanceError   another worker uses this worker's instance id
├── TopicLayoutError         topics are missing, or their partition counts differ
├── BrokerUnavailableError   no broker answered in time
├── HistoryGoneError         records of a past period are no longer in their topics
├── ReplayError              a replay is refused; the message says what to do
├── SinkUnavailableError     publishing did not succeed; retry
└── UnpublishableError       a topic can never accept a message; publish the others without it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.ports import Refusal


class HoldfastStreamError(Exception):
    """Any failure at the Kafka edge."""


class SettingsError(HoldfastStreamError):
    """A setting has a value that cannot be used."""


class MissingCodecError(HoldfastStreamError):
    """Compressed records could not be read, because a codec is not installed."""


class MissingPackageError(HoldfastStreamError):
    """A setting needs a package that is not installed."""


class RegistryUnavailableError(HoldfastStreamError):
    """The schema registry did not return a schema; retry later."""


class DuplicateInstanceError(HoldfastStreamError):
    """Another worker has joined the group with this worker's instance id."""


class TopicLayoutError(HoldfastStreamError):
    """Topics are missing, or one customer's events could not all go to one worker."""


class BrokerUnavailableError(HoldfastStreamError):
    """No broker answered in time."""


class HistoryGoneError(HoldfastStreamError):
    """Records of a past period are no longer in their topics."""


class ReplayError(HoldfastStreamError):
    """A replay is refused or cannot go on; the message says what to do."""


class SinkUnavailableError(HoldfastStreamError):
    """Publishing did not succeed, and it is unknown what was published: acquire the partition, then publish again."""


class UnpublishableError(HoldfastStreamError):
    """Messages can never be published: publish the others without them.

    Attributes:
        refusals: why, by the sequence of each such message.
    """

    def __init__(self, refusals: Mapping[int, Refusal]) -> None:
        first = next(iter(refusals.values()))
        super().__init__(f"{len(refusals)} messages cannot be published; {first.topic}: {first.reason}")
        self.refusals = refusals
