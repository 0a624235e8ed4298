"""What can go wrong in training.

TrainingError
├── TrainingDataError    the rows read cannot be learned from: too few, one class only, a constant column, ...
│   └── NoExposuresError  there is no campaign yet of which uplift can be learned
├── TrainingSourceError  the warehouse or the query cannot be used
└── ExportError          the exported model does not do what the trained one did
"""

from __future__ import annotations


class TrainingError(Exception):
    """Anything that goes wrong in this package."""


class TrainingDataError(TrainingError):
    """The rows read cannot be learned from; the message says which and what to do."""


class NoExposuresError(TrainingDataError):
    """No campaign has enough outcomes of both arms yet; the message says what to do."""


class TrainingSourceError(TrainingError):
    """The warehouse or the query cannot be used."""


class ExportError(TrainingError):
    """The exported model does not do what the trained one did."""
