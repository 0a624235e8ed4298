"""Nothing that comes from outside is ever run: files, events, cache and ledger hold data and no code."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = ("streams", "features", "models", "segments", "campaigns", "training", "console")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib"}
# Its events are data; what builds objects of them is not used. In one spelling: an alias would hide it.
YAML = {"parse", "SafeLoader", "CSafeLoader", "__with_libyaml__", "YAMLError", "MarkedYAMLError"}
YAML_EVENTS = {f"{each}Event" for each in ("Scalar", "SequenceStart", "SequenceEnd", "MappingEnd", "StreamEnd")}
CALLS = {"eval", "exec", "compile", "__import__"}
ARGUMENTS = {"allow_pickle", "shell"}
"""Of numpy.load, and of subprocess: whatever their value."""


def offences(source: str) -> Iterator[str]:
    """Yield what in a source could run what it reads."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module="yaml") | ast.Import(names=[ast.alias(name="yaml", asname=str())]):
                yield "yaml"
            case ast.Attribute(value=ast.Name(id="yaml"), attr=name) if name not in YAML | YAML_EVENTS:
                yield f"yaml.{name}"
            case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id="yaml"), *_]):
                yield "yaml"
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                imported = {each.name.partition(".")[0] for each in names}
                imported |= {(node.module or "").partition(".")[0]} if isinstance(node, ast.ImportFrom) else set()
                yield from imported & MODULES
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield name
            case ast.keyword(arg=str(name)) if name in ARGUMENTS:
                yield name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_can_run_what_it_reads(path: Path) -> None:
    """Nor does it read a format that holds code, or give anything to a shell."""
    assert list(offences(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml as y",
        "from yaml import load",
        "yaml.load(text, Loader=yaml.UnsafeLoader)",
        "yaml.safe_load(text)",
        "getattr(yaml, name)(text)",
        "eval(text)",
        "exec(text)",
        "numpy.load(file, allow_pickle=True)",
        "run(command, shell=True)",
    ],
)
def test_what_could_is_found(source: str) -> None:
    """The test above is not blind."""
    assert list(offences(source)) != []
