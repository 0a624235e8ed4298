"""A look at a model as a text file for Prometheus' node exporter, where a scheduler can leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from training.monitoring.monitor import MonitorResult

MEASURES = ("auc", "brier", "calibration_error", "false_positive_rate", "false_negative_rate")


def write_metrics(monitored: MonitorResult, path: Path, at: datetime) -> None:
    """Replace a file of metrics at once.

    Raises:
        click.ClickException: the file cannot be written.
    """
    registry = CollectorRegistry()
    names = (monitored.model, monitored.version)
    drift = Gauge(
        "holdfast_model_psi", "Drift against the training snapshot", ["model", "version", "column"], registry=registry
    )
    for column, value in monitored.drift.items():
        drift.labels(*names, column).set(value)
    cohorts = Gauge(
        "holdfast_model_cohort",
        "Measures of matured outcomes by month",
        ["model", "version", "month", "measure"],
        registry=registry,
    )
    for cohort in monitored.periods:
        for measure in MEASURES:
            value = getattr(cohort, measure)
            if value is not None:
                cohorts.labels(*names, cohort.name, measure).set(value)
    for name, meaning, value in (
        ("holdfast_model_retrain", "1 when it is to be trained again", monitored.verdict == "retrain"),
        ("holdfast_model_judged", "0 when nothing could be judged", monitored.verdict != "cannot be judged"),
        ("holdfast_model_monitored_seconds", "When it was looked at, Unix time", at.timestamp()),
    ):
        Gauge(name, meaning, ["model", "version"], registry=registry).labels(*names).set(value)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror}); choose another --metrics") from error
