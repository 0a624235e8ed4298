"""Try a model out in a process of its own: python -m models.probe_process FEATURES LOWEST HIGHEST < model.tflite.

A process of its own, because the interpreter does not verify a file: a damaged one can end the process by a
segmentation fault, and a worker would end so at every start. Its memory and its processor time are limited, because a
file can ask for any amount of both.
"""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.errors import ModelLoadError
from models.interpreter import BATCH_SIZES, TFLiteNetwork
from models.probe import explain_content, explain_error, explain_range, explain_scores, explain_signature, probe_rows

PROBE_TIMEOUT_S = 60.0
PROBE_CPU_S = 3
PROBE_MEMORY_BYTES = 2**30
"""What the trial of a model may take, besides what the process has before it reads the model."""
REMEMBERED = 64

_STATM = Path("/proc/self/statm")
_NO_MEMORY = "bad_alloc"


class Probed(NamedTuple):
    """How many outputs a model has, and why it cannot serve; None where it can."""

    outputs: int
    fault: str | None


_probed: OrderedDict[tuple[bytes, int, tuple[float, float]], Probed] = OrderedDict()


def probe(
    content: bytes,
    features: int,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    timeout_s: float = PROBE_TIMEOUT_S,
) -> Probed:
    """Try a model out on some rows; the same content is tried once in the life of a process.

    Args:
        content: the model's file.
        features: how many inputs a row has.
        bounds: the least and the greatest score that can be right.
        timeout_s: the longest wait for the trial.

    Raises:
        ModelLoadError: it could not be tried.
    """
    key = hashlib.sha256(content).digest(), features, bounds
    if key not in _probed:
        _probed[key] = _probe(content, features, bounds, timeout_s)
        while len(_probed) > REMEMBERED:
            _probed.popitem(last=False)
    return _probed[key]


def _probe(content: bytes, features: int, bounds: tuple[float, float], timeout_s: float) -> Probed:
    fault = explain_content(content)
    if fault is not None:
        return Probed(0, fault)
    command = [sys.executable, "-P", "-m", "models.probe_process", str(features), *map(repr, map(float, bounds))]
    try:
        # Fixed arguments and our own interpreter.
        done = subprocess.run(command, input=content, capture_output=True, check=False, timeout=timeout_s)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelLoadError(f"a model cannot be tried out ({error}); look at the machine's load and memory") from error
    if done.returncode:
        return Probed(0, explain_end(done.returncode, done.stderr.decode(errors="replace")))
    return Probed(*json.loads(done.stdout.splitlines()[-1]))


def explain_end(code: int, said: str) -> str:
    """Return why the process of a trial ended without a result.

    Args:
        code: its exit code.
        said: what it wrote to its standard error.
    """
    if code == -signal.SIGXCPU:
        return f"it takes more than {PROBE_CPU_S} s of processor time for {BATCH_SIZES[-1]} rows; train it again"
    if _NO_MEMORY in said:
        return _explain_memory()
    return f"it ends the interpreter (exit code {code}); its file is damaged: restore it"


def _explain_memory() -> str:
    return (
        f"it takes more than {PROBE_MEMORY_BYTES // 2**20:,} MiB of memory for {BATCH_SIZES[-1]} rows; train it again"
    )


def probe_here(content: bytes, features: int, bounds: tuple[float, float]) -> Probed:
    """Try a model out in this process: score some rows alone and in the largest batch."""
    network = TFLiteNetwork(content, features)
    try:
        fault = explain_signature(*network.signature(), features)
        if fault is not None:
            return Probed(0, fault)
        rows = probe_rows(features)
        alone = np.concatenate([network.run(row[None]) for row in rows])
        together = network.run(np.resize(rows, (BATCH_SIZES[-1], features)))[: len(rows)]
    except MemoryError:
        return Probed(0, _explain_memory())
    except (ValueError, RuntimeError) as error:
        return Probed(0, explain_error(error))
    return Probed(alone.shape[1], explain_scores(alone, together) or explain_range(alone, *bounds))


def limit_resources() -> None:
    """Limit what this process may take from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + PROBE_CPU_S
    # Beyond the soft limit SIGXCPU ends the process; a second later SIGKILL would.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if _STATM.exists():
        size = int(_STATM.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + PROBE_MEMORY_BYTES, size + PROBE_MEMORY_BYTES))


def main(features: str, lowest: str, highest: str) -> None:
    """Try the model on standard input out, and print the result."""
    content = sys.stdin.buffer.read()
    limit_resources()
    sys.stdout.write(json.dumps(probe_here(content, int(features), (float(lowest), float(highest)))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
