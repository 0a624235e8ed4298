"""The manifest of a model: the one place that reads it, and the fields that the rest of the code relies on.

A manifest that passes may be read without further checks: the fields below are there, or absent where they have a
default, and have the types given. Other keys are kept as they are.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from models.errors import ManifestError
from models.regular_file import read_regular_file

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_BYTES = 8 * 2**20
_FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=128)]


class Routes(msgspec.Struct, frozen=True):
    """Which of the folder's models scores which value of a column."""

    column: Annotated[str, Meta(min_length=1)]
    files: Annotated[dict[str, _FileName], Meta(max_length=1000)]


class Gate(msgspec.Struct, frozen=True):
    """A check made before promotion; None where it could not be judged."""

    name: str
    passed: bool | None = None


class Added(msgspec.Struct, frozen=True):
    """When the version was added, and by whom."""

    at: str = ""
    by: str = ""


class Metrics(msgspec.Struct, frozen=True):
    """What evaluation measured."""

    model: dict[str, Any] = {}


class Confidence(msgspec.Struct, frozen=True):
    """How sure the model is of a customer, by an uncertainty: see models/confidence.py.

    Attributes:
        cuts: up to the first the confidence is high, up to the second medium.
    """

    cuts: tuple[float, float]


class TextInput(msgspec.Struct, frozen=True):
    """How a model of texts reads them.

    Attributes:
        scheme: of models/text_inputs.py.
        languages: of the texts that it was trained on, as ISO 639 codes.
    """

    scheme: int
    languages: Annotated[list[str], Meta(min_length=1, max_length=100)]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that serving and the commands read.

    Attributes:
        version: the version's name.
        outputs: scores for each customer.
        spreads: for how many of them, from the first on, the model also gives the spread; its matrix has so many more
            columns.
        features: the model's inputs, in order.
        files: SHA-256 of each file, by name; the model's is among them.
        routes: models of groups of customers.
        categories: the values known of each feature that is text, by its name; the place of one is its code.
        window_days: the days that the labels cover; 0 where a label is not of a period.
        value_cuts: where a 12-month value is medium and high.
        campaigns: of uplift, the campaigns that it values, and which pair of outputs is theirs.
        confidence: None where it was not measured.
        text: of a model of texts, how it reads them.
    """

    version: str
    outputs: Annotated[int, Meta(ge=1, le=1000)]
    features: Annotated[list[str], Meta(min_length=1, max_length=1000)]
    spreads: Annotated[int, Meta(ge=0, le=1000)] = 0
    files: dict[str, str]
    name: str = ""
    columns: dict[str, str] = {}
    categories: dict[str, Annotated[list[str], Meta(min_length=1, max_length=1000)]] = {}
    routes: Routes | None = None
    window_days: Annotated[float, Meta(ge=0, le=36_525)] | None = None
    value_cuts: tuple[float, float] | None = None
    campaigns: dict[str, Annotated[int, Meta(ge=0)]] = {}
    operating_threshold: float | None = None
    confidence: Confidence | None = None
    text: TextInput | None = None
    parent: str | None = None
    added: Added = Added()
    gates: list[Gate] = []
    metrics: Metrics = Metrics()
    training: dict[str, Any] = {}


def read_manifest(path: Path, model_file: str) -> dict[str, Any]:
    """Return a manifest that is safe to read.

    Args:
        path: the manifest.
        model_file: the name of the model's file, which the manifest must list.

    Raises:
        ManifestError: the file cannot be read, is not JSON, or lacks a field or has one of another type.
    """
    try:
        raw: dict[str, Any] = json.loads(read_regular_file(path, MANIFEST_BYTES))
        # A lone surrogate cannot be logged or sent.
        json.dumps(raw, ensure_ascii=False).encode()
        _find_contradiction(msgspec.convert(raw, Manifest), model_file)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); {_ADVICE}") from error
    except (ValueError, OverflowError, RecursionError, msgspec.ValidationError) as error:
        raise ManifestError(f"{path}: not a model manifest: {error}; {_ADVICE}") from error
    return raw


_ADVICE = "restore the version's folder or train the model again"


def _find_contradiction(manifest: Manifest, model_file: str) -> None:
    """Check what types cannot say.

    Raises:
        ValueError: a field contradicts another one.
    """
    routed = manifest.routes.files.values() if manifest.routes else ()
    missing = [name for name in (model_file, *routed) if name not in manifest.files]
    if missing:
        raise ValueError(f"no SHA-256 of {missing[0]!r} - at `$.files`")
    for name, known in manifest.categories.items():
        if name not in manifest.features or len(set(known)) < len(known):
            raise ValueError(f"expected distinct categories of a feature, got those of {name!r} - at `$.categories`")
    if 0 < (manifest.window_days or 0) < 1:
        raise ValueError(f"expected 0, or 1 day or more, got {manifest.window_days} - at `$.window_days`")
    if beyond := [key for key, place in manifest.campaigns.items() if 2 * place + 2 > manifest.outputs]:
        raise ValueError(f"campaign {beyond[0]!r} has no outputs among {manifest.outputs} - at `$.campaigns`")
    if manifest.spreads > manifest.outputs:
        raise ValueError(f"expected at most {manifest.outputs}, got {manifest.spreads} - at `$.spreads`")
    confidence = manifest.confidence.cuts if manifest.confidence else None
    for where, cuts in (("value_cuts", manifest.value_cuts), ("confidence.cuts", confidence)):
        if cuts and not (all(map(math.isfinite, cuts)) and cuts[0] <= cuts[1]):
            raise ValueError(f"expected two finite numbers in ascending order, got {list(cuts)} - at `$.{where}`")
