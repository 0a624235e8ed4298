"""What a model file must do before it may serve, and why one does not, in words for a person. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Details = Sequence[Mapping[str, Any]]
    """What the interpreter says of a model's inputs, or of its outputs."""

RELATIVE, ABSOLUTE = 1e-2, 1e-3
"""Rounding differs with the size of a batch; a model that looks at other rows differs by far more."""
_IDENTIFIER = slice(4, 8)
_UNKNOWN_OPERATION = ("registration", "flex", "select tensorflow op", "select tf op", "builtin_code", "custom op")


def probe_rows(features: int) -> NDArray[np.float32]:
    """Return customers as they may come, shape [9, features]: nulls, zeros, ones, and six drawn ones."""
    drawn = np.random.default_rng(9).gamma(1.0, 50.0, (6, features))
    usual = np.array([0.0, 1.0, np.nan])[:, None] * np.ones(features)
    rows: NDArray[np.float32] = np.concatenate([usual, drawn]).astype(np.float32)
    return rows


def explain_content(content: bytes) -> str | None:
    """Return why bytes are no model; None where they may be one."""
    if not content:
        return "its file is empty; restore it or train again"
    if content[_IDENTIFIER] != b"TFL3":
        return "its file is not a TensorFlow Lite model; export the model in that format"
    return None


def explain_signature(inputs: Details, outputs: Details, features: int) -> str | None:
    """Return why a model cannot take a table of features and give scores; None where it can."""
    if len(inputs) != 1:
        return f"it takes {len(inputs)} inputs, one matrix of {features} features is needed; export it with one input"
    if len(outputs) != 1:
        return f"it gives {len(outputs)} outputs, one matrix of scores is needed; export it with one output"
    (taken,), (given,) = inputs, outputs
    if taken["dtype"] is not np.float32:
        kind = np.dtype(taken["dtype"]).name
        return f"it takes {kind}, float32 is needed; export it without quantization and with float32 inputs"
    if not issubclass(given["dtype"], np.floating):
        kind = np.dtype(given["dtype"]).name
        return f"it gives {kind}, floating point is needed; export it without quantization of its output"
    shape = [int(length) for length in taken["shape"]]
    if len(shape) != 2 or shape[1] != features:  # noqa: PLR2004 - customers and features
        return f"it takes an input of shape {shape}, [customers, {features}] is needed; train it on these features"
    return None


def explain_error(error: Exception) -> str:
    """Return what an error of the interpreter means, and what to do."""
    described = " ".join(str(error).split())[:300]
    if any(word in described.lower() for word in _UNKNOWN_OPERATION):
        return (
            f"it uses an operation that this worker's interpreter does not have ({described}); "
            "convert it with TFLITE_BUILTINS alone, for the interpreter's version"
        )
    return f"the interpreter refuses it ({described}); restore its file, or export it again with a batch of any size"


def explain_scores(alone: NDArray[np.float32], together: NDArray[np.float32]) -> str | None:
    """Return why the scores of the same rows, alone and in a batch, cannot be used; None where they can.

    Args:
        alone: shape [rows, outputs], each row scored by itself.
        together: the same rows, scored in one batch.
    """
    if not np.isfinite(alone).any():
        return "it gives no finite score for any of the rows it was tried with; train it again"
    if not np.allclose(alone, together, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
        row = int(np.argmin(np.isclose(alone, together, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True).all(axis=1)))
        return (
            f"it scores a customer {alone[row].tolist()} alone and {together[row].tolist()} among others, so the batch "
            "would decide; remove what works across the rows (a softmax over customers, batch statistics), export again"
        )
    return None


def explain_range(alone: NDArray[np.float32], lowest: float, highest: float) -> str | None:
    """Return that no customer would have a score that can be used; None where some would.

    Args:
        alone: shape [rows, outputs].
        lowest: the least score that can be right.
        highest: the greatest.
    """
    if ((alone >= lowest) & (alone <= highest)).all(axis=1).any():
        return None
    known = alone[np.isfinite(alone).any(axis=1)][0].tolist()
    return f"it gives no row that it was tried with a score from {lowest:g} to {highest:g}, but {known}; train it again"
