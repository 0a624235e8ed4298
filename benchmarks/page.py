"""Writes the results to docs/performance.md and docs/scale.md and draws the plot: `python -m benchmarks.page`.

Only the text between the markers is replaced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.errors import ResultsError
from benchmarks.peers import ROOT
from benchmarks.plan import draw_up
from benchmarks.tables import list_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RESULTS = ROOT / "benchmarks" / "results.json"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PLOT = "performance.svg"
NOTHING = "Not measured yet: run `make bench`, then `python -m benchmarks.page`."


@click.command()
@click.option(
    "--results", "source", type=click.Path(path_type=Path), default=RESULTS, help="The results file of `make bench`."
)
@click.option(
    "--docs", type=click.Path(path_type=Path, file_okay=False), default=ROOT / "docs", help="The folder of the pages."
)
def main(source: Path, docs: Path) -> None:
    """Write the figures into the pages and draw the plot."""
    from benchmarks.plots import draw  # noqa: PLC0415 - matplotlib comes with an extra

    results = read_results(source)
    if results is None:
        raise ResultsError(f"{source} does not exist; run `make bench` first")
    for name, render in PAGES.items():
        page = docs / name
        page.write_text(replace_measured(page.read_text(), render(results)))
    draw(results, docs / PLOT)
    click.echo(f"written to {', '.join(PAGES)} and {PLOT} in {docs}")


def read_results(source: Path = RESULTS) -> dict[str, Any] | None:
    """Return the results, or None if the file does not exist."""
    return json.loads(source.read_text()) if source.exists() else None


def replace_measured(page: str, text: str) -> str:
    """Return the page with the text between its markers replaced.

    Raises:
        ResultsError: a marker is missing.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ResultsError(f"the page needs one line {BEGIN} and one line {END}")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}"


def measured_part(page: str) -> str:
    """Return the text between the markers."""
    return page.partition(BEGIN)[2].partition(END)[0].strip("\n")


def render_performance(results: Mapping[str, Any] | None) -> str:
    """Return the figures in Markdown."""
    if results is None:
        return NOTHING
    blocks = [_describe_machine(results), f"![The figures below, drawn]({PLOT})"]
    for title, headings, rows in list_tables(results):
        blocks.append(f"### {title}\n\n{_tabulate(headings, rows)}")
        if title.startswith("Contenders") and "services_cpu_us_per_event" in results:
            blocks.append(_describe_bound(results))
    return "\n\n".join(blocks)


def render_scale(results: Mapping[str, Any] | None) -> str:
    """Return the plan in Markdown."""
    rows = draw_up(results or {})
    return _tabulate(("what", "how much", "because"), rows) if rows else NOTHING


PAGES = {"performance.md": render_performance, "scale.md": render_scale}


def _describe_machine(results: Mapping[str, Any]) -> str:
    machine, plan = results["machine"], results["plan"]
    versions, peers = (
        ", ".join(f"{name} {version}" for name, version in machine[kind].items()) for kind in ("versions", "peers")
    )
    return (
        f"Taken {_describe_parts(results)}; "
        f"{plan['rounds']} rounds, seed {plan['size']['seed']}, on {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}; "
        f"load average before: {machine['load_before']}. Holdfast with {versions}; the others with {peers}."
    )


def _describe_parts(results: Mapping[str, Any]) -> str:
    """Return when and at which commit each part was measured."""
    runs: dict[str, list[str]] = {}
    for name, taken in results["parts"].items():
        runs.setdefault(f"{taken['taken_at'][:16].replace('T', ' ')} UTC at commit {taken['commit']}", []).append(name)
    return "; ".join(f"{run} ({', '.join(names)})" for run, names in runs.items())


def _describe_bound(results: Mapping[str, Any]) -> str:
    """Describe the CPU time of an event by process, and the rate that it allows."""
    spent = {"worker": results["worker_cpu_us_per_event"], **results["services_cpu_us_per_event"]}
    total, cores = sum(spent.values()), results["machine"]["cores"]
    reached = results["events_per_s"]["whole"]["median"] * total / (cores * 1e6)
    parts = ", ".join(f"{name} {each:.1f}" for name, each in spent.items())
    return (
        f"An event of the whole job costs {total:.1f} us of CPU: {parts}.{_describe_own_code(results)} "
        f"All of it on {cores} cores bounds the rate at {cores * 1e6 / total:,.0f} events/s; {reached:.0%} of that was "
        f"reached. {results['trigger_percent']:g} % of the events made a trigger."
    )


def _describe_own_code(results: Mapping[str, Any]) -> str:
    own = results.get("own_code_cpu_us_per_event")
    return f" Of the worker's, its own code takes {own['median']:.1f} us (over stores in memory)." if own else ""


def _tabulate(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
