"""TensorFlow, set up once: quiet, deterministic, two threads. The one place that imports it."""

from __future__ import annotations

import os

# Both are read when TensorFlow is imported: less chatter, and the same sums in the same order.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

THREADS = 2

# Fixed and not taken from the machine: how a sum is split among threads is part of its result.
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)
tf.config.experimental.enable_op_determinism()

keras = tf.keras

__all__ = ["keras", "tf"]
