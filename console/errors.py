"""Errors of the console."""

from __future__ import annotations

from campaigns.errors import CampaignError
from console.embedded.errors import EmbeddedError
from delivery.errors import DeliveryError
from features.errors import FeaturesError
from intelligence.errors import IntelligenceError
from models.errors import ModelError
from segments.errors import SegmentsError
from streams.errors import HoldfastStreamError
from training.errors import TrainingError


class ExampleError(Exception):
    """The example warehouse cannot be loaded or played; the message says why and what to do."""


class PredictionError(Exception):
    """A prediction cannot be made or written; the message says why and what to do."""


class AccessError(Exception):
    """An account, a key or a session cannot be used as asked; the message says why and what to do."""


class JobError(Exception):
    """A job cannot be started or stopped as asked; the message says why."""


class UnknownJobError(JobError):
    """There is no job of that id."""


FOR_PEOPLE = (
    AccessError,
    CampaignError,
    DeliveryError,
    EmbeddedError,
    ExampleError,
    FeaturesError,
    HoldfastStreamError,
    IntelligenceError,
    JobError,
    ModelError,
    PredictionError,
    SegmentsError,
    TrainingError,
)
"""What a person can fix: shown as a sentence, without a traceback."""
