"""Leads: how fast an alert is, and how a trained model compares with the points, on leads drawn at random.

There are no public leads with these features: the figures say that the parts work, and not how good a model of real
leads is. A drawn lead converts by a chance that depends on its features otherwise than the points do.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from confluent_kafka import Producer

from benchmarks.latency import reading
from benchmarks.place import open_place
from benchmarks.workers import ROOT, run_workers
from benchmarks.workload import Size
from console.embedded.services import EmbeddedServices
from models.lead_model import load_lead_scorer
from models.leads import FEATURES, THRESHOLDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Consumer
    from numpy.typing import NDArray

    from benchmarks.workers import Workers
    from models.leads import Lead, LeadScorer

LEADS, SEED = 20_000, 7
RECENT_DAYS, MANY = 7, 3
ALERTS, PER_S = 300, 10
TIMED = 200
WARM = 30
MILLISECOND_NS = 1e6
HOT = {
    "urgency_score": 0.9,
    "days_since_contact": 1,
    "response_rate": 0.9,
    "budget_specified": True,
    "contact_completeness": 1,
}


def measure(data: Path) -> dict[str, Any]:
    """Return the latency of alerts, and the metrics of a model and of the points."""
    _ = data
    with tempfile.TemporaryDirectory() as folder:
        quality = _measure_model(Path(folder))
        scorer, _ = load_lead_scorer(Path(folder), THRESHOLDS)
        return {"model": quality, "scoring_us": _time(scorer), "alert_latency_ms": _measure_alerts(Path(folder))}


def draw_leads(count: int, seed: int) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Return features by name and whether each lead converted; marked as drawn, not real."""
    rng = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = {
        "urgency_score": rng.beta(2, 3, count).round(3),
        "days_since_contact": rng.gamma(1.5, 6, count).round(0),
        "response_rate": rng.beta(2, 2, count).round(2),
        "budget_specified": rng.binomial(1, 0.4, count),
        "contact_completeness": rng.beta(4, 2, count).round(2),
        "profile_delta": rng.normal(3, 6, count).round(1),
        "concern_count": rng.poisson(1.4, count),
        "previous_purchase_count": rng.poisson(0.6, count),
    }
    logit = (
        -3.4
        + 3.5 * found["response_rate"] * found["urgency_score"]
        + 1.1 * found["budget_specified"] * (found["days_since_contact"] < RECENT_DAYS)
        + 1.2 * (found["previous_purchase_count"] > 0)
        - 0.9 * (found["concern_count"] > MANY)
        + 1.0 * found["urgency_score"]
    )
    return found, rng.random(count) < 1 / (1 + np.exp(-logit))


def write_leads(path: Path, count: int = LEADS, seed: int = SEED) -> None:
    """Write drawn leads with outcomes and dates as a CSV file."""
    features, converted = draw_leads(count, seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lead_id", *FEATURES, "converted", "date"])
        for row in range(count):
            cells = [features[name][row] for name in FEATURES]
            day = date(2025, 1, 1) + timedelta(days=row * 180 // count)
            writer.writerow([f"drawn-{row}", *cells, int(converted[row]), day])


def _measure_model(folder: Path) -> dict[str, Any]:
    labels = folder / "leads.csv"
    write_leads(labels)
    command = [sys.executable, "-m", "training", "leads", "--labels", str(labels), "--out", str(folder), "--json"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603 - a module of this repository
    found = json.loads(done.stdout.splitlines()[-1])["models"]["leads"]
    metrics = found["metrics"]
    measured = {
        name: {key: scores[key] for key in ("auc", "brier")}
        for name, scores in {"model": metrics["model"], **metrics["baselines"]}.items()
        if name in ("model", "lead_points", "logistic_regression", "gradient_boosting")
    }
    lead = metrics["baselines"]["lead_points"]["difference"]
    return {"leads": LEADS, "drawn": True, "verdict": found["verdict"], **measured, "lead_over_points": lead}


def _time(scorer: LeadScorer) -> dict[str, float]:
    """Return how long a score and its reasons take, by points and by the model if one was promoted, microseconds."""
    features, _ = draw_leads(TIMED, SEED)
    leads = [{name: float(features[name][row]) for name in FEATURES} for row in range(TIMED)]
    work: dict[str, Callable[[Lead], object]] = {
        "points": scorer.score_by_points,
        "points_reasons": lambda lead: scorer.explain(lead, "points"),
    }
    if scorer.model is not None:
        model = scorer.model
        work |= {"model": lambda lead: model.score([lead]), "model_reasons": model.explain}
    return {name: _time_each(each, leads) for name, each in work.items()}


def _time_each(work: Callable[[Lead], object], leads: Sequence[Lead]) -> float:
    work(leads[0])
    began = time.perf_counter()
    for lead in leads:
        work(lead)
    return round((time.perf_counter() - began) / len(leads) * 1e6, 1)


def _measure_alerts(folder: Path) -> dict[str, Any]:
    """Return the time from producing the event that makes a lead hot to a read_committed consumer's alert."""
    with (
        EmbeddedServices(folder / "services") as services,
        open_place(services, Size(events=0, customers=100)) as place,
    ):
        sibling = place.with_new_topics()
        sibling.create_topics()
        group = f"{sibling.prefix}group"
        with sibling.lend_ledger(due=False) as ledger_url:
            environment = {**sibling.live_environment(ledger_url, group), "HOLDFAST_LEADS": "true"}
            with run_workers(environment, folder / "worker.log") as workers:
                broker, topic = place.endpoints.broker, f"{sibling.prefix}lead-alerts"
                with reading(broker, topic) as consumer:
                    _send(broker, sibling.prefix, WARM)
                    _take(consumer, WARM, workers)
                    thread = Thread(target=_send, args=(broker, sibling.prefix, ALERTS))
                    thread.start()
                    waits = _take(consumer, ALERTS, workers)
                    thread.join()
    quantiles = {f"p{each}": round(float(np.percentile(waits, each)), 1) for each in (50, 99)}
    return {"alerts": len(waits), "events_per_s": PER_S, **quantiles, "max": round(max(waits), 1)}


def _send(broker: str, prefix: str, count: int) -> None:
    """Send updates of new leads, each hot at once; the id of each is the time of sending in ns."""
    producer = Producer({"bootstrap.servers": broker, "acks": "all", "partitioner": "murmur2_random"})
    for _ in range(count):
        sent = time.time_ns()
        occurred = datetime.now(UTC).isoformat()
        event = {"id": str(sent), "type": "lead.updated", "lead_id": f"l{sent}", "occurred_at": occurred, **HOT}
        producer.produce(prefix + "leads", json.dumps(event).encode(), key=f"l{sent}".encode())
        producer.flush()
        time.sleep(1 / PER_S)


def _take(consumer: Consumer, count: int, workers: Workers) -> list[float]:
    """Read alerts, and return how long each took, ms."""
    waits: list[float] = []
    while len(waits) < count:
        message = consumer.poll(0.1)
        if message is None or message.error():
            workers.check_alive()
            continue
        cause = dict(message.headers() or ())["ce_correlationid"]
        waits.append((time.time_ns() - int(cause)) / MILLISECOND_NS)
    return waits
