"""The progress of a long command on a terminal."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar:
    """A progress bar on stderr; nothing is drawn where stderr is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def show(self, text: str, done: int, total: int | None = None) -> None:
        """Draw how much is done, of a total if that is known."""
        self._bar.update(self._task, description=text, completed=done, total=total)

    def stop(self) -> None:
        """Remove the bar."""
        self._bar.stop()
