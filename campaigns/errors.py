"""What can go wrong below campaigns.

CampaignError
├── CampaignDefinitionError   a campaign, offer or channel file cannot be used; also a segments.errors.DefinitionError
├── MessageError              a message template failed on one customer
└── LedgerError
    ├── LedgerUnavailableError  the ledger cannot be reached now; asking again may help
    ├── LedgerConflictError     another worker changed what was read; read again and decide again
    ├── LedgerFencedError       another worker owns the partition now; this batch is no longer ours
    ├── LedgerRestoredError     it has forgotten what was published; somebody must act
    └── DeadLetterError         a dead letter that an operator names is not there, or its fate is settled
"""

from __future__ import annotations

from segments.errors import DefinitionError


class CampaignError(Exception):
    """Anything that goes wrong in this package."""


class CampaignDefinitionError(CampaignError, DefinitionError):
    """A campaign, offer or channel file cannot be used; the message names file, path and reason."""


class MessageError(CampaignError):
    """A message template failed on one customer's facts."""


class LedgerError(CampaignError):
    """Anything that goes wrong with the ledger."""


class LedgerUnavailableError(LedgerError):
    """The ledger cannot be reached now; asking again may help."""


class LedgerConflictError(LedgerError):
    """Another worker changed what was read: read again and decide again."""


class LedgerFencedError(LedgerError):
    """Another worker owns the partition now: its batch is to be dropped, not retried."""


class LedgerRestoredError(LedgerError):
    """The ledger has forgotten what was published, as one restored from a backup has: somebody must act."""


class DeadLetterError(LedgerError):
    """A dead letter that an operator names is not there, or its fate is settled; the message says which and what."""
