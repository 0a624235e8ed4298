"""What can go wrong in intelligence.

IntelligenceError
├── TextVectorsError          a file of text vectors cannot be read, or there is no text to learn them from
├── MessageStoreError         the message store cannot be used
│   └── MessageStoreUnavailableError  it cannot be reached, has no tables yet, or PostgreSQL lacks pgvector
├── SearchError               a search cannot be made as asked
├── WeekError                 a week cannot be read as an ISO week
├── ConcernsFileError         a file of concerns cannot be read or written
├── ClusterError              customers cannot be put into clusters, or there is no such cluster
└── RecommendationError       a catalogue or purchases cannot be used, or nothing can be recommended
    └── NoRecommendationsError  no run has recommended anything to the customer
"""

from __future__ import annotations


class IntelligenceError(Exception):
    """Anything that goes wrong in this package."""


class TextVectorsError(IntelligenceError):
    """A file of text vectors cannot be read, or there is no text to learn them from."""


class MessageStoreError(IntelligenceError):
    """The message store cannot be used."""


class MessageStoreUnavailableError(MessageStoreError):
    """The store cannot be reached, has no tables yet, or PostgreSQL lacks pgvector."""


class SearchError(IntelligenceError):
    """A search cannot be made as asked."""


class ClusterError(IntelligenceError):
    """Customers cannot be put into clusters, or there is no such cluster."""


class WeekError(IntelligenceError):
    """A week cannot be read as an ISO week."""


class ConcernsFileError(IntelligenceError):
    """A file of concerns cannot be read or written; the message says why."""


class RecommendationError(IntelligenceError):
    """A catalogue or purchases cannot be used, or nothing can be recommended; the message says what to do."""


class NoRecommendationsError(RecommendationError):
    """No run has recommended anything to the customer."""
