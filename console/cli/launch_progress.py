"""A launch's progress on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from console.use_cases.launches import LaunchProgress


class LaunchBar:
    """A progress bar on stderr; nothing is drawn where stderr is no terminal.

    Attributes:
        last: the latest progress, None before the launch has begun.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task("launch", total=None)
        self.last: LaunchProgress | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def show(self, progress: LaunchProgress) -> None:
        """Draw the progress."""
        self.last = progress
        self._bar.update(
            self._task, description=f"launch {progress.launch_id}", completed=progress.members, total=progress.total
        )

    def stop(self) -> None:
        """Remove the bar."""
        self._bar.stop()
