"""What can go wrong in analytics from concepts.

AnalyticsError       an IntelligenceError
├── InputFileError   a CSV file cannot be read or lacks what is needed
├── ModelFileError   a folder of models cannot be read, or its files were changed
└── OutputError      the results cannot be written
"""

from __future__ import annotations

from intelligence.errors import IntelligenceError


class AnalyticsError(IntelligenceError):
    """Anything that goes wrong in this package; the message says what, where and what to do."""


class InputFileError(AnalyticsError):
    """A CSV file cannot be read or lacks what is needed."""


class ModelFileError(AnalyticsError):
    """A folder of models cannot be read, or its files were changed."""


class OutputError(AnalyticsError):
    """The results cannot be written."""
