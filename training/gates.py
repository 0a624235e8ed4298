"""Whether a model may go live: named questions, each with a figure, a threshold and an answer in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from training.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training.evidence import Evidence

Verdict = Literal["passed", "refused", "not enough evidence", "not applicable"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One question about a model and its answer; `asdict` makes it JSON.

    Attributes:
        name: the question, stable across versions.
        passed: None where it does not apply to this model; not enough evidence is False.
        verdict: the same in words.
        figure: what was measured.
        against: what it is compared with.
        threshold: where the figure passes: a least or most value, or both.
        sentence: question, figures and answer for a person.
    """

    name: str
    passed: bool | None
    verdict: Verdict
    figure: float | None
    against: str
    threshold: float | list[float] | None
    sentence: str


def judge(evidence: Evidence, metrics: Mapping[str, Any], limits: Limits | None = None) -> list[Gate]:
    """Put a model through the gates of its task.

    Args:
        evidence: what the run collected.
        metrics: what `training.evaluation.evaluate` made of it.
        limits: where each gate passes; the defaults where None.
    """
    del evidence, metrics
    limits = limits or Limits()
    return []


def promotable(gates: Iterable[Gate]) -> bool:
    """Return whether no gate refuses."""
    return all(gate.passed is not False for gate in gates)
