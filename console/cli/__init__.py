"""The `holdfast` command: options in, use cases called, values printed. Nothing is decided here."""

from console.cli.command import holdfast, main

__all__ = ["holdfast", "main"]
