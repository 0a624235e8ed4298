"""Rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


WIDE = 400


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns under their headings; cells are text, not markup.

    They are folded to the width of a terminal and never cut; into a pipe each row is a line.
    """
    open_console().print(build_table(headings, rows))


def build_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return rows in columns under their headings, to print on a console without markup."""
    table = Table(box=None)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def open_console() -> Console:
    """Return the console of the standard output; one that is no terminal is wide."""
    terminal = Console(markup=False, highlight=False)
    return terminal if terminal.is_terminal else Console(markup=False, highlight=False, width=WIDE)
