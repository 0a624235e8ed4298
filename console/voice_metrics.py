"""The week of each concern as a text file for Prometheus' node exporter, where a scheduler can leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from console.use_cases.voice import Trends

_STATES = {"above": 1, "below": -1}


def write_concern_metrics(trends: Trends, path: Path, at: datetime) -> None:
    """Replace a file of metrics at once.

    Raises:
        click.ClickException: the file cannot be written.
    """
    registry = CollectorRegistry()
    rates = Gauge("holdfast_concern_rate", "Share of the week's conversations", ["concern"], registry=registry)
    states = Gauge("holdfast_concern_state", "1 above the expected band, -1 below it", ["concern"], registry=registry)
    for each in trends.concerns:
        if each.latest.rate is not None:
            rates.labels(each.concern).set(each.latest.rate)
        states.labels(each.concern).set(_STATES.get(each.latest.direction, 0) if each.is_alert else 0)
    meaning = "When concerns were judged, Unix time"
    Gauge("holdfast_concerns_judged_seconds", meaning, registry=registry).set(at.timestamp())
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror}); choose another --metrics") from error
