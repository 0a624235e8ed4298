"""Measures the cost of the whole job with more workers, customers, rules, campaigns and ledger rows."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from benchmarks.errors import BenchmarkError
from benchmarks.place import lend_database, open_place
from benchmarks.whole_job import measure
from benchmarks.workload import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.place import Place
    from console.embedded.services import EmbeddedServices

WORKERS = (1, 2, 4)
TABLES = """
    SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
     WHERE table_schema = 'public' AND is_identity = 'NO' AND is_generated = 'NEVER'
       AND table_name IN (SELECT table_name FROM information_schema.columns WHERE column_name = 'customer_id')
     GROUP BY table_name ORDER BY table_name
"""
# With ten times the customers fewer repeat within a batch, so the same events read a fifth more rows (measured): a
# smaller fraction of them must make a trigger.
FEWER_ENTER = -0.08
KEPT = ("events_per_s", "cpu_us_per_event", "trigger_percent", "rss_mb")


def measure_workers(place: Place) -> dict[str, Any]:
    """Return figures with 1, 2 and 4 workers, each bound to one core, in turn."""
    cores = sorted(os.sched_getaffinity(0))
    bound = {count: [cores[number % len(cores)] for number in range(count)] for count in WORKERS}
    return {str(count): _attempt(partial(measure, place, cores=some)) for count, some in bound.items()}


def measure_growth(services: EmbeddedServices, events: int, factors: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Return figures by the dimension that grows and by its factor; 1 is the normal size."""
    normal = Size(events=events)
    with open_place(services, normal) as place:
        place.fill()
        base = _attempt(partial(measure, place))
        ledger = {str(factor): _attempt(partial(_measure_with_rows, place, factor)) for factor in factors}
    found = {"ledger_rows": {"1": base, **ledger}}
    for name in ("customers", "rules", "campaigns"):
        sizes = {str(factor): _multiply_size(normal, name, factor) for factor in factors}
        points = {factor: _attempt(partial(_measure_size, services, size)) for factor, size in sizes.items()}
        found[name] = {"1": base, **points}
    return found


def _multiply_size(size: Size, name: str, factor: int) -> Size:
    many = replace(size, **{name: getattr(size, name) * factor})
    return replace(many, entering=size.entering * factor**FEWER_ENTER) if name == "customers" else many


def _measure_size(services: EmbeddedServices, size: Size) -> dict[str, Any]:
    with open_place(services, size) as place:
        place.fill()
        return measure(place)


def _measure_with_rows(place: Place, factor: int) -> dict[str, Any]:
    with _grown(place.warm_ledger_url, factor) as ledger_url:
        return measure(replace(place, warm_ledger_url=ledger_url))


def _attempt(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of a point, or its error, so that the other points are still measured."""
    try:
        figures = step()
    except BenchmarkError as error:
        return {"failed": error.message}
    return {name: figures[name] for name in KEPT}


@contextmanager
def _grown(ledger_url: str, factor: int) -> Iterator[str]:
    """Yield a copy of a ledger with `factor` times the customer rows; the added rows belong to new customers."""
    with lend_database(ledger_url, template=True) as copy:
        with psycopg.connect(copy, autocommit=True) as ledger:
            for table, columns in ledger.execute(TABLES).fetchall():
                ledger.execute(_multiply_rows(table, columns), {"copies": factor - 1})
            ledger.execute("VACUUM ANALYZE")
        yield copy


def _multiply_rows(table: str, columns: Sequence[str]) -> sql.Composed:
    others = [name for name in columns if name != "customer_id"]
    return sql.SQL(
        "INSERT INTO {table} (customer_id, {others}) SELECT customer_id || '-' || copy, {others} "
        "FROM {table}, generate_series(1, %(copies)s) AS copy"
    ).format(table=sql.Identifier(table), others=sql.SQL(", ").join(map(sql.Identifier, others)))
