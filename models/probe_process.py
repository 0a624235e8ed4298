"""Try a model out in a process of its own: python -m models.probe_process FEATURES < model.tflite.

A process of its own, because the interpreter does not verify a file: a damaged one can end the process by a
segmentation fault, and a worker would end so at every start.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.errors import ModelLoadError
from models.interpreter import BATCH_SIZES, TFLiteNetwork
from models.probe import explain_content, explain_error, explain_scores, explain_signature, probe_rows

PROBE_TIMEOUT_S = 60.0


class Probed(NamedTuple):
    """How many outputs a model has, and why it cannot serve; None where it can."""

    outputs: int
    fault: str | None


@lru_cache(maxsize=16)
def probe(content: bytes, features: int, timeout_s: float = PROBE_TIMEOUT_S) -> Probed:
    """Try a model out on some rows; the same content is tried once in the life of a process.

    Raises:
        ModelLoadError: it could not be tried.
    """
    fault = explain_content(content)
    if fault is not None:
        return Probed(0, fault)
    command = [sys.executable, "-P", "-m", "models.probe_process", str(features)]
    try:
        # Fixed arguments and our own interpreter.
        done = subprocess.run(command, input=content, capture_output=True, check=False, timeout=timeout_s)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelLoadError(f"a model cannot be tried out ({error}); look at the machine's load and memory") from error
    if done.returncode:
        return Probed(0, f"it ends the interpreter (exit code {done.returncode}); its file is damaged: restore it")
    return Probed(*json.loads(done.stdout))


def probe_here(content: bytes, features: int) -> Probed:
    """Try a model out in this process: score some rows alone and in the largest batch."""
    network = TFLiteNetwork(content, features)
    try:
        fault = explain_signature(*network.signature(), features)
        if fault is not None:
            return Probed(0, fault)
        rows = probe_rows(features)
        alone = np.concatenate([network.run(row[None]) for row in rows])
        together = network.run(np.resize(rows, (BATCH_SIZES[-1], features)))[: len(rows)]
    except (ValueError, RuntimeError) as error:
        return Probed(0, explain_error(error))
    return Probed(alone.shape[1], explain_scores(alone, together))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe_here(sys.stdin.buffer.read(), int(sys.argv[1]))))
