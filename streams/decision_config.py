"""What decisions depend on and batches do not change: models, rules and campaigns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from campaigns.feedback import ALWAYS_VIP
from campaigns.ports import LedgerFacts
from features.insights import find_kinds
from features.times import EVENT_TIME
from models.facts import facts_read
from models.former_scores import label_changeovers, score_as_before
from segments.definition import fingerprint
from segments.engine import ScoredUnder
from segments.evaluated_versions import combine
from streams.due_customers import FACTS_AS_OF, Schedule, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from campaigns.candidates import Definitions
    from features.table import FeatureTable
    from models.registry import Scorers
    from segments.definition import Segment
    from segments.engine import Activation


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """Models, rules and campaigns.

    Attributes:
        scorers: the models, or the rules that stand in for them.
        segments: the rules of membership.
        activations: the activation of each segment's version, by key.
        definitions: campaigns and offers.
        reads_event_time: whether a rule, an offer or a message reads the event time.
        ledger_facts: last transitions where a rule depends on the moment of evaluation, and the kinds of insights of
            which a rule, an offer, its policy or a message reads a fact.
        timing: what the settings say about time.
        scored: the versions under which customers are evaluated, with the changeovers of the models.
        fingerprint: of these versions.
        schedule: when time alone may change a rule's result.
        reads_feedback: whether a rule or a message reads what staff said of the customer.
    """

    scorers: Scorers
    segments: Sequence[Segment]
    activations: Mapping[str, Activation]
    definitions: Definitions
    timing: Timing = field(default_factory=Timing)
    reads_event_time: bool = field(init=False)
    ledger_facts: LedgerFacts = field(init=False)
    reads_feedback: bool = field(init=False)
    scored: ScoredUnder = field(init=False)
    fingerprint: str = field(init=False)
    schedule: Schedule = field(init=False)

    def __post_init__(self) -> None:
        """Find whether the event time and feedback are read, the fingerprint and the schedule, once."""
        definitions = self.definitions
        of_rules = frozenset[str]().union(*(each.facts for each in self.segments))
        facts = [of_rules] + [each.message_facts | each.offer_facts for each in definitions.campaigns]
        facts += [each.facts for each in definitions.offers.values()]
        read = frozenset[str]().union(*facts)
        object.__setattr__(self, "reads_event_time", EVENT_TIME in read)
        ledger_facts = LedgerFacts(not FACTS_AS_OF.isdisjoint(of_rules), find_kinds(read))
        object.__setattr__(self, "ledger_facts", ledger_facts)
        object.__setattr__(self, "reads_feedback", ALWAYS_VIP in read)
        object.__setattr__(self, "scored", find_scored(self.segments, self.scorers))
        object.__setattr__(self, "fingerprint", fingerprint(self.scored.versions))
        object.__setattr__(self, "schedule", Schedule.of(self.segments, self.scorers, self.timing))

    def with_scorers(self, scorers: Scorers) -> DecisionConfig:
        """Return the same config with other models; decisions then name their versions."""
        definitions = replace(
            self.definitions,
            model_versions=scorers.versions,
            model_facts=facts_read(scorers),
        )
        return replace(self, scorers=scorers, definitions=definitions)


def find_scored(segments: Iterable[Segment], scorers: Scorers) -> ScoredUnder:
    """Return the versions under which segments are evaluated, with the changeovers of the models."""

    def score(table: FeatureTable, then: Sequence[str], now: Sequence[str]) -> FeatureTable | None:
        return score_as_before(table, scorers, then, now)

    return ScoredUnder(find_versions(segments, scorers.changeovers), score)


def find_versions(segments: Iterable[Segment], changeovers: Mapping[str, str]) -> dict[str, str]:
    """Return the version under which each segment is evaluated, by key, where models serve under changeovers."""
    return {each.key: combine(each.version, label_changeovers(changeovers, each.facts)) for each in segments}
