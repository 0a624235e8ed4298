"""What can go wrong below models.

ModelError
├── ModelLoadError    a model's files are missing, changed, broken, or made for other features
├── ModelInputError   a table lacks a column that a model was trained on, or holds text in it
├── ModelOutputError  a model returned something that is no finite number
├── RfmDefinitionError  the file of RFM cut points cannot be used
├── FeatureLabelError  the file of feature labels cannot be used
├── TaxonomyError    the file of concerns cannot be used
├── LeadWeightsError   the file of the points of leads cannot be used
├── LeadFileError      a file of leads cannot be read, or a line of it
└── VersionError      a version on disk cannot be read or written
    ├── ManifestError           its manifest cannot be used; a ModelLoadError, too
    ├── NoVersionError          there is no such version, or no such model
    ├── VersionConflictError    another model has this version already
    ├── PromotionRefusedError   a gate, a file or a missing reason stands against it
    ├── ExperimentError         it cannot be started or stopped, or the record of experiments cannot be read
    └── HistoryError            the record of promotions cannot be read
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


class LeadWeightsError(ModelError):
    """The file of the points of leads cannot be used."""


class LeadFileError(ModelError):
    """A file of leads cannot be read, or a line of it; the message says which."""


class FeatureLabelError(ModelError):
    """The file of feature labels cannot be used."""


class TaxonomyError(ModelError):
    """The file of concerns cannot be used."""


class VersionError(ModelError):
    """A version on disk cannot be read or written."""


class ManifestError(ModelLoadError, VersionError):
    """A version's manifest cannot be used: the version can neither be loaded nor managed."""


class NoVersionError(VersionError):
    """There is no such version, or no such model."""


class VersionConflictError(VersionError):
    """Another model has this version already."""


class PromotionRefusedError(VersionError):
    """A gate, a file that is changed or cannot be loaded, or a missing reason stands against it."""


class HistoryError(VersionError):
    """The record of promotions cannot be read."""


class ExperimentError(VersionError):
    """An experiment cannot be started or stopped, or the record of experiments cannot be read."""
