"""Everything that the page of a customer shows, its parts read at the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from console.fact_groups import group_facts, pick_numeric
from console.fact_ranges import find_range
from console.timeline_views import list_contacts
from console.use_cases.clusters import find_similar_customers
from console.use_cases.explanations import explain_customer
from console.use_cases.parts import Reading
from console.use_cases.recommendations import read_stored
from console.use_cases.timelines import find_timeline
from console.web.customer_views import mask_explanation, mask_prediction, mask_timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.access.roles import Principal
    from console.fact_groups import ShownFact
    from console.fact_ranges import FactRange
    from console.timeline_views import ContactRow
    from console.use_cases.explanations import CustomerExplanation
    from console.use_cases.parts import Part
    from console.use_cases.segment_columns import FactColumns
    from console.use_cases.timelines import Timeline
    from console.web.context import WebContext
    from intelligence.postgres_customers import SimilarCustomer

TIMEOUT_S = 20.0
SIMILAR = 5
LEFT_OUT = frozenset({"customer_id", "event_time", "recommendations"})
"""Facts that the page shows elsewhere."""
KINDS = ("churn", "ltv", "nbo", "rfm")


@dataclass(frozen=True, slots=True)
class CustomerView:
    """What the page of a customer shows; a part that could not be read has a problem instead of a value.

    Attributes:
        customer: facts, memberships, decisions and rules.
        groups: the facts in groups.
        changeable: the numbers that rules and models read.
        ranges: of those with values of other customers that may be seen, by name.
        predictions: by kind.
        offers: the names of offers by id.
        timeline: the latest entries.
        contacts: of the timeline, the latest first.
    """

    customer: CustomerExplanation
    groups: Sequence[tuple[str, Sequence[ShownFact]]]
    changeable: Sequence[ShownFact]
    ranges: Mapping[str, FactRange]
    predictions: Mapping[str, Part[Mapping[str, Any]]]
    offers: Mapping[int, str]
    timeline: Part[Timeline]
    contacts: Sequence[ContactRow]
    similar: Part[Sequence[SimilarCustomer]]
    recommendations: Part[Sequence[Mapping[str, Any]]]


def read_customer(context: WebContext, principal: Principal, customer_id: str, *, entries: int) -> CustomerView:
    """Return what the page of a customer shows, masked for the principal.

    Args:
        context: where to read.
        principal: who looks.
        customer_id: at whom.
        entries: the most entries of the timeline.

    Raises:
        UnknownWarehouseCustomerError, ErasedCustomerError: there is no such customer, or not any more.
    """
    settings, personal = context.settings, context.settings.personal_columns
    offers: dict[int, str] = {}

    def predict(kind: str) -> Mapping[str, Any]:
        found = context.predictions.answer(kind, [customer_id])
        offers.update(found.offers)
        return mask_prediction(found.predictions[0], principal, personal) if found.predictions else {}

    readings = {
        **{kind: Reading[Any](partial(predict, kind)) for kind in KINDS},
        "inputs": Reading[Any](context.predictions.find_inputs),
        "columns": Reading[Any](context.facts.read),
        "timeline": Reading[Any](
            lambda: mask_timeline(find_timeline(settings, customer_id, since=None, limit=entries), principal)
        ),
        "similar": Reading[Any](lambda: find_similar_customers(settings, customer_id, limit=SIMILAR)),
        "recommendations": Reading[Any](lambda: read_stored(settings, customer_id)),
    }
    customer = mask_explanation(explain_customer(settings, customer_id), principal, personal)
    until = time.monotonic() + TIMEOUT_S
    parts: dict[str, Part[Any]] = {name: each.wait(TIMEOUT_S, until) for name, each in readings.items()}
    timeline = parts["timeline"]
    shown = {name: cell for name, cell in customer.facts.items() if name not in LEFT_OUT}
    changeable = pick_numeric(shown, parts["inputs"].value or ())
    return CustomerView(
        customer,
        group_facts(shown, personal),
        changeable,
        _find_ranges(changeable, parts["columns"].value),
        {kind: parts[kind] for kind in KINDS},
        offers,
        timeline,
        list_contacts(timeline.value) if timeline.value else (),
        parts["similar"],
        parts["recommendations"],
    )


def _find_ranges(changeable: Sequence[ShownFact], columns: FactColumns | None) -> Mapping[str, FactRange]:
    values = {each.name: each.values for each in columns.facts} if columns else {}
    found = {each.name: find_range(values[each.name], each.value) for each in changeable if values.get(each.name)}
    return {name: each for name, each in found.items() if each is not None}


def name_offer(view_offers: Mapping[int, str], number: int | None) -> str:
    """Return the name of an offer for people."""
    return "none" if number is None else view_offers.get(number, f"offer {number}")


_Read = "Callable[[], Any]"
