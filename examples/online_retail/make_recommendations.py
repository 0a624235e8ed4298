"""Makes recommendations.json.gz: python make_recommendations.py online_retail_lines.csv.gz.

The lines of the data set have the columns InvoiceDate, CustomerID, StockCode, Description, Quantity and UnitPrice.
Those of returns, and of codes that are no products, which do not begin with five digits, are left out.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

AS_OF = "2011-10-03"
"""The day on which the demo launches its campaign."""
KEPT = ("product_id", "name", "price", "reason")
PRODUCT = re.compile(r"\d{5}")


def main() -> None:
    """Write the recommendations beside this file."""
    lines = [line for line in read_lines(Path(sys.argv[1])) if is_sale(line)]
    with tempfile.TemporaryDirectory() as folder:
        catalogue, purchases, out = (Path(folder) / name for name in ("products.csv", "purchases.csv", "out.json"))
        write_catalogue(catalogue, lines)
        write_purchases(purchases, lines)
        command = [sys.executable, "-m", "console", "recommend", "run", "--catalog", str(catalogue), "--as-of", AS_OF]
        more = ["--purchases", str(purchases), "--top-k", "2", "--only-new", "--no-store", "--out", str(out)]
        subprocess.run([*command, *more], check=True)  # noqa: S603 - our own command
        found = json.loads(out.read_text())["recommendations"]
    kept = {customer: [{name: each[name] for name in KEPT} for each in some] for customer, some in found.items()}
    content = json.dumps(kept, separators=(",", ":"), sort_keys=True).encode()
    Path(__file__).with_name("recommendations.json.gz").write_bytes(gzip.compress(content, 9, mtime=0))


def read_lines(path: Path) -> list[dict[str, str]]:
    """Return the lines of the data set."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_sale(line: dict[str, str]) -> bool:
    """Return whether a line is the sale of a product."""
    return bool(PRODUCT.match(line["StockCode"])) and int(line["Quantity"]) > 0 and float(line["UnitPrice"]) > 0


def write_catalogue(path: Path, lines: list[dict[str, str]]) -> None:
    """Write the products: the most frequent description, and the median of the prices."""
    names, prices = defaultdict[str, Counter[str]](Counter), defaultdict[str, list[float]](list)
    for line in lines:
        names[line["StockCode"]][" ".join(line["Description"].split()).capitalize()] += 1
        prices[line["StockCode"]].append(float(line["UnitPrice"]))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("product_id", "name", "description", "category", "price"))
        for code in sorted(names):
            writer.writerow((code, names[code].most_common(1)[0][0], "", "", statistics.median(prices[code])))


def write_purchases(path: Path, lines: list[dict[str, str]]) -> None:
    """Write the purchases."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("customer_id", "product_id", "purchased_at", "quantity", "price"))
        for line in lines:
            writer.writerow(
                (line["CustomerID"], line["StockCode"], line["InvoiceDate"], line["Quantity"], line["UnitPrice"])
            )


if __name__ == "__main__":
    main()
