"""Measures the console's pages on a large ledger: `python -m benchmarks.console_pages`.

Starts its own services and fills a warehouse of 1,000,000 customers with 40 columns, and a ledger with memberships in
two segments and 10,000,000 decisions, of which each twentieth was a contact. Each page is asked for one time after
another, then ten people ask for all of them at once. The count of a rule's customers is what the builder of rules
shows while somebody edits. PAGES_CUSTOMERS changes the size; a customer has ten decisions. The last line is a JSON
object.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.console import Request, add_key, ask, create_customers, serve
from benchmarks.machine import describe
from console.access.roles import Role
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from console.embedded.services import Endpoints

CUSTOMERS = int(os.environ.get("PAGES_CUSTOMERS", "1000000"))
DECISIONS_EACH, TIMES, PEOPLE, COUNTS = 10, 40, 10, 5
TARGET_PAGE_MS, TARGET_COUNT_S = 200.0, 5.0
SEGMENTS: dict[str, Any] = {
    "lapsing": {">=": [{"var": "days_since_last_transaction"}, 200]},
    "big-spenders": {">": [{"var": "total_revenue"}, 4000]},
}
CAMPAIGNS = {"win-back": "lapsing", "thank-you": "big-spenders"}
FILL = (
    "INSERT INTO roster (versions) VALUES ('{}')",
    """INSERT INTO evaluated (customer_id, roster_id, since) SELECT 'customer-' || n, 1, now() - interval '90 days'
       FROM generate_series(1, %(customers)s) n""",
    """INSERT INTO membership (customer_id, segment, episode, is_member, entered_at, exited_at, definition_version)
       SELECT 'customer-' || n, segment, 1, n %% 5 < 2, now() - n %% 90 * interval '1 day',
              CASE WHEN n %% 5 < 2 THEN NULL ELSE now() - n %% 30 * interval '1 day' END, 'v'
       FROM generate_series(1, %(customers)s) n, unnest(ARRAY['lapsing', 'big-spenders']) segment WHERE n %% 2 = 0""",
    """INSERT INTO decision (customer_id, decision_id, campaign, segment, occasion, outcome, reason, detail, event_id,
       as_of, recorded_at, facts, versions)
       SELECT 'customer-' || n, gen_random_uuid(), (ARRAY['win-back', 'thank-you'])[1 + k %% 2], 'lapsing', 'entered:1',
              CASE WHEN (n + k) %% 20 = 0 THEN 'fired' ELSE 'withheld' END,
              CASE WHEN (n + k) %% 20 = 0 THEN 'entered_segment'
                   ELSE (ARRAY['cooldown', 'contact_limit', 'outranked'])[1 + n %% 3] END,
              '', 'e' || n,
              now() - (k * 9 + n %% 9) * interval '1 day', now() - (k * 9 + n %% 9) * interval '1 day',
              jsonb_build_object('total_revenue', n, 'days_since_last_transaction', k), '{}'
       FROM generate_series(0, %(each)s - 1) k, generate_series(1, %(customers)s) n""",
    """INSERT INTO contact (customer_id, trigger_id, campaign, channel, variant, offer_id, status, decided_at,
       recorded_at)
       SELECT customer_id, decision_id, campaign, 'email', CASE WHEN random() < .1 THEN 'control' ELSE 'treatment' END,
              1, CASE WHEN random() < .1 THEN 'converted' ELSE 'delivered' END, as_of, recorded_at
       FROM decision WHERE outcome = 'fired'""",
)


def main() -> None:
    """Fill the stores, ask for each page, and print the figures."""
    machine = describe()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        endpoints = services.start()
        fill(endpoints)
        key = add_key(endpoints, Role.ADMIN)
        settings = {"HOLDFAST_DEFINITIONS_DIR": str(write_definitions(Path(folder) / "definitions"))}
        with serve(endpoints, settings) as served:
            found = asyncio.run(measure(served.port, key))
    report = {"machine": machine, "customers": CUSTOMERS, "decisions": CUSTOMERS * DECISIONS_EACH, **found}
    sys.stdout.write(f"{json.dumps(report)}\n")


def fill(endpoints: Endpoints) -> None:
    """Create the customers, and what the ledger knows of them."""
    create_customers(endpoints, CUSTOMERS)
    with psycopg.connect(endpoints.ledger_url, autocommit=True) as ledger:
        for statement in FILL:
            ledger.execute(statement.encode(), {"customers": CUSTOMERS, "each": DECISIONS_EACH})
        ledger.execute("VACUUM ANALYZE")
        ledger.execute("CHECKPOINT")


def write_definitions(folder: Path) -> Path:
    """Write the segments and campaigns, and return their folder."""
    for part in ("segments", "campaigns"):
        (folder / part).mkdir(parents=True)
    for key, rule in SEGMENTS.items():
        content: dict[str, Any] = {"key": key, "name": key, "rule": rule}
        (folder / "segments" / f"{key}.json").write_text(json.dumps(content))
    for key, segment in CAMPAIGNS.items():
        content = {
            "key": key,
            "name": key,
            "segment": segment,
            "channels": ["email"],
            "offers": [1],
            "message": "Hello",
        }
        (folder / "campaigns" / f"{key}.json").write_text(json.dumps(content))
    (folder / "campaigns" / "offers.json").write_text(json.dumps([{"id": 1, "key": "offer", "name": "Offer"}]))
    return folder


async def measure(port: int, key: str) -> dict[str, Any]:
    """Return the p95 of each page alone and of all among ten people, ms, and the time of a rule's count, s."""
    some = random.Random(1)  # noqa: S311 - of a benchmark
    pages = {
        "overview": lambda: "/",
        "live": lambda: "/live",
        "customer search": lambda: f"/customers?id=customer-{some.randrange(1000)}",
        "customer": lambda: f"/customers/customer-{some.randrange(1, CUSTOMERS)}",
        "segments": lambda: "/segments",
        "segment": lambda: "/segments/lapsing",
        "members": lambda: "/segments/lapsing/members",
        "segment editor": lambda: "/segments/lapsing/edit",
        "campaigns": lambda: "/campaigns",
        "campaign": lambda: "/campaigns/win-back",
        "performance": lambda: "/campaigns/win-back/performance",
        "who was decided about": lambda: "/campaigns/win-back/decided?outcome=withheld&reason=cooldown",
        "analytics": lambda: "/analytics",
        "models": lambda: "/models",
        "operations": lambda: "/operations",
        "dead letters": lambda: "/operations/dead-letters",
        "audit": lambda: "/operations/audit",
        "access": lambda: "/access",
    }
    alone: dict[str, dict[str, float]] = {}
    for name, path in pages.items():
        (first,) = await ask(port, key, [Request("GET", path())])
        times = await ask(port, key, [Request("GET", path()) for _ in range(TIMES)])
        alone[name] = {"first_ms": first, "p50_ms": statistics.median(times), "p95_ms": find_p95(times)}
        verdict = "" if alone[name]["p95_ms"] < TARGET_PAGE_MS else "  missed"
        sys.stdout.write(f"{name:22} {' '.join(f'{k} {v:8.1f}' for k, v in alone[name].items())}{verdict}\n")
        sys.stdout.flush()
    visits = [[Request("GET", path()) for path in some.sample(list(pages.values()), len(pages))] for _ in range(PEOPLE)]
    among = [each for times in await asyncio.gather(*(ask(port, key, visit) for visit in visits)) for each in times]
    sys.stdout.write(f"{PEOPLE} people at once: p95 {find_p95(among):.1f} ms\n")
    counts = []
    for number in range(COUNTS):
        rule = {">": [{"var": "total_revenue"}, 100 * number]}
        draft = json.dumps({"definition": {"key": "draft", "name": "Draft", "rule": rule}})
        began = time.perf_counter()
        await ask(port, key, [Request("POST", "/api/v1/segments/preview", draft)])
        counts.append(time.perf_counter() - began)
    sys.stdout.write(f"count of a rule: longest {max(counts):.2f} s\n")
    return {
        "pages": alone,
        "among_ten_p95_ms": find_p95(among),
        "count_s": counts,
        "target_page_ms": TARGET_PAGE_MS,
        "target_count_s": TARGET_COUNT_S,
    }


def find_p95(times: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    main()
