"""Errors of the console."""

from __future__ import annotations


class ExampleError(Exception):
    """The example warehouse cannot be loaded or played; the message says why and what to do."""


class PredictionError(Exception):
    """A prediction cannot be made or written; the message says why and what to do."""
