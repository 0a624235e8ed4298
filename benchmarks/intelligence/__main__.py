"""The command: python -m benchmarks.intelligence [--data FOLDER] [--only PART]."""

from __future__ import annotations

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console

PARTS = ("sentiment", "voice", "leads", "recommendations", "similarity", "search", "analytics")
"""Modules of this package, in the order of measuring."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("../shared/data"),
    show_default=True,
    help="Folder of the public data.",
)
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure these parts and keep the others.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).with_name("results.json"),
    help="Where the results are written; default results.json next to this program.",
)
def main(data: Path, only: tuple[str, ...], out: Path) -> None:
    """Measure, and write the results as JSON: one object for each part."""
    console = Console()
    results: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if only and out.exists() else {}
    for name in only or PARTS:
        began = time.monotonic()
        with console.status(f"measuring {name}"):
            results[name] = import_module(f"benchmarks.intelligence.{name}").measure(data)
        console.print(f"{name}: {time.monotonic() - began:.0f} s", highlight=False)
        out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    console.print_json(json.dumps(results))


if __name__ == "__main__":
    main()
