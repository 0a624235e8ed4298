"""Writes valid and invalid models as third parties export them: python odd_models.py FOLDER.

Runs in its own process, because TensorFlow and tflite-runtime crash in the same one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable

FEATURES = 8


def rows(batch: int | None = None, features: int = FEATURES, dtype: Any = tf.float32) -> Any:
    """Return the signature of an input."""
    return tf.TensorSpec([batch, features], dtype)


def total(inputs: Any) -> Any:
    """Return the sum of the non-null values of each row, shape [rows, 1]."""
    known = tf.where(tf.math.is_nan(inputs), tf.zeros_like(inputs), inputs)
    return tf.reduce_sum(known, axis=1, keepdims=True)


def sound(inputs: Any) -> Any:
    """Return a probability for each row."""
    return tf.sigmoid(total(inputs) * 1e-3 - 0.5)


def endless(inputs: Any) -> Any:
    """Return nothing: it counts forever."""
    return sound(tf.while_loop(lambda each: tf.reduce_all(each > -1e9), lambda each: each * 0 + 1, [total(inputs)])[0])


def convert(score: Callable[..., Any], *inputs: Any, flex: bool = False, int8: bool = False) -> bytes:
    """Return a function as a TFLite model."""
    function = tf.function(score, input_signature=inputs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    if flex:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([tf.random.uniform([1, FEATURES])] for _ in range(9))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def main(folder: str) -> None:
    """Write every model."""
    weights = tf.ones([FEATURES, 1]) / FEATURES
    good = convert(sound, rows())
    models = {
        "sound": good,
        "fixed batch": convert(sound, rows(batch=1)),
        "float16": convert(lambda x: tf.cast(sound(x), tf.float16), rows()),
        "minus three": convert(lambda x: total(x) * 0 - 3.0, rows()),
        "a row fails": convert(lambda x: tf.gather([[0.25]], tf.cast(x[:, 0] > 1e4, tf.int32) * 7), rows()),
        "zero bytes": b"",
        "text": b"This is not a model.",
        "truncated": good[: len(good) // 2],
        "float64 input": convert(lambda x: sound(tf.cast(x, tf.float32)), rows(dtype=tf.float64)),
        "int8": convert(lambda x: tf.sigmoid(x @ weights), rows(), int8=True),
        "two inputs": convert(lambda x, y: sound(x) * sound(y), rows(), rows()),
        "two outputs": convert(lambda x: (sound(x), sound(x) / 2), rows()),
        "other features": convert(sound, rows(features=5)),
        "no rows": convert(lambda x: sound(x)[:0], rows()),
        "flex": convert(lambda x: sound(x) * tf.linalg.det(tf.eye(2) * total(x)[0, 0]), rows(), flex=True),
        "not a number": convert(lambda x: total(x) * float("nan"), rows()),
        "softmax of the batch": convert(lambda x: tf.nn.softmax(total(x), axis=0), rows()),
        "mean of the batch": convert(lambda x: sound(x - tf.reduce_mean(total(x))), rows()),
        "hangs": convert(endless, rows()),
        "exhausts memory": convert(lambda x: sound(tf.tile(x, [1, 100_000_000])), rows()),
        "fails": convert(lambda x: tf.gather([[0.1], [0.9]], tf.cast(x[:, 0] + 7, tf.int32)), rows()),
    }
    for name, content in models.items():
        (Path(folder) / f"{name}.tflite").write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
