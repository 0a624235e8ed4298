"""The TensorFlow Lite interpreter: the one place that imports it."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

# tflite-runtime has no wheel past Python 3.11; ai-edge-litert is its successor with the same Interpreter.
if sys.version_info >= (3, 12):
    from ai_edge_litert.interpreter import Interpreter
else:
    from tflite_runtime.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

BATCH_SIZES = (1, 32, 128, 256, 384, 512)
"""Batches are padded to the next of these, because a new size costs more than scoring the padding does."""


_first = threading.Lock()
_has_allocated = threading.Event()


def allocate(interpreter: Any) -> None:
    """Allocate an interpreter's tensors, without the notice about kernels that the first call of a process prints."""
    if _has_allocated.is_set():
        interpreter.allocate_tensors()
        return
    with _first, discarded_stderr():
        interpreter.allocate_tensors()
        _has_allocated.set()


@contextmanager
def discarded_stderr() -> Iterator[None]:
    """Discard what the whole process writes to its standard error: C++ code writes there without asking Python."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class PlainInterpreter(Interpreter):  # type: ignore[misc]
    """An interpreter that reads no signatures.

    The library reads them for each interpreter and never frees them: .8 kB, which many swaps add up.
    """

    def get_signature_list(self) -> dict[str, Any]:
        """Return none."""
        return {}


class TFLiteNetwork:
    """A model that takes one matrix and gives one, for batches of any size up to the largest of BATCH_SIZES.

    Args:
        content: the model's file.
        features: how many inputs a row has.
    """

    def __init__(self, content: bytes, features: int) -> None:
        self.features = features
        self._content = content
        # An interpreter shared by two threads now and then returns a wrong score silently.
        self._local = threading.local()

    def signature(self) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """Return what the interpreter says of the inputs and of the outputs.

        Raises:
            ValueError, RuntimeError: the interpreter refuses the file.
        """
        interpreter = PlainInterpreter(model_content=self._content, num_threads=1)
        return interpreter.get_input_details(), interpreter.get_output_details()

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs of rows of shape [rows, features], shape [rows, outputs].

        Raises:
            ValueError, RuntimeError: the interpreter fails.
        """
        size = next(size for size in BATCH_SIZES if size >= len(inputs))
        padded = np.zeros((size, inputs.shape[1]), dtype=np.float32)
        padded[: len(inputs)] = inputs
        interpreter, into, out_of = self._interpreter(size)
        interpreter.set_tensor(into, padded)
        interpreter.invoke()
        outputs = cast("NDArray[np.floating[Any]]", interpreter.get_tensor(out_of))
        if outputs.ndim != 2 or len(outputs) != size:  # noqa: PLR2004 - rows and outputs
            raise ValueError(f"it returns shape {outputs.shape} for {size} rows, ({size}, outputs) is needed")
        return outputs[: len(inputs)].astype(np.float32, copy=False)

    def _interpreter(self, size: int) -> tuple[Any, int, int]:
        """Return this thread's interpreter for a batch size with the indexes of its input and output."""
        ready: dict[int, tuple[Any, int, int]] = self._local.__dict__.setdefault("ready", {})
        if size not in ready:
            interpreter = PlainInterpreter(model_content=self._content, num_threads=1)
            into = interpreter.get_input_details()[0]["index"]
            interpreter.resize_tensor_input(into, [size, self.features])
            allocate(interpreter)
            ready[size] = (interpreter, into, interpreter.get_output_details()[0]["index"])
        return ready[size]
