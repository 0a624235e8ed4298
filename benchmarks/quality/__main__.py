"""The command: python -m benchmarks.quality [--data FOLDER] [--only PART]."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from benchmarks.quality import cdnow, hillstrom, hillstrom_uplift, online_retail, open_bandit, telco
from benchmarks.quality.errors import BenchmarkError
from benchmarks.quality.targets import tabulate

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "telco": telco.measure,
    "online_retail": online_retail.measure,
    "cdnow": cdnow.measure,
    "hillstrom": hillstrom.measure,
    "hillstrom_uplift": hillstrom_uplift.measure,
    "open_bandit_men": open_bandit.measure,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("../shared/data"),
    show_default=True,
    help="Folder of the public data.",
)
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Measure these parts and keep the others.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).with_name("results.json"),
    help="Where the results are written; default results.json next to this program.",
)
def main(data: Path, only: tuple[str, ...], out: Path) -> None:
    """Measure the models on public data, write the results and print a table of them."""
    console = Console()
    results: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if only and out.exists() else {}
    for name in only or PARTS:
        began = time.monotonic()
        try:
            with console.status(f"measuring {name}"):
                results[name] = PARTS[name](data)
        except BenchmarkError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)
        console.print(f"{name}: {time.monotonic() - began:.0f} s", highlight=False)
        out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    console.print(tabulate(results))
    console.print(f"wrote {out}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
