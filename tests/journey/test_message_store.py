"""Messages from the topic to the store, and what is found in it."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.journey.workplace import SCHEMA, lend_place, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

LATE = "my parcel is two weeks late and I want my money back"
SAID = {
    "m1": ("ann", LATE),
    "m2": ("ann", "thank you, lovely bag"),
    "m3": ("bob", "the price of the red bag is too high"),
    "m4": ("bob", "cancel my account please"),
    "m5": ("cem", "der Versand dauert zu lange"),
    "m6": ("cem", "\U0001f389\U0001f389"),
    "m7": ("dot", "<b>refund</b> my late delivery &amp; apologise"),
    "m8": ("dot", "late " * 20_000),
    "m9": ("eve", "nul \x00 in the middle"),
}


@pytest.fixture(scope="module")
def place(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A workplace whose topic has messages."""
    with lend_place(endpoints, tmp_path_factory.mktemp("messages"), {}) as lent:
        with psycopg.connect(lent.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse:
            warehouse.execute(SCHEMA.encode())
        lent.do("topics", "create")
        say(lent, SAID)
        yield lent


def say(place: Workplace, said: dict[str, tuple[str, str]]) -> None:
    """Publish messages by id: the customer and the text."""
    for number, (customer, text) in said.items():
        place.publish(
            "conversations",
            {**place.event(customer, "conversation.message", role="customer", text=text), "id": number},
        )


def sync(place: Workplace) -> dict[str, Any]:
    """Copy what is new, and return what was copied and indexed."""
    return dict(json.loads(place.do("messages", "sync", "--json")))


def stored(place: Workplace) -> dict[str, str]:
    """Return the texts in the store by message id."""
    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as store:
        return dict(store.execute("SELECT message_id, text FROM intelligence.message").fetchall())


def test_messages_are_copied_once_and_erased_customers_are_left_out(place: Workplace) -> None:
    """Whatever they hold; a second run reads nothing, and a lost position stores nothing twice."""
    refused = place.holdfast("messages", "sync")
    assert (refused.returncode, "holdfast messages migrate" in refused.stderr) == (2, True)
    assert "applied 0001-messages, 0002-customers" in place.do("messages", "migrate")
    assert place.do("messages", "migrate") == "the message store is up to date\n"
    assert "the message store is empty" in place.do("messages", "index")

    place.publish_bytes("conversations", b"ann", b"not JSON")
    assert "nothing is found" in place.do("search", "late delivery")
    first = sync(place)
    assert (first["copied"]["new"], first["copied"]["rejected"]) == (len(SAID), 1)
    assert (first["indexed"]["encoded"], first["indexed"]["learned"]) == (len(SAID), True)
    assert stored(place)["m1"] == LATE
    again = sync(place)
    assert (again["copied"]["records"], again["read_again"]["read"], again["indexed"]["encoded"]) == (0, 0, 0)

    with psycopg.connect(place.environment["HOLDFAST_LEDGER_URL"]) as store:
        store.execute("DELETE FROM intelligence.reading_position")
    assert (sync(place)["copied"]["known"], len(stored(place))) == (len(SAID), len(SAID))

    place.do("forget", "eve", "--why", "asked")
    say(place, {"m10": ("eve", "I am back"), "m11": ("bob", "the price is fair now")})
    more = sync(place)
    assert (more["copied"]["new"], more["copied"]["erased"], more["indexed"]["messages"]) == (1, 1, len(SAID))
    assert {"m9", "m10"}.isdisjoint(stored(place))
    assert "messages of the message store: 0 rows deleted" in place.do("prune")


def find(place: Workplace, *arguments: str) -> list[str]:
    """Return the ids of the messages that a search finds, nearest first."""
    return [each["message_id"] for each in json.loads(place.do("search", *arguments, "--json"))]


def test_a_search_finds_by_meaning_and_by_words(place: Workplace) -> None:
    """After the messages above; filters and customers, too."""
    assert find(place, "wants a refund for late delivery")[0] in {"m1", "m7"}
    assert find(place, "parcell two weeks latte", "--limit", "1") == ["m1"]
    assert find(place, "\U0001f389")[0] == "m6"
    assert find(place, "Versand")[0] == "m5"
    assert set(find(place, "late", "--customer", "dot")) == {"m7", "m8"}
    assert "m7" not in find(place, "late", "--concern", "price")
    assert find(place, "late", "--since", "2100-01-01") == find(place, "late", "--role", "agent") == []
    assert "my parcel is two weeks late" in place.do("search", "parcel", "--limit", "1")
    (best,) = json.loads(place.do("search", "parcel weeks late", "--customers", "--limit", "1", "--json"))
    assert (best["customer_id"], best["best"]["message_id"]) == ("ann", "m1")
    assert find(place, "I am back", "--customer", "eve") == []
    assert find(place, "<b>;--' & | ! :* \\ (", "--limit", "1") == []
    refused = place.holdfast("search", "  ")
    assert (refused.returncode, "the query is empty" in refused.stderr) == (2, True)


def test_clusters_keep_their_ids_and_a_segment_reads_them(place: Workplace) -> None:
    """Bargain hunters and big spenders; one changes sides, one is erased."""
    few, many = [f"few-{number}" for number in range(20)], [f"many-{number}" for number in range(20)]
    for number in range(20):
        place.set_customer(few[number], days=100 + number, revenue=10 + number)
        place.set_customer(many[number], days=1 + number, revenue=9_000 + 50 * number)
    refused = place.holdfast("clusters", "list")
    assert (refused.returncode, "holdfast clusters run" in refused.stderr) == (2, True)
    first = json.loads(place.do("clusters", "run", "--json"))
    assert (first["customers"], first["stable"], first["drift"]) == (40, True, None)
    assert sorted(each["size"] for each in first["clusters"]) == [20, 20]
    of = {customer: cluster_of(place, customer) for customer in (*few, *many)}
    assert len({of[each] for each in few}) == len({of[each] for each in many}) == 1

    assert (first["buyers"], "products" in first["purchases_problem"]) == (0, True)
    assert "no purchases of them are known" in place.do("similar", many[3])
    sell(place, {"cup": [*many, few[0]], "lamp": few[1:]})
    place.set_customer(few[0], days=3, revenue=9_000)
    place.do("forget", few[1], "--why", "asked")
    second = json.loads(place.do("clusters", "run", "--json"))
    assert {each["id"] for each in second["clusters"]} == {each["id"] for each in first["clusters"]}
    assert (second["buyers"], count_vector_indexes(place)) == (39, 1)
    assert (second["customers"], round(second["drift"]["moved"] * 39)) == (39, 1)
    assert cluster_of(place, few[0]) == of[many[0]]
    assert cluster_of(place, few[1]) is None

    rich = next(each for each in second["clusters"] if each["id"] == of[many[0]])
    assert rich["value"] == 100
    assert 0 <= rich["churn"] <= 1
    assert rich["name"] in place.do("clusters", "list")
    assert rich["name"] in place.do("clusters", "show", rich["id"])
    neighbourhood = json.loads(place.do("similar", many[3], "--top-k", "5", "--json"))
    alike, bought = neighbourhood["customers"], neighbourhood["bought"]
    assert [(each["product_id"], each["name"], each["customers"]) for each in bought] == [("cup", "Cup", 5)]
    assert bought[0]["bought_before"]
    assert "5 of 5" in place.do("similar", many[3], "--top-k", "5")
    assert {each["customer_id"] for each in alike} <= {*many, few[0]}
    assert {"total_revenue", "high"} <= set(chain(*alike[0]["shared"]))
    assert many[4] in place.do("similar", many[3])
    refused = place.holdfast("similar", few[1])
    assert (refused.returncode, "has not seen them" in refused.stderr) == (2, True)

    rule = place.folder / "rich.json"
    write_json(rule, {"key": "rich", "name": "rich", "rule": {"==": [{"var": "cluster"}, rich["id"]]}})
    assert f"{rich['size']}" in place.do("segments", "preview", str(rule))


def sell(place: Workplace, sold: dict[str, list[str]]) -> None:
    """Write a catalogue and purchases into the warehouse: the customers of each product."""
    with psycopg.connect(place.environment["HOLDFAST_WAREHOUSE_URL"]) as warehouse, warehouse.cursor() as cursor:
        cursor.execute("CREATE TABLE products (product_id text, name text)")
        cursor.execute("CREATE TABLE purchases (customer_id text, product_id text, purchased_at date)")
        cursor.executemany("INSERT INTO products VALUES (%s, %s)", [(each, each.title()) for each in sold])
        rows = [(customer, product, "2011-05-01") for product, customers in sold.items() for customer in customers]
        cursor.executemany("INSERT INTO purchases VALUES (%s, %s, %s)", rows)


def count_vector_indexes(place: Workplace) -> int:
    """Return how many indexes of vectors customers have: each run makes one, and removes the one before."""
    query = "SELECT count(*) FROM pg_indexes WHERE tablename = 'customer' AND indexdef LIKE '%USING hnsw%'"
    return int(place.ask_ledger(query)[0][0])


def cluster_of(place: Workplace, customer: str) -> str | None:
    """Return the fact `cluster` of a customer."""
    rows = place.ask_ledger("SELECT customer_id, facts ->> 'cluster' FROM insight WHERE kind = 'cluster'")
    return dict(rows).get(customer)
