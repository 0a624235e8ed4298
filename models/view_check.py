"""Whether a view has what a model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.table import find_kind
from models.errors import ModelLoadError
from models.rfm import RFM_SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.table import FeatureTable


def read_columns(manifest: Mapping[str, Any], feature_mapping: Mapping[str, str]) -> list[str]:
    """Return the columns of the view that a model reads, in the order of its features.

    Args:
        manifest: the model's.
        feature_mapping: the model's name of each feature, and the column it is read from.

    Raises:
        ModelLoadError: the mapping has other features than the model.
    """
    check_features(manifest["version"], manifest["features"], feature_mapping)
    read = [feature_mapping[name] for name in manifest["features"]]
    # Segmented models also read the column that chooses the model.
    routing = [manifest["routes"]["column"]] if manifest.get("routes") else []
    return list(dict.fromkeys(source for name in (*read, *routing) for source in RFM_SOURCES.get(name, (name,))))


def check_features(model: str, features: Sequence[str], feature_mapping: Mapping[str, str]) -> None:
    """Check that the mapping names the features of a model and no others.

    Raises:
        ModelLoadError: it does not.
    """
    if set(features) != set(feature_mapping):
        only_model = ", ".join(sorted(set(features) - set(feature_mapping))) or "none"
        only_mapping = ", ".join(sorted(set(feature_mapping) - set(features))) or "none"
        raise ModelLoadError(
            f"{model}: the model's features and ML_FEATURE_MAPPING differ: only in the model: {only_model}; "
            f"only in the mapping: {only_mapping}; correct the mapping or train again"
        )


def check_view(
    manifest: Mapping[str, Any], feature_mapping: Mapping[str, str], view: str, columns: FeatureTable
) -> None:
    """Check that a view has the columns that a model reads, as numbers where it was trained on numbers.

    Args:
        manifest: the model's.
        feature_mapping: the model's name of each feature, and the column it is read from.
        view: the name of the view.
        columns: the view's columns; it needs no rows.

    Raises:
        ModelLoadError: a column is missing or is text, or the mapping has other features than the model.
    """
    if manifest.get("text"):
        # A model of texts reads no column.
        return
    needed = read_columns(manifest, feature_mapping)
    if missing := [name for name in needed if name not in columns.columns]:
        raise ModelLoadError(
            f"{view} has no column {', '.join(missing)}; add what is missing to the view, or "
            "name another view in DWH_CUSTOMER_FEATURES_TABLE"
        )
    coded = manifest.get("categories", {})
    features = {column for name, column in feature_mapping.items() if name not in coded}
    if text := [name for name in needed if name in features and find_kind(columns.columns[name]) == "other"]:
        raise ModelLoadError(
            f"{', '.join(text)} in {view} is text, time or JSON, and the model reads numbers there; "
            "let the view return a number, or train again on the text"
        )
