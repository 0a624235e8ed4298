"""Rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


WIDE = 400


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns under their headings; cells are text, not markup.

    They are folded to the width of a terminal and never cut; into a pipe each row is a line.
    """
    table = Table(box=None)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    terminal = Console(markup=False)
    console = terminal if terminal.is_terminal else Console(markup=False, width=WIDE)
    console.print(table)
