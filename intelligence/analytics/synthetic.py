"""Clients, concepts, labels, products and purchases that are invented, by a seeded generator.

Nothing here comes from real people or shops. The tastes, the synonyms and what they do to purchases are planted, so
that a reader can check what analytics finds.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTICE = "synthetic: invented by Holdfast's generator, no real client, product or purchase"
CLIENTS = 300
MENTIONS = 3_400
TASTES: Mapping[str, Sequence[str]] = {
    "horology": (
        "vintage", "watches", "heritage", "swiss movement", "chronograph", "leather strap", "collects timepieces",
        "limited edition", "auction visits",
    ),
    "art": (
        "loves modern art", "prefers contemporary pieces", "gallery openings", "sculpture", "bold colours",
        "architecture", "minimal design", "art fairs",
    ),
    "fashion": (
        "handbags", "runway", "new collection", "silk scarves", "evening wear", "personal styling", "shoes",
        "statement coat",
    ),
    "fragrance": (
        "perfume", "floral notes", "skincare", "gift sets", "refillable bottle", "spa weekends", "rose",
        "travel size",
    ),
    "travel": (
        "luggage", "weekend bag", "business trips", "monogram", "airport pickup", "light travel", "passport holder",
        "sunglasses",
    ),
}  # fmt: skip
SYNONYMS = ("loves modern art", "prefers contemporary pieces")
"""Concepts of one taste of which a client has one: they are never mentioned together."""
COMMON = (
    "gift", "birthday", "high budget", "low budget", "prefers email", "prefers phone", "late delivery", "complaint",
    "asks for a discount", "vip event", "new client", "family", "anniversary", "waits for sale",
)  # fmt: skip
PURCHASE = {"high budget": 1.6, "vip event": 1.2, "gift": 0.9, "asks for a discount": -0.9, "waits for sale": -1.1}
CHURN = {"late delivery": 1.6, "complaint": 1.4, "vip event": -1.2, "low budget": 0.6, "family": -0.5}
VALUE = {"high budget": 1.1, "vip event": 0.7, "limited edition": 0.5, "low budget": -0.9, "waits for sale": -0.4}
"""What is planted: the change of the logit of purchases and churn, and of the logarithm of the lifetime value."""
PRODUCTS = (
    (
        "SYN-W1",
        "Meridian Chronograph",
        "Swiss chronograph watch with a leather strap, limited edition",
        "Watches",
        7500,
    ),
    ("SYN-W2", "Old Harbour Watch", "Vintage watch of the house's heritage line", "Watches", 5200),
    ("SYN-W3", "Pocket Timepiece", "Reissued pocket timepiece from the auction archive", "Watches", 3900),
    ("SYN-A1", "Column Vase", "Contemporary sculpture of glass, minimal", "Objects", 1400),
    ("SYN-A2", "Gallery Print No. 4", "Modern art print in bold colours", "Objects", 900),
    ("SYN-A3", "Architect's Lamp", "Lamp of a minimal design after modern architecture", "Objects", 1150),
    ("SYN-F1", "Aria Handbag", "Handbag of the new collection", "Handbags", 2300),
    ("SYN-F2", "Silk Scarf Garden", "Silk scarf as seen on the runway", "Accessories", 420),
    ("SYN-F3", "Evening Coat", "A statement coat for evening wear", "Fashion", 3100),
    ("SYN-P1", "Eau de Rose", "Perfume with floral notes of rose", "Perfume", 150),
    ("SYN-P2", "Spa Set", "Skincare gift set for a spa weekend", "Skincare", 210),
    ("SYN-P3", "Traveller's Perfume", "Perfume in a refillable bottle of travel size", "Perfume", 95),
    ("SYN-T1", "Monogram Weekend Bag", "Weekend bag with monogram, light", "Luggage", 1800),
    ("SYN-T2", "Cabin Case", "Light luggage for business trips", "Luggage", 2600),
    ("SYN-T3", "Passport Holder", "Passport holder with monogram", "Accessories", 320),
)
_PRODUCTS_OF_TASTE = {taste: range(3 * place, 3 * place + 3) for place, taste in enumerate(TASTES)}


@dataclass(frozen=True, slots=True)
class SyntheticFiles:
    """The files of a synthetic example: rows under their headings, by file name."""

    concepts: Sequence[Sequence[object]]
    labels: Sequence[Sequence[object]]
    catalogue: Sequence[Sequence[object]]
    purchases: Sequence[Sequence[object]]

    def write(self, folder: Path) -> None:
        """Write them as CSV files into a folder that is there."""
        for name in ("concepts", "labels", "catalogue", "purchases"):
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(getattr(self, name))


def make_example(clients: int = CLIENTS, mentions: int = MENTIONS, seed: int = 0) -> SyntheticFiles:
    """Invent clients with an exact number of mentions.

    Args:
        clients: how many, at least one.
        mentions: how many in all, at least two for each client.
        seed: the same seed gives the same files.
    """
    generator = np.random.default_rng(seed)
    names = list(TASTES)
    tastes = generator.choice(len(names), size=clients, p=(0.3, 0.2, 0.2, 0.18, 0.12))
    sizes = 2 + generator.multinomial(mentions - 2 * clients, np.full(clients, 1 / clients))
    concepts: list[Sequence[object]] = [("client_id", "note_id", "date", "concept")]
    labels: list[Sequence[object]] = [("client_id", "purchased", "churned", "lifetime_value")]
    purchases: list[Sequence[object]] = [("client_id", "product_id")]
    for place, (taste, size) in enumerate(zip(tastes, sizes, strict=True)):
        client = f"CA{place + 1:0{len(str(clients))}d}"
        said = _invent_mentions(generator, names[taste], int(size))
        day = np.datetime64("2026-01-01") + int(generator.integers(0, 180))
        concepts += [
            (client, f"N{place + 1}-{1 + number // 4}", day + 20 * (number // 4), concept)
            for number, concept in enumerate(said)
        ]
        purchased = _draw(generator, -0.6, PURCHASE, said)
        churned = _draw(generator, -1.4, CHURN, said)
        value = np.exp(8.3 + sum(VALUE.get(each, 0.0) for each in set(said)) + 0.5 * generator.standard_normal())
        labels.append((client, int(purchased), int(churned), int(value.round(-1))))
        if purchased:
            places = generator.choice(_PRODUCTS_OF_TASTE[names[taste]], size=generator.integers(1, 3), replace=False)
            purchases += [(client, PRODUCTS[each][0]) for each in places]
    catalogue = [("product_id", "name", "description", "category", "price"), *PRODUCTS]
    return SyntheticFiles(concepts, labels, catalogue, purchases)


def _invent_mentions(generator: np.random.Generator, taste: str, size: int) -> list[str]:
    """Return what a client's notes mention: mostly one taste, what everybody mentions, and a little of the others."""
    pools = [TASTES[taste], COMMON, [each for name, pool in TASTES.items() if name != taste for each in pool]]
    left_out = SYNONYMS[generator.integers(0, 2)]
    said: list[str] = []
    while len(said) < size:
        pool = pools[generator.choice(3, p=(0.55, 0.35, 0.1))]
        concept = pool[generator.integers(0, len(pool))]
        if concept != left_out:
            said.append(concept)
    return said


def _draw(generator: np.random.Generator, base: float, effects: Mapping[str, float], said: Sequence[str]) -> bool:
    logit = base + sum(effects.get(each, 0.0) for each in set(said))
    return bool(generator.random() < 1 / (1 + np.exp(-logit)))


if __name__ == "__main__":
    make_example().write(Path("examples/analytics"))
