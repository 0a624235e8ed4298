"""`holdfast clusters`: customers who are alike. `holdfast similar`: those who are like one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from console.tables import print_table
from console.use_cases.clusters import describe_features, find_similar_customers, read_cluster, read_run, run_clusters
from intelligence.customer_vectors import describe_feature
from intelligence.postgres_customers import MOST_SIMILAR
from streams.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.clusters import Cluster, ClusterRun

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def clusters() -> None:
    """Divide customers into clusters by what they do and what they talk about."""


@clusters.command("run")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the samples.")
@_AS_JSON
def run(seed: int, as_json: bool) -> None:
    """Find the clusters of all customers, and write them as facts; see docs/clusters.md."""
    found = run_clusters(load_settings(), now=datetime.now(UTC), seed=seed)
    _show(found, as_json=as_json)


@clusters.command("list")
@_AS_JSON
def list_clusters(as_json: bool) -> None:
    """Show the clusters of the newest run."""
    _show(read_run(load_settings()), as_json=as_json)


@clusters.command("show")
@click.argument("cluster_id", metavar="CLUSTER")
@_AS_JSON
def show(cluster_id: str, as_json: bool) -> None:
    """Show one cluster and what sets it apart."""
    found = read_cluster(load_settings(), cluster_id)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    size, value, churn = _numbers(found)
    click.echo(f"{found.id}: {found.name}")
    click.echo(f"customers: {size}; mean value: {value}; mean churn probability: {churn}")
    rows = [(each.name, f"{each.deviation:+.2f}") for each in found.features]
    print_table(("feature", "standard deviations from the mean of all"), rows)


@click.command()
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--top-k", type=click.IntRange(1, MOST_SIMILAR), default=10, show_default=True, help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def similar(customer_id: str, top_k: int, as_json: bool) -> None:
    """Show the customers most like CUSTOMER, in what, and what they bought; see docs/clusters.md."""
    found = find_similar_customers(load_settings(), customer_id, limit=top_k)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    rows = [
        (
            each.customer_id,
            each.cluster,
            f"{each.distance:.3f}",
            ", ".join(describe_feature(name, how) for name, how in each.shared) or "near the average",
        )
        for each in found.customers
    ]
    print_table(("customer", "cluster", "distance", "alike in"), rows)
    if found.bought:
        click.echo()
        print_table(
            ("bought by them", "name", "customers", "score", "bought before"),
            [
                (
                    each.product_id,
                    each.name,
                    f"{each.customers} of {len(found.customers)}",
                    f"{each.score:.3f}",
                    "yes" if each.bought_before else "no",
                )
                for each in found.bought
            ],
        )
    else:
        click.echo("no purchases of them are known; `holdfast clusters run` says why")


def _show(found: ClusterRun, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for line in describe_run(found):
        click.echo(line)
    rows = [(each.id, each.name, *_numbers(each), describe_features(each)) for each in found.clusters]
    print_table(("cluster", "name", "customers", "value", "risk", "what sets it apart"), rows)


def describe_run(found: ClusterRun) -> Iterator[str]:
    """Yield what a run found, line by line."""
    yield f"{found.at:%Y-%m-%d %H:%M}: {found.customers:,} customers in {len(found.clusters)} clusters"
    index = found.stability[len(found.clusters)]
    verdict = "stable" if found.stable else "not stable: read the clusters with care"
    known = found.purchases_problem and f"; not used for `holdfast similar`: {found.purchases_problem}"
    yield f"purchases: of {found.buyers:,} customers{known}"
    yield f"adjusted Rand index of samples: {index:.2f}, {verdict}"
    if (drift := found.drift) is not None:
        yield f"since the run before: {drift.moved:.1%} of {drift.compared:,} customers moved, PSI {drift.psi:.3f}"
        for word, ids in (("new", drift.new), ("gone", drift.gone)):
            if ids:
                yield f"  {word}: {', '.join(ids)}"


def _numbers(cluster: Cluster) -> tuple[str, str, str]:
    value = "unknown" if cluster.value is None else f"{cluster.value:,.2f}"
    churn = "unknown" if cluster.churn is None else f"{cluster.churn:.2f}"
    return f"{cluster.size:,} ({cluster.share:.0%})", value, churn
