"""Errors of the segments package.

SegmentsError
    RuleError               a JSONLogic rule cannot be compiled
    DefinitionError         a definition file cannot be used
    ActivationMissingError  a segment is evaluated before its activation is recorded
"""

from __future__ import annotations


class SegmentsError(Exception):
    """The base of all errors of this package."""


class UnknownSegmentError(SegmentsError):
    """There is no segment of that key."""


class RuleError(SegmentsError):
    """A rule that cannot be compiled: the message names the file, the path inside the rule, and the value.

    Args:
        message: the message.
        path: the path alone.
    """

    def __init__(self, message: str, path: str = "$") -> None:
        super().__init__(message)
        self.path = path


class DefinitionError(SegmentsError):
    """A definition file that cannot be used: the message names the file, the path inside it, and the reason."""


class ActivationMissingError(SegmentsError):
    """A segment's version has no activation, so it is unknown which first evaluations are suppressed."""
