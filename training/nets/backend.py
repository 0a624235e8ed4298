"""TensorFlow, configured once: quiet, deterministic, two threads. The only module that imports it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide what C++ prints about graphics cards before its logging is configured."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


# Both are read when TensorFlow is imported: less chatter, and the same sums in the same order.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

with quiet_stderr():
    import tensorflow as tf

THREADS = 2

# Fixed and not taken from the machine: how a sum is split among threads is part of its result.
tf.get_logger().setLevel("ERROR")
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)
tf.config.experimental.enable_op_determinism()

keras = tf.keras

__all__ = ["keras", "tf"]
