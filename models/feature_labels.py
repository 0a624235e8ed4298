"""What features are called in reasons: labels.json in the folder of the models.

    {"total_revenue": {"label": "revenue", "unit": "GBP"}, "nps": {"label": "recommends us, 0 to 10"}}

by the name of the feature in the model or of its column. A feature without an entry is worded by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from models.errors import FeatureLabelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LABELS_FILE = "labels.json"

_Words = Annotated[str, Meta(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class FeatureLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a feature is worded.

    Attributes:
        label: in place of its name; empty keeps the usual words.
        unit: after its value.
    """

    label: _Words = ""
    unit: _Words = ""


def load_labels(path: Path) -> Mapping[str, FeatureLabel]:
    """Read labels from a JSON file; none where there is no file.

    Raises:
        FeatureLabelError: the file is there and cannot be used.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, FeatureLabel])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise FeatureLabelError(
            f"{path}: labels of features cannot be read ({error}); write them as "
            '{"total_revenue": {"label": "revenue", "unit": "GBP"}}'
        ) from error
