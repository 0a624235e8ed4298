"""What can go wrong below models.

ModelError
├── ModelLoadError    a model's files are missing, changed, broken, or made for other features
├── ModelInputError   a table lacks a column that a model was trained on, or holds text in it
├── ModelOutputError  a model returned something that is no finite number
└── RfmDefinitionError  the file of RFM cut points cannot be used
"""

from __future__ import annotations


class ModelError(Exception):
    """Anything that goes wrong in this package."""


class ModelLoadError(ModelError):
    """A model's files are missing, changed, broken, or made for other features."""


class ModelInputError(ModelError):
    """A table lacks a column that a model was trained on, or holds text in it."""


class ModelOutputError(ModelError):
    """A model returned something that is no finite number."""


class RfmDefinitionError(ModelError):
    """The file of RFM cut points cannot be used."""
