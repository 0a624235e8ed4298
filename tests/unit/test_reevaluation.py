"""How a re-evaluation requests customers: at what rate, whom, and what it does when no worker answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from campaigns.errors import ReevaluationError
from console.cli.segment_versions import describe_history
from console.segment_views import describe_reevaluation
from console.use_cases.reevaluations import Pace, Reevaluated, Reevaluation
from console.use_cases.segments import SegmentHistory
from segments.definition import fingerprint
from tests.builders import AS_OF, segment
from tests.fakes.ledger import Customer, InMemoryLedger
from tests.fakes.reevaluations import InMemoryReevaluations
from tests.fakes.warehouse import InMemoryWarehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.records import ReevaluationRecord

VERSIONS = {"at-risk": segment().version}
CUSTOMERS = [f"c{number:02}" for number in range(40)]
PACE = Pace(rate=100, page=5, in_flight=10, poll_s=0.01, straggler_s=10, patience_s=60)


@dataclass
class Stage:
    """Customers, a ledger, and workers that evaluate some customers whenever time passes.

    Attributes:
        per_look: how many customers the workers evaluate in each pause.
        never: those whom they never evaluate.
    """

    per_look: int = 3
    never: frozenset[str] = frozenset()
    now: float = 0.0
    queue: list[str] = field(default_factory=list)
    sent: list[tuple[float, str]] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = InMemoryLedger()
        self.reevaluations = InMemoryReevaluations(self.ledger)
        self.warehouse = InMemoryWarehouse({}, {each: {} for each in CUSTOMERS})

    def evaluate(self, *customers: str) -> None:
        """Let the ledger have it that these were evaluated under the present versions."""
        for each in customers:
            self.ledger.customers[each] = Customer(evaluated_versions=VERSIONS)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        done, self.queue = self.queue[: self.per_look], self.queue[self.per_look :]
        self.evaluate(*(each for each in done if each not in self.never))

    def send(self, _: ReevaluationRecord, customers: Sequence[str]) -> None:
        """Take requests."""
        self.queue += customers
        self.sent += [(self.now, each) for each in customers]
        self.waiting.append(len(self.queue))

    def run(self, pace: Pace = PACE) -> Reevaluated:
        """Run an attempt to its end."""
        known = fingerprint(VERSIONS)
        found = self.reevaluations.find_unfinished(known)
        begun = found or self.reevaluations.begin("r", known, as_of=AS_OF, by="olga")
        attempt = Reevaluation(
            begun,
            VERSIONS,
            self.warehouse,  # type: ignore[arg-type]
            self.reevaluations,
            self.send,
            pace,
            clock=lambda: self.now,
            sleep=self.sleep,
        )
        return asyncio.run(attempt.run())


def test_every_customer_is_requested_once_at_no_more_than_the_rate() -> None:
    stage = Stage(per_look=100)
    done = stage.run()
    assert [customer for _, customer in stage.sent] == CUSTOMERS
    assert (done.customers, done.evaluated, done.current, done.passed_over) == (40, 40, 0, 0)
    assert stage.sent[-1][0] == pytest.approx(35 / 100)  # the last page of five begins after those before it
    assert done.seconds == pytest.approx(0.36)


def test_slow_workers_have_few_customers_on_their_way() -> None:
    """So live events never wait behind many of them."""
    stage = Stage(per_look=1)
    assert stage.run(Pace(rate=1e6, page=5, in_flight=10, poll_s=0.01)).evaluated == 40
    assert max(stage.waiting) <= 10


def test_customers_who_are_evaluated_already_and_those_with_several_rows_are_not_requested() -> None:
    stage = Stage()
    stage.evaluate("c01", "c39")
    stage.warehouse.copies["c02"] = 3
    done = stage.run()
    assert {customer for _, customer in stage.sent} == set(CUSTOMERS) - {"c01", "c02", "c39"}
    assert (done.customers, done.evaluated, done.current, done.duplicates, done.passed_over) == (40, 37, 2, 1, 0)


def test_a_customer_whom_no_worker_evaluates_is_passed_over_after_a_while() -> None:
    """As one whose row is deleted on the way, or whose request is poison."""
    stage = Stage(never=frozenset(["c07"]))
    done = stage.run()
    assert (done.customers, done.evaluated, done.passed_over) == (40, 39, 1)
    assert 10 < done.seconds < 12


def test_without_an_answer_it_stops_and_resumes_behind_what_is_over() -> None:
    stage = Stage(never=frozenset(CUSTOMERS[20:]))
    with pytest.raises(ReevaluationError, match=r"over for 20\..*holdfast segments reevaluate"):
        stage.run()
    assert stage.reevaluations.records["r"].last_customer_id == "c19"
    stage.never, stage.sent = frozenset(), []
    done = stage.run()
    assert [customer for _, customer in stage.sent] == CUSTOMERS[20:]
    assert (done.customers, done.earlier, done.evaluated) == (40, 20, 20)
    assert stage.reevaluations.find_unfinished(fingerprint(VERSIONS)) is None


def test_an_attempt_that_is_cut_short_resumes_at_the_first_customer_who_was_passed_over() -> None:
    stage = Stage(never=frozenset(["c07", *CUSTOMERS[20:]]))
    with pytest.raises(ReevaluationError, match=r"over for 20\."):
        stage.run()
    assert stage.reevaluations.records["r"].last_customer_id == "c04"
    stage.never, stage.sent = frozenset(), []
    done = stage.run()
    assert [customer for _, customer in stage.sent] == ["c07", *CUSTOMERS[20:]]
    assert (done.customers, done.earlier, done.current, done.evaluated) == (40, 5, 14, 21)


def test_a_complete_one_that_is_run_again_requests_nobody() -> None:
    stage = Stage()
    stage.run()
    stage.sent = []
    done = stage.run()
    assert (stage.sent, done.customers, done.current) == ([], 40, 40)


def test_the_command_says_what_became_of_the_customers() -> None:
    done = Reevaluated("ab12", 1_000, 250, 700, 46, 1, 3, 2.25)
    assert list(describe_reevaluation(done)) == [
        "re-evaluation ab12: 1,000 customers, 250 of them in earlier attempts, in 2.2 s",
        "700 were evaluated; 46 had been evaluated under these rules before",
        "3 have several rows in the warehouse: none evaluates them (holdfast warehouse check)",
        (
            "1 were not evaluated: run it again; their rows may be gone, or their requests dead letters "
            "(holdfast dead-letters list --topic evaluations)"
        ),
    ]


async def test_a_history_shows_who_changed_what_and_a_version_that_no_worker_has_started_with() -> None:
    """A long rule over several lines, of which only some differ."""
    ledger = InMemoryLedger()
    columns = [{">": [{"var": f"column_{number}"}, number]} for number in range(4)]
    old, new = segment(rule={"and": columns}), segment(rule={"and": [*columns[:3], {"<": [{"var": "column_3"}, 9]}]})
    await ledger.activate([old], [], at=AS_OF)
    await ledger.set_mode(new, "new", at=AS_OF, by="olga", why="spring")
    found = SegmentHistory(segment(), await ledger.segment_history("at-risk"), 3, 5)
    lines = list(describe_history(found))
    assert lines[0] == (
        f"at-risk version {segment().version} is defined and not in force yet: no worker has started with it"
    )
    assert lines[1:10] == [
        f"2011-06-01 12:30:00 UTC  version {new.version}  new  by olga",
        "    reason: spring",
        "     rule: {",
        '       "and": [',
        '         {">": [{"var": "column_0"}, 0]},',
        '         {">": [{"var": "column_1"}, 1]},',
        '         {">": [{"var": "column_2"}, 2]},',
        '    -    {">": [{"var": "column_3"}, 3]}',
        '    +    {"<": [{"var": "column_3"}, 9]}',
    ]
    assert lines[-1] == f"3 of 5 known customers are evaluated under version {segment().version}"
