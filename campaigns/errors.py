"""Errors of the campaigns package.

CampaignError
├── CampaignDefinitionError   a campaign, offer or channel file cannot be used; also a segments.errors.DefinitionError
│   ├── DefinitionMissingError      there is no definition of that key
│   ├── DefinitionExistsError       a new definition has the key of another
│   ├── DefinitionChangedError      somebody else has changed a definition since it was read
│   └── DefinitionsReadOnlyError    files are authoritative: definitions are edited there
├── MessageError              a message template failed on one customer
├── LaunchError               a launch is refused; the message says what to do instead
│   └── UnknownLaunchError          there is no launch of that id
├── ReevaluationError         a re-evaluation is refused or not complete; the message says what to do
├── FeedbackError             feedback of staff is refused; the message says why
├── FactChangeError           a fact cannot be changed as asked; the message says why
├── ErasureError              an erasure did not happen; the message says why
├── ErasedCustomerError       nothing is kept of a customer who was erased
├── RetentionError            old rows may not be deleted so; the message says why
└── LedgerError
    ├── LedgerUnavailableError  the ledger cannot be reached now; retry
    ├── LedgerConflictError     another worker changed what was read; read again and decide again
    ├── LedgerFencedError       another worker owns the partition now; drop the batch
    ├── SizesNotRecordedError   the sizes of segments cannot be recorded; the message says what to do
    ├── SharedSessionError      clients share a session of PostgreSQL, as behind some poolers
    ├── LedgerRestoredError     it lacks messages that were published; an operator must act
    ├── UnknownCustomerError    the ledger has nothing of a customer
    ├── UnknownLeadError        the ledger has no such lead
    └── DeadLetterError         a dead letter cannot be requeued or discarded, or is resolved already
        └── UnknownDeadLetterError  the ledger has no such dead letter
"""

from __future__ import annotations

from segments.errors import DefinitionError


class CampaignError(Exception):
    """Anything that goes wrong in this package."""


class CampaignDefinitionError(CampaignError, DefinitionError):
    """A campaign, offer or channel file cannot be used; the message names file, path and reason."""


class DefinitionMissingError(CampaignDefinitionError):
    """There is no definition of that key."""


class DefinitionExistsError(CampaignDefinitionError):
    """A new definition has the key of another."""


class DefinitionChangedError(CampaignDefinitionError):
    """Somebody else has changed a definition since it was read: read it again, and edit that."""


class DefinitionsReadOnlyError(CampaignDefinitionError):
    """Files are authoritative: definitions are edited there."""


class MessageError(CampaignError):
    """A message template failed on one customer's facts."""


class LaunchError(CampaignError):
    """A launch is refused; the message says what to do instead."""


class UnknownLaunchError(LaunchError):
    """There is no launch of that id."""


class ReevaluationError(CampaignError):
    """A re-evaluation is refused or cannot go on; the message says what to do."""


class FeedbackError(CampaignError):
    """Feedback of staff is refused; the message says why."""


class FactChangeError(CampaignError):
    """A fact cannot be changed as asked; the message says why."""


class ErasureError(CampaignError):
    """An erasure did not happen; the message says why."""


class ErasedCustomerError(CampaignError):
    """The customer was erased; the message says when and by whom."""


class RetentionError(CampaignError):
    """Old rows may not be deleted as the settings say; the message says why."""


class LedgerError(CampaignError):
    """Anything that goes wrong with the ledger."""


class LedgerUnavailableError(LedgerError):
    """The ledger cannot be reached now; retry."""


class LedgerConflictError(LedgerError):
    """Another worker changed what was read: read again and decide again."""


class LedgerFencedError(LedgerError):
    """Another worker owns the partition now: drop the batch, do not retry it."""


class SizesNotRecordedError(LedgerError):
    """The sizes of segments cannot be recorded, and a retry would not help; the message says what to do."""


class SharedSessionError(LedgerError):
    """Several clients share a session of PostgreSQL, as behind a pooler of transactions."""


class LedgerRestoredError(LedgerError):
    """The ledger lacks messages that were published, as after a restore from a backup: an operator must act."""


class UnknownCustomerError(LedgerError):
    """The ledger has nothing of a customer; the message says what to check."""


class UnknownLeadError(LedgerError):
    """The ledger has no such lead."""


class DeadLetterError(LedgerError):
    """A dead letter that an operator names cannot be requeued or discarded, or is resolved already."""


class UnknownDeadLetterError(DeadLetterError):
    """The ledger has no such dead letter."""
