"""Products and who bought them, read from CSV files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intelligence.analytics.csv_rows import CLIENT, read_number, read_rows
from intelligence.analytics.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from intelligence.analytics.csv_rows import Account

PRODUCT = ("product_id", "sku", "item_id", "product", "id")
_TEXTS = {"name": ("name", "product_name", "title"), "description": ("description", "text", "details")}
_OTHERS = {"category": ("category", "product_category", "type"), "price": ("price", "unit_price", "list_price")}


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue.

    Attributes:
        product_id: its id.
        name: its name.
        description: its text, may be empty.
        category: may be empty.
        price: None where it is unknown.
    """

    product_id: str
    name: str
    description: str
    category: str
    price: float | None

    @property
    def text(self) -> str:
        """All words on the product."""
        return f"{self.name} {self.description} {self.category}"


def read_catalogue(path: Path) -> tuple[Sequence[Product], Account]:
    """Read a CSV file of products: product_id and name, and description, category and price where they are known.

    The first row of an id counts; the others are left out and counted. Empty descriptions and prices that cannot be
    read are counted, and the product is used.

    Raises:
        InputFileError: the file cannot be read, lacks a column, or has no product.
    """
    file = read_rows(path, {"product_id": PRODUCT, "name": _TEXTS["name"]}, _TEXTS | _OTHERS)
    account = file.account
    found: dict[str, Product] = {}
    for line, cells in file.lines:
        identifier = cells["product_id"]
        if not identifier:
            account.note("without a product id are left out", line)
            continue
        product = Product(
            identifier,
            cells["name"] or identifier,
            cells.get("description", ""),
            cells.get("category", ""),
            read_number(cells.get("price", ""), file.separator),
        )
        if identifier in found:
            same = product == found[identifier]
            account.note("repeat another row" if same else "have the id of an earlier row and are left out", line)
            continue
        if not product.description:
            account.note("have no description; name and category are used", line)
        if cells.get("price") and product.price is None:
            account.note("have a price that cannot be read; it is unknown", line)
        found[identifier] = product
    account.used = len(found)
    if not found:
        raise InputFileError(f"{path} has no product; check that it is the right file")
    return tuple(found.values()), account


def read_purchases(path: Path, products: Sequence[Product]) -> tuple[Mapping[str, frozenset[str]], Account]:
    """Read a CSV file of purchases: client_id and product_id; return the products that each client bought.

    Purchases of products that the catalogue does not have are left out and counted.

    Raises:
        InputFileError: the file cannot be read, or lacks a column.
    """
    file = read_rows(path, {"client_id": CLIENT, "product_id": PRODUCT}, {})
    known = {each.product_id for each in products}
    found: dict[str, set[str]] = {}
    for line, cells in file.lines:
        if not cells["client_id"] or not cells["product_id"]:
            file.account.note("without a client or product id are left out", line)
        elif cells["product_id"] not in known:
            file.account.note("have a product that the catalogue does not have and are left out", line)
        else:
            found.setdefault(cells["client_id"], set()).add(cells["product_id"])
            file.account.used += 1
    return {client: frozenset(bought) for client, bought in found.items()}, file.account
