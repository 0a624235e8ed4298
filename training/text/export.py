"""A head as a TFLite model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from models.text_grams import BUCKETS, SLOTS, WORD_SLOTS
from models.text_inputs import INPUTS
from training.text.head import COUNT, LENGTH, RATIO, RATIO_LENGTHS, SHARE, SMALLEST

if TYPE_CHECKING:
    from training.text.head import Head


def convert(head: Head) -> bytes:
    """Return a model that takes inputs of shape [texts, INPUTS] and gives probabilities of shape [texts, 3].

    It looks the weights of each n-gram up and adds them: the input has no room for a column per n-gram.
    """
    inputs = tf.TensorSpec([None, INPUTS], tf.float32)
    graph = tf.function(_Graph(head).run, input_signature=[inputs], autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    content: bytes = converter.convert()
    return content


class _Graph:
    def __init__(self, head: Head) -> None:
        self._tables = tf.constant(head.words), tf.constant(head.characters)
        self._tone, self._bias = tf.constant(head.tone), tf.constant(head.bias)
        self._temperature = np.float32(head.temperature)

    def run(self, inputs: tf.Tensor) -> tf.Tensor:
        known = tf.where(tf.equal(inputs, inputs), inputs, tf.zeros_like(inputs))
        buckets = tf.cast(tf.clip_by_value(known[:, :SLOTS], 0.0, float(BUCKETS)), tf.int32)
        tones = tf.linalg.matmul(known[:, SLOTS:], self._tone) + self._bias
        parts = (buckets[:, :WORD_SLOTS], buckets[:, WORD_SLOTS:])
        totals = [
            tf.reduce_sum(tf.gather(table, part), axis=1) for table, part in zip(self._tables, parts, strict=True)
        ]
        softmax = tones[:, :COUNT]
        for total in totals:
            softmax += total[:, SHARE] / _root(total[:, LENGTH])
        both = totals[0] + totals[1]
        others = both[:, RATIO] / _root(both[:, RATIO_LENGTHS]) + tones[:, COUNT:]
        likelihood = tf.math.log(tf.maximum(tf.sigmoid(others), np.float32(SMALLEST)))
        return tf.nn.softmax((softmax + likelihood) / self._temperature)


def _root(squared: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.maximum(squared, np.float32(SMALLEST)))
