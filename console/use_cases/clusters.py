"""Clusters of customers: found, described, compared with those before, and written as facts."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from campaigns.postgres_insights import write_insights
from console.errors import PredictionError
from console.use_cases.ledger import ask_ledger, open_ledger
from console.use_cases.predictions import open_service
from console.use_cases.recommendations import Inputs, read_inputs
from features.insights import CLUSTER
from intelligence.clustering import (
    FEATURES_SHOWN,
    Drift,
    Feature,
    divide,
    find_features,
    match_ids,
    measure_drift,
    name_clusters,
)
from intelligence.customer_vectors import build_vectors, describe_feature
from intelligence.errors import ClusterError, RecommendationError
from intelligence.postgres_customers import find_similar, newest_run, read_clusters, read_concepts, write_customers
from intelligence.postgres_messages import open_store
from models.tasks.churn import Churn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from console.use_cases.predictions import PredictionService
    from intelligence.clustering import Partition
    from intelligence.customer_vectors import CustomerVectors
    from intelligence.postgres_customers import Neighbourhood
    from intelligence.recommendations.customer_purchases import CustomerPurchases
    from streams.settings import Settings

VALUE_COLUMNS = ("lifetime_value", "total_revenue")
"""The first of them that the view has is the value of a customer."""


class Cluster(msgspec.Struct, frozen=True):
    """A cluster of customers.

    Attributes:
        id: the same from run to run.
        name: made from its strongest features.
        size: customers.
        share: of all customers.
        value: their mean value, None where the view has no column of it.
        churn: their mean predicted probability of churn, None where it cannot be predicted.
        features: what sets it apart, strongest first, in standard deviations from the mean of all.
    """

    id: str
    name: str
    size: int
    share: float
    value: float | None
    churn: float | None
    features: list[Feature]


class ClusterRun(msgspec.Struct, frozen=True):
    """What a run found.

    Attributes:
        at: when it began.
        customers: how many there are.
        clusters: the largest first.
        stability: the mean adjusted Rand index by number of clusters.
        stable: whether the clustering counts as stable.
        drift: what changed since the run before, None in the first run.
        components: the names of the components of the vectors.
        ids_used: ids that were ever given.
        buyers: how many customers have purchases, which `similar` compares.
        purchases_problem: why purchases were not read; empty where they were.
    """

    at: datetime
    customers: int
    clusters: list[Cluster]
    stability: dict[int, float]
    stable: bool
    drift: Drift | None
    components: list[str]
    ids_used: int
    buyers: int = 0
    purchases_problem: str = ""


def run_clusters(settings: Settings, *, now: datetime, seed: int = 0) -> ClusterRun:
    """Divide all customers into clusters, and write them as facts of the customers.

    Args:
        settings: where the warehouse, the ledger, the message store and the models are.
        now: when the run begins.
        seed: of the samples and of k-means.

    Raises:
        ClusterError: there are too few customers, or the extra `training` is not installed.
        MessageStoreUnavailableError, LedgerUnavailableError, WarehouseError, ModelError: they cannot be used.
    """
    population = asyncio.run(_read_population(settings))
    purchases, problem = _read_purchases(settings, now)
    with open_store(settings.store_url) as store:
        concepts = read_concepts(store, population.customer_ids)
        customers = build_vectors(population.customer_ids, population.behaviour, concepts)
        before, former = _read_before(newest_run(store)), read_clusters(store)
        partition = divide(customers.vectors, seed=seed, former=len(before.clusters) if before else None)
        formers = [former.get(each) for each in customers.customer_ids]
        ids, used = match_ids(partition.labels, formers, before.ids_used if before else 0)
        clusters = _describe(customers, partition, ids, population)
        of_each = [ids[label] for label in partition.labels.tolist()]
        sizes = {each.id: each.size for each in before.clusters} if before else {}
        run = ClusterRun(
            at=now,
            customers=len(of_each),
            clusters=clusters,
            stability=dict(partition.stability),
            stable=partition.stable,
            drift=measure_drift(of_each, formers, sizes) if before else None,
            components=list(customers.names),
            ids_used=used,
            buyers=sum(each in purchases.places for each in customers.customer_ids) if purchases else 0,
            purchases_problem=problem,
        )
        write_customers(
            store,
            customers,
            of_each,
            lambda: ask_ledger(settings, lambda ledger: ledger.tombstones()),
            (now, msgspec.to_builtins(run)),
            purchases,
        )
    names = {each.id: each.name for each in clusters}
    rows = zip(customers.customer_ids, of_each, strict=True)
    write_insights(
        settings.ledger_url,
        CLUSTER,
        ((customer, {"cluster": cluster, "cluster_name": names[cluster]}) for customer, cluster in rows),
        at=now,
    )
    return run


def read_run(settings: Settings) -> ClusterRun:
    """Return what the newest run found.

    Raises:
        ClusterError: there was none.
        MessageStoreUnavailableError: the message store cannot be used.
    """
    with open_store(settings.store_url) as store:
        found = _read_before(newest_run(store))
    if found is None:
        raise ClusterError("there are no clusters yet; run: holdfast clusters run")
    return found


def read_cluster(settings: Settings, cluster_id: str) -> Cluster:
    """Return a cluster of the newest run.

    Raises:
        ClusterError: there is none of this id.
        MessageStoreUnavailableError: the message store cannot be used.
    """
    clusters = {each.id: each for each in read_run(settings).clusters}
    if cluster_id not in clusters:
        raise ClusterError(f"there is no cluster {cluster_id!r}; there are {', '.join(clusters)}")
    return clusters[cluster_id]


def find_similar_customers(settings: Settings, customer_id: str, *, limit: int) -> Neighbourhood:
    """Return the customers nearest to one, and what they bought.

    Raises:
        ClusterError: no run has seen this customer.
        MessageStoreUnavailableError: the message store cannot be used.
    """
    with open_store(settings.store_url) as store:
        return find_similar(store, customer_id, limit=limit)


def _read_purchases(settings: Settings, now: datetime) -> tuple[CustomerPurchases | None, str]:
    """Return what customers bought, or None and why it cannot be known: clusters and likeness do without."""
    from intelligence.recommendations.customer_purchases import summarize_purchases  # noqa: PLC0415 - of an extra
    from intelligence.recommendations.histories import History  # noqa: PLC0415 - likewise

    try:
        catalogue, purchases, day = read_inputs(settings, Inputs(), lambda *_: None, now=now)
    except RecommendationError as error:
        return None, str(error)
    history = History(purchases, len(catalogue), day)
    return summarize_purchases(history, purchases, catalogue), ""


@dataclass(frozen=True, slots=True)
class _Population:
    """All customers, without those who are erased, and their columns; `churn` is None where it cannot be predicted."""

    customer_ids: list[str]
    behaviour: Mapping[str, NDArray[np.float64]]
    churn: NDArray[np.float64] | None


async def _read_population(settings: Settings) -> _Population:
    async with open_ledger(settings) as ledger:
        tombstones = await ledger.tombstones()
    async with open_service(settings) as service:
        numeric = [name for name, cells in service.view.columns.items() if cells.dtype.kind in "fb"]
        pages: list[Mapping[str, NDArray[Any]]] = []
        customer_ids: list[str] = []
        async with aclosing(service.warehouse.scan(numeric)) as tables:
            async for table in tables:
                erased = tombstones.find(table.customer_ids)
                kept = table.take([at for at, each in enumerate(table.customer_ids) if each not in erased])
                pages.append(kept.columns)
                customer_ids.extend(kept.customer_ids)
        behaviour = {
            name: np.concatenate([_as_numbers(page[name]) for page in pages]) for name in (numeric if pages else ())
        }
        # A warehouse may have a customer twice by mistake: the first row counts.
        places = {customer: at for at, customer in reversed(list(enumerate(customer_ids)))}
        first = sorted(places.values())
        ids = [customer_ids[at] for at in first]
        rows = {name: values[first] for name, values in behaviour.items()}
        return _Population(ids, rows, await _predict_churn(service, ids))


async def _predict_churn(service: PredictionService, customer_ids: Sequence[str]) -> NDArray[np.float64] | None:
    probabilities: dict[str, float] = {}
    try:
        async with aclosing(service.scan(Churn.name)) as pages:
            async for page in pages:
                values = page.predicted.columns["churn_probability"].tolist()
                probabilities.update(zip(page.predicted.customer_ids, values, strict=True))
    except PredictionError:
        return None
    return np.array([probabilities.get(each, np.nan) for each in customer_ids], dtype=np.float64)


def _as_numbers(cells: NDArray[Any]) -> NDArray[np.float64]:
    """Return a page's cells as numbers; truth values with nulls are objects."""
    if cells.dtype.kind == "O":
        return np.array([np.nan if each is None else float(each) for each in cells.tolist()], dtype=np.float64)
    return cells.astype(np.float64)


def _describe(
    customers: CustomerVectors, partition: Partition, ids: Sequence[str], population: _Population
) -> list[Cluster]:
    value = next((population.behaviour[name] for name in VALUE_COLUMNS if name in population.behaviour), None)
    members = [partition.labels == label for label in range(len(ids))]
    features = [find_features(customers, each) for each in members]
    return [
        Cluster(
            id=cluster,
            name=name,
            size=int(some.sum()),
            share=round(float(some.mean()), 4),
            value=_mean(value, some),
            churn=_mean(population.churn, some),
            features=found[:FEATURES_SHOWN],
        )
        for cluster, name, some, found in zip(ids, name_clusters(features), members, features, strict=True)
    ]


def _mean(values: NDArray[np.float64] | None, members: NDArray[np.bool_]) -> float | None:
    if values is None:
        return None
    known = values[members & np.isfinite(values)]
    return round(float(known.mean()), 4) if len(known) else None


def _read_before(found: dict[str, Any] | None) -> ClusterRun | None:
    return None if found is None else msgspec.convert(found, ClusterRun, strict=False)


def describe_features(cluster: Cluster) -> str:
    """Return what sets a cluster apart, in words."""
    return ", ".join(f"{describe_feature(each.name, each.level)} ({each.deviation:+.1f})" for each in cluster.features)
