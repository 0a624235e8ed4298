"""The quality benchmark, run as its documented command."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    find_spec("tensorflow") is None or find_spec("lightgbm") is None, reason="needs the extras training and benchmarks"
)
def test_data_that_are_not_there_are_one_sentence_and_exit_code_two(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.quality", "--data", str(tmp_path), "--out", str(tmp_path / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert f"error: {tmp_path / 'telco_customer_churn.csv'} is not there" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.json").exists()
