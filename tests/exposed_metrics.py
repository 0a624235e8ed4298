"""The metrics that Holdfast exposes, by name, with their labels; read from what the code shows at a scrape."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from console.model_metrics import MEASURES, write_metrics
from console.voice_metrics import write_concern_metrics
from delivery.bursts import Burst
from delivery.metrics import DeliveryFigures, DeliveryMetrics
from streams.observability.metrics import Metrics, MetricsSnapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

Labels = tuple[str, ...]


def worker_metrics() -> Mapping[str, Labels]:
    """Return the metrics of a worker."""
    metrics = Metrics()
    metrics.show(lambda: MetricsSnapshot(**{each.name: _fill(str(each.type)) for each in fields(MetricsSnapshot)}))
    return _read(metrics.registry)


def delivery_metrics() -> Mapping[str, Labels]:
    """Return the metrics of `holdfast deliver`."""
    figures = DeliveryFigures(
        others={"a": 1},
        results={"a": {"b": 1}},
        waiting={"a": 1},
        bursts=[Burst("a", "b", 1, 2)],
        retries={"a": 1},
    )
    return _read(DeliveryMetrics(figures).registry)


def monitoring_metrics() -> Mapping[str, Labels]:
    """Return the metrics that `holdfast models monitor` writes."""
    cohort = SimpleNamespace(name="2011-06", **dict.fromkeys(MEASURES, 0.5))
    found: Any = SimpleNamespace(model="a", version="b", drift={"c": 0.1}, periods=[cohort], verdict="fine")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.prom"
        write_metrics(found, file, datetime.now(UTC))
        families = text_string_to_metric_families(file.read_text(encoding="utf-8"))
        return {each.name: tuple(each.samples[0].labels) for each in families}


def concern_metrics() -> Mapping[str, Labels]:
    """Return the metrics that `holdfast voice trends` writes."""
    week = SimpleNamespace(rate=0.1, direction="above")
    found: Any = SimpleNamespace(concerns=[SimpleNamespace(concern="a", latest=week, is_alert=True)])
    with TemporaryDirectory() as folder:
        file = Path(folder) / "concerns.prom"
        write_concern_metrics(found, file, datetime.now(UTC))
        families = text_string_to_metric_families(file.read_text(encoding="utf-8"))
        return {each.name: tuple(each.samples[0].labels) for each in families}


def _fill(kind: str) -> Any:
    """Return a value of a snapshot's field, whose type is a number or a mapping from labels to numbers."""
    if not kind.startswith("Mapping"):
        return 1
    keys = re.search(r"tuple\[(.*?)\]", kind)
    return {tuple("a" * len(keys[1].split(","))) if keys else "a": 1}


def _read(registry: CollectorRegistry) -> Mapping[str, Labels]:
    """Return each family as its counter or its series are named in a query, without those of the process."""
    found: dict[str, Labels] = {}
    for family in registry.collect():
        if family.name.startswith("process_"):
            continue
        labels = getattr(family, "_labelnames", None)
        name = f"{family.name}_total" if family.type == "counter" else family.name
        sampled = [tuple(label for label in each.labels if label != "le") for each in family.samples]
        found[name] = tuple(labels) if labels else sampled[0] if sampled else _declared(registry, family.name)
    return found


def _declared(registry: CollectorRegistry, name: str) -> Labels:
    """Return the labels of a counter that has counted nothing yet."""
    collector: Any = registry._names_to_collectors[name]
    return tuple(collector._labelnames)
