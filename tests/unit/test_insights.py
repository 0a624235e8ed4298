"""Insights as facts."""

from __future__ import annotations

from features.insights import CLUSTER, RECOMMENDATIONS, add_insights, find_kinds
from features.table import FeatureTable

LAMP = {"product_id": "p1", "name": "Lamp"}
INSIGHTS = {
    "ann": {CLUSTER: {"cluster": "c3"}, RECOMMENDATIONS: {"recommendations": [LAMP], "recommended_product": "p1"}}
}


def test_facts_are_null_where_no_job_has_seen_the_customer() -> None:
    """Or left a fact out; lists stay lists."""
    table = add_insights(FeatureTable(("ann", "bob"), {}), INSIGHTS)
    assert table.row(0) == {
        "cluster": "c3",
        "cluster_name": None,
        "recommendations": [LAMP],
        "recommended_product": "p1",
        "recommended_at": None,
    }
    assert set(table.row(1).values()) == {None}


def test_a_column_of_the_warehouse_with_the_name_of_a_fact_stays() -> None:
    table = FeatureTable.from_rows(["ann"], ["cluster"], [["theirs"]])
    assert add_insights(table, INSIGHTS, [CLUSTER]).row(0) == {"cluster": "theirs", "cluster_name": None}


def test_only_the_kinds_are_read_of_which_a_fact_is_read() -> None:
    assert find_kinds({"cluster_name", "revenue"}) == (CLUSTER,)
    assert find_kinds({"recommended_product", "cluster"}) == (CLUSTER, RECOMMENDATIONS)
    assert find_kinds({"revenue"}) == ()
