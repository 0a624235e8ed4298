"""What the manifest of a text model says of how it reads texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.text_inputs import SCHEME

if TYPE_CHECKING:
    from collections.abc import Sequence


def describe_inputs(languages: Sequence[str]) -> dict[str, Any]:
    """Return the manifest's `text`.

    Args:
        languages: of the texts that the model was trained on.
    """
    return {"scheme": SCHEME, "languages": list(languages)}
