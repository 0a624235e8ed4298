"""An additive net: each feature, encoded piecewise linearly, adds its own curve to the score.

It matches gradient boosting on data of this size, is 7 kB, and its terms are exact reasons for each score.
The whole preprocessing is in the graph, so serving cannot disagree with training. This is the one place that
imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np

# Both are read when TensorFlow is imported: less chatter, and the same sums in the same order.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

from training.preprocessing import learn_preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.preprocessing import Preprocessing

keras = tf.keras
BATCH = 256
EPOCHS = 30
RATE = 1e-2
WARM_UP_STEPS = 100


def fit(inputs: NDArray[np.float32], targets: NDArray[np.float32], seed: int) -> tuple[Any, Preprocessing]:
    """Train a net.

    Args:
        inputs: shape [rows, features], null is NaN, no column constant.
        targets: shape [rows, outputs]: 1, 0, or -1 where not observed.
        seed: same seed and same data give the same net.

    Returns:
        The Keras model from [rows, features] to probabilities [rows, outputs], and its constants.
    """
    keras.utils.set_random_seed(seed)
    preprocessing = learn_preprocessing(inputs)
    model = build(preprocessing, targets)
    steps = -(-len(inputs) // BATCH) * EPOCHS
    warm_up = min(WARM_UP_STEPS, steps // 4)
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - warm_up, warmup_target=RATE, warmup_steps=warm_up)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-2, beta_2=0.99, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer=optimizer, loss=observed_loss)
    model.fit(inputs, targets, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model, preprocessing


def convert(model: Any) -> bytes:
    """Return a Keras model in TFLite's format, not quantised."""
    # The converter prints the model's signature on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        content: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return content


def build(constants: Preprocessing, targets: NDArray[np.float32]) -> Any:
    """Return the untrained model, which predicts the rate of each output for everybody."""
    ops = keras.ops
    raw = keras.Input((len(constants.median),), name="features")
    missing = ops.isnan(raw)
    known = ops.where(missing, constants.median, raw)
    clamped = ops.minimum(ops.maximum(known, constants.low), constants.high)
    scaled = ops.where(constants.logged, ops.log1p(ops.maximum(clamped, 0.0)), clamped)
    pieces = (ops.take(scaled, constants.source, axis=1) - constants.left) / constants.width
    encoded = ops.minimum(ops.maximum(pieces, 0.0), 1.0)
    if len(constants.flagged):
        flags = ops.cast(ops.take(missing, constants.flagged, axis=1), "float32")
        encoded = ops.concatenate([encoded, flags], axis=1)
    bias = keras.initializers.Constant(_logits(targets))
    head = keras.layers.Dense(
        targets.shape[1],
        activation="sigmoid",
        kernel_initializer="zeros",
        bias_initializer=bias,
        name="additive",
    )
    return keras.Model(raw, head(encoded))


def observed_loss(targets: Any, predicted: Any) -> Any:
    """Return the mean cross-entropy over the outcomes that were observed."""
    ops = keras.ops
    observed = ops.cast(targets >= 0, predicted.dtype)
    chance = ops.clip(predicted, 1e-6, 1 - 1e-6)
    likelihood = targets * ops.log(chance) + (1 - targets) * ops.log(1 - chance)
    return -ops.sum(ops.where(observed > 0, likelihood, 0.0)) / ops.maximum(ops.sum(observed), 1.0)


def _logits(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    observed = targets >= 0
    rate = (np.where(observed, targets, 0).sum(axis=0) + 0.5) / (observed.sum(axis=0) + 1)
    logits: NDArray[np.float32] = np.log(rate / (1 - rate)).astype(np.float32)
    return logits
