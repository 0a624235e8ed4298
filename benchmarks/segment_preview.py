"""Measures `holdfast segments preview` and `diff` on a large table: `python -m benchmarks.segment_preview`.

Starts its own services and fills a table of 1,000,000 customers with 40 columns. Each command is a process of its own,
timed from its start to its end, with its peak of resident memory. PREVIEW_CUSTOMERS changes the size. The last line is
a JSON object.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.machine import describe
from benchmarks.peers import ROOT
from campaigns.migrations import migrate
from console.embedded.services import EmbeddedServices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.embedded.services import Endpoints

CUSTOMERS = int(os.environ.get("PREVIEW_CUSTOMERS", "1000000"))
OTHERS = 28
EXAMPLE_MODELS = ROOT / "examples" / "online_retail" / "models"
POLL_S = 0.01
TARGET_S, TARGET_MB = 10.0, 500.0
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
_OTHER_COLUMNS = ", ".join(f"n * {place + 3} %% 1000 * 0.25::float8 AS other_{place}" for place in range(OTHERS))
TABLE = f"""
CREATE TABLE customer_features_view AS
SELECT 'customer-' || n AS customer_id, n %% 400 AS days_since_last_transaction,
       (n %% 5000)::numeric(12, 2) AS total_revenue, n %% 40 AS transaction_count,
       40.0::float8 AS avg_transaction_value,
       (n %% 9000)::float8 AS lifetime_value, CASE WHEN n %% 10 > 0 THEN 'plan-' || n %% 7 END AS plan,
       n %% 3 > 0 AS email_consent, timestamptz '2020-01-01' + n * interval '1 minute' AS customer_since,
       n %% 12 AS transactions_90d, n %% 300 AS items_total, n %% 5 AS cancellations, {_OTHER_COLUMNS}
  FROM generate_series(1, %(customers)s) AS n
"""  # noqa: S608 - of constants
MEMBERS = """
INSERT INTO membership (customer_id, segment, episode, is_member, entered_at, definition_version)
SELECT 'customer-' || n, %(segment)s, 1, true, now(), 'before' FROM generate_series(1, %(customers)s, 4) AS n
"""
SIGNALS = """
INSERT INTO signal (customer_id, signals)
SELECT 'customer-' || n, '{"message_count": 3, "customer_message_count": 2, "sentiment_score": -0.5}'
  FROM generate_series(1, %(customers)s, 10) AS n
"""
RULES: Mapping[str, Mapping[str, Any]] = {
    "columns": {
        "rule": {"and": [{">": [{"var": "total_revenue"}, 3000]}, {"==": [{"var": "plan"}, "plan-3"]}]},
        "exit_rule": {"<": [{"var": "total_revenue"}, 2000]},
    },
    "nothing": {"rule": {}},
    "score": {"rule": {">=": [{"var": "churn_probability"}, 0.7]}},
    "rfm": {"rule": {">=": [{"var": "rfm_monetary"}, 4]}},
    "conversation": {"rule": {"<": [{"var": "sentiment_score"}, 0]}},
}


@dataclass(frozen=True, slots=True)
class Run:
    """One command: its elapsed seconds, its peak of resident memory in MB, and what it counted."""

    command: str
    seconds: float
    memory_mb: float
    counted: str


def main() -> None:
    """Run the measurement and print the report."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, EmbeddedServices(Path(folder)) as services:
        endpoints = services.start()
        fill(endpoints)
        files = write_rules(Path(folder))
        environment = make_environment(endpoints)
        commands = [("preview", rule) for rule in RULES] + [("diff", "columns")]
        runs = [run(command, rule, files[rule], environment) for command, rule in commands]
        with_models = {**environment, "HOLDFAST_MODELS_DIR": str(EXAMPLE_MODELS)}
        runs.append(run("preview", "score", files["score"], with_models, "by a model"))
    plain = runs[0]
    report = {
        "machine": describe(),
        "customers": CUSTOMERS,
        "runs": [asdict(each) for each in runs],
        "target_met": plain.seconds < TARGET_S and plain.memory_mb < TARGET_MB,
    }
    for each in runs:
        sys.stdout.write(f"{each.command:26} {each.seconds:6.1f} s {each.memory_mb:6.0f} MB  {each.counted}\n")
    sys.stdout.write(f"{json.dumps(report)}\n")


def fill(endpoints: Endpoints) -> None:
    """Create the customers, memberships of a quarter of them and signals of a tenth."""
    with psycopg.connect(endpoints.warehouse_url, autocommit=True) as warehouse:
        warehouse.execute(TABLE, {"customers": CUSTOMERS})
        warehouse.execute("VACUUM ANALYZE customer_features_view")
    migrate(endpoints.ledger_url)
    with psycopg.connect(endpoints.ledger_url, autocommit=True) as ledger:
        ledger.execute(MEMBERS, {"customers": CUSTOMERS, "segment": "columns"})
        ledger.execute(SIGNALS, {"customers": CUSTOMERS})
        ledger.execute("VACUUM ANALYZE")


def write_rules(folder: Path) -> Mapping[str, Path]:
    """Write a definition file for each rule, and return them."""
    files = {name: folder / f"{name}.json" for name in RULES}
    for name, rules in RULES.items():
        files[name].write_text(json.dumps({"key": name, "name": name, **rules}))
    return files


def make_environment(endpoints: Endpoints) -> Mapping[str, str]:
    """Return the environment of a command, without models: rules score."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "DWH_"))}
    return {
        **inherited,
        "HOLDFAST_LEDGER_URL": endpoints.ledger_url,
        "HOLDFAST_WAREHOUSE_URL": endpoints.warehouse_url,
    }


def run(command: str, rule: str, file: Path, environment: Mapping[str, str], note: str = "") -> Run:
    """Run a command to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    arguments = [sys.executable, "-m", "console", "segments", command, str(file), "--json"]
    began = time.perf_counter()
    with subprocess.Popen(arguments, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        peak_kb = 0
        while process.poll() is None:
            found = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"))
            peak_kb = max(peak_kb, int(found[1]) if found else 0)
            time.sleep(POLL_S)
        seconds = time.perf_counter() - began
        printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return Run(
        f"{command} {rule} {note}".rstrip(), round(seconds, 2), round(peak_kb / 1024, 1), count(json.loads(printed))
    )


def count(found: Mapping[str, Any]) -> str:
    """Return what a command counted."""
    if "matching" in found:
        return f"{found['matching']:,} of {found['customers']:,}"
    return f"{found['entering']['customers']:,} enter, {found['leaving']['customers']:,} leave"


if __name__ == "__main__":
    main()
