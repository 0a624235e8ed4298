"""Compare the evaluation of rules with other implementations of JSONLogic: `python -m benchmarks.segments`.

Every contender evaluates the same rules for the same customers, from data that it has parsed before the clock starts:
Holdfast from the columns of a table, datalogic-py (Rust) from its handles, json-logic-qubit from dicts. Compiling the
rules is not measured either. Of the two fast ways that datalogic-py has, one call for each rule and all customers or
for each customer and all rules, the faster one counts. All results are compared before anything is measured.

Contenders alternate, because the speed of a machine drifts: compare figures of one run only.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from datalogic_py import DataHandle, Engine
from json_logic import jsonLogic

from benchmarks.errors import BenchmarkError
from features.table import FeatureTable
from features.times import EVENT_TIME
from segments.jsonlogic import compile_rule
from segments.vectorized import Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Customer = Mapping[str, Any]
    Rule = Mapping[str, Any]
    Answers = np.ndarray[Any, np.dtype[np.bool_]]

SEED = 5
CLAUSES = 4
START = datetime(2011, 1, 1, tzinfo=UTC)
COUNTRIES = ("France", "Germany", "Italy", "Japan", "Spain")
TIERS = ("bronze", "gold", "silver")
OPTIONAL = ("email", "phone", "birth_date")
TARGETS = {"clauses": 3.0, "dates": 3.0, "lists": 3.0, "missing": 3.0}
"""How many times as fast as datalogic-py each kind of rules shall be."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Rules of a kind.

    Attributes:
        kind: what the clauses are about.
        rules: as Holdfast reads them.
        for_rust: the same as datalogic-py reads them, which has other operators for times.
        standard: whether json-logic-qubit knows their operators.
    """

    kind: str
    rules: Sequence[Rule]
    for_rust: Sequence[Rule]
    standard: bool = True


@dataclass(slots=True)
class Contender:
    """An implementation, ready to evaluate, and the seconds that it took in each round.

    Attributes:
        evaluate: returns the answers as the implementation gives them.
        read: returns them as truth values of shape [rules, customers]; this is not measured.
    """

    name: str
    evaluate: Callable[[], Any]
    read: Callable[[Any], Answers]
    seconds: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Evaluate once by the clock."""
        start = time.perf_counter()
        self.evaluate()
        self.seconds.append(time.perf_counter() - start)


def draw_customers(count: int, chance: random.Random) -> list[Customer]:
    """Return random facts of customers: numbers, texts, truth values, times, orders, and facts that may be null."""
    return [_draw_customer(chance) for _ in range(count)]


def _draw_customer(chance: random.Random) -> Customer:
    now = START + timedelta(days=365, seconds=chance.randrange(86_400))
    return {
        "revenue": round(chance.uniform(0, 2_000), 2),
        "orders_90d": chance.randrange(20),
        "churn": round(chance.random(), 3),
        "country": chance.choice(COUNTRIES),
        "tier": chance.choice(TIERS),
        "subscribed": chance.random() < 1 / 2,
        "last_order_at": _text(now - timedelta(seconds=chance.randrange(365 * 86_400))),
        "contract_end": _text(now + timedelta(seconds=chance.randrange(-100, 365) * 86_400)),
        "orders": [_draw_order(chance) for _ in range(chance.randrange(6))],
        **{name: "known" if chance.random() < 1 / 2 else None for name in OPTIONAL},
        EVENT_TIME: _text(now),
    }


def _draw_order(chance: random.Random) -> Mapping[str, Any]:
    return {
        "total": round(chance.uniform(0, 300), 2),
        "items": chance.randrange(1, 9),
        "category": chance.choice(TIERS),
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def draw_workloads(rules: int, chance: random.Random) -> list[Workload]:
    """Return rules of each kind, each an `and` or `or` of four clauses."""
    plain = {"clauses": _draw_comparison, "lists": _draw_list, "missing": _draw_missing}
    workloads = []
    for kind, draw in plain.items():
        drawn = [_join([draw(chance) for _ in range(CLAUSES)], chance) for _ in range(rules)]
        workloads.append(Workload(kind, drawn, drawn))
    clauses = [[_draw_time(chance) for _ in range(CLAUSES)] for _ in range(rules)]
    words = [chance.choice(["and", "or"]) for _ in range(rules)]
    ours, theirs = (
        [{word: [clause[side] for clause in each]} for word, each in zip(words, clauses, strict=True)]
        for side in (0, 1)
    )
    return [*workloads, Workload("dates", ours, theirs, standard=False)]


def _join(clauses: Sequence[Rule], chance: random.Random) -> Rule:
    return {chance.choice(["and", "or"]): list(clauses)}


def _fact(name: str) -> Rule:
    return {"var": name}


def _draw_comparison(chance: random.Random) -> Rule:
    order = chance.choice(["<", "<=", ">", ">="])
    return chance.choice(
        [
            {order: [_fact("revenue"), chance.randrange(2_000)]},
            {order: [_fact("orders_90d"), chance.randrange(20)]},
            {order: [_fact("churn"), round(chance.random(), 2)]},
            {"in": [_fact("country"), chance.sample(COUNTRIES, 2)]},
            {chance.choice(["==", "!="]): [_fact("tier"), chance.choice(TIERS)]},
            {chance.choice(["!", "!!"]): [_fact("subscribed")]},
        ]
    )


def _draw_list(chance: random.Random) -> Rule:
    total = {chance.choice(["<", ">"]): [_fact("total"), chance.randrange(300)]}
    step = {"+": [_fact("accumulator"), _fact("current.total")]}
    return chance.choice(
        [
            {chance.choice(["all", "none", "some"]): [_fact("orders"), total]},
            {"some": [_fact("orders"), {"and": [total, {"==": [_fact("category"), chance.choice(TIERS)]}]}]},
            {"!!": {"filter": [_fact("orders"), {">": [_fact("items"), chance.randrange(9)]}]}},
            {">": [{"reduce": [_fact("orders"), step, 0]}, chance.randrange(900)]},
            {"in": [chance.randrange(1, 9), {"map": [_fact("orders"), _fact("items")]}]},
        ]
    )


def _draw_missing(chance: random.Random) -> Rule:
    names = chance.sample(OPTIONAL, chance.randrange(1, 4))
    return chance.choice(
        [
            {"!": {"missing": [*names, "tier"]}},
            {"!!": {"missing": names}},
            {"!": {"missing_some": [chance.randrange(1, 3), list(OPTIONAL)]}},
            _draw_comparison(chance),
        ]
    )


def _draw_time(chance: random.Random) -> tuple[Rule, Rule]:
    """Return a clause about times, for Holdfast and for datalogic-py."""
    name, other = chance.sample(["last_order_at", "contract_end"], 2)
    days, moment = chance.randrange(1, 365), _text(START + timedelta(hours=chance.randrange(24 * 500)))
    at, now = {"datetime": _fact(name)}, {"datetime": _fact(EVENT_TIME)}
    within = {"<=": [{"-": [now, {"timestamp": f"{days}d"}]}, at, now]}
    return chance.choice(
        [
            ({"time.within_last": [_fact(name), days]}, within),
            ({"time.before": [_fact(name), moment]}, {"<": [at, {"datetime": moment}]}),
            ({"time.after": [_fact(name), moment]}, {">": [at, {"datetime": moment}]}),
            ({"time.before": [_fact(name), _fact(other)]}, {"<": [at, {"datetime": _fact(other)}]}),
        ]
    )


def prepare(workload: Workload, customers: Sequence[Customer]) -> list[Contender]:
    """Return the contenders for some rules, with rules compiled and data parsed."""
    names = list(customers[0])
    rows = [list(each.values()) for each in customers]
    table = FeatureTable.from_rows([str(n) for n in range(len(rows))], names, rows)
    ours = [compile_rule(rule, where=workload.kind) for rule in workload.rules]
    engine = Engine(families=None)
    session, theirs = engine.session(), [engine.compile(rule) for rule in workload.for_rust]
    # In datalogic-py a null is not missing.
    known = [{name: value for name, value in each.items() if value is not None} for each in customers]
    handles = [DataHandle(each) for each in known]
    contenders = [
        Contender("holdfast", lambda: [rule.mask(facts) for facts in [Facts(table)] for rule in ours], np.array),
        Contender(
            "datalogic-py, rule by rule",
            lambda: [session.evaluate_batch(rule, handles) for rule in theirs],
            lambda answers: np.array(answers) == "true",
        ),
        Contender(
            "datalogic-py, customer by customer",
            lambda: [session.evaluate_many(theirs, data) for data in handles],
            lambda answers: (np.array(answers) == "true").T,
        ),
    ]
    if workload.standard:
        qubit = Contender(
            "json-logic-qubit",
            lambda: [[jsonLogic(rule, each) for each in known] for rule in workload.rules],
            lambda answers: np.array(answers, dtype=np.bool_),
        )
        contenders.append(qubit)
    return contenders


def compare(workload: Workload, customers: Sequence[Customer], rounds: int) -> dict[str, Any]:
    """Compare the results of all contenders, measure them alternately, and return figures and ratios.

    Raises:
        BenchmarkError: two contenders disagree.
    """
    contenders = prepare(workload, customers)
    expected = contenders[0].read(contenders[0].evaluate())
    for other in contenders[1:]:
        _check_equal(workload, expected, other)
    for _ in range(rounds):
        for contender in contenders:
            contender.measure()
    spent = {each.name: median(each.seconds) for each in contenders}
    rust = min(seconds for name, seconds in spent.items() if name.startswith("datalogic-py"))
    ratios = {"datalogic-py": rust} | {name: spent[name] for name in spent if name == "json-logic-qubit"}
    return {
        "true": round(float(expected.mean()), 3),
        "milliseconds": {name: round(1_000 * seconds, 3) for name, seconds in spent.items()},
        "ratios": {name: round(seconds / spent["holdfast"], 2) for name, seconds in ratios.items()},
        "target": TARGETS[workload.kind],
    }


def _check_equal(workload: Workload, expected: Answers, other: Contender) -> None:
    places = np.argwhere(other.read(other.evaluate()) != expected)
    if len(places):
        rule, customer = places[0]
        raise BenchmarkError(
            f"{workload.kind}: {other.name} disagrees in {len(places)} results, first in rule {rule} for customer "
            f"{customer}: {json.dumps(workload.rules[rule])}"
        )


@click.command()
@click.option("--rules", default=100, show_default=True, help="Rules of each kind, of four clauses.")
@click.option("--customers", default=500, show_default=True, help="Customers.")
@click.option("--rounds", default=7, show_default=True, help="Number of runs of each contender.")
def main(rules: int, customers: int, rounds: int) -> None:
    """Compare the results of the contenders, then measure them alternately, and print the ratios."""
    chance = random.Random(SEED)  # noqa: S311 - the same rules in every run
    drawn = draw_customers(customers, chance)
    results = {each.kind: compare(each, drawn, rounds) for each in draw_workloads(rules, chance)}
    click.echo(json.dumps({"rules": rules, "customers": customers, "rounds": rounds, "results": results}, indent=2))


if __name__ == "__main__":
    main()
