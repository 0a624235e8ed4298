"""The version that customers are evaluated under: that of a segment's rules, and the changeovers of scores they read.

As text it is the version of the rules, followed by each changeover as `model@time-mode`. A segment that reads no score,
or only scores of models without a changeover, has that of its rules alone. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from segments.engine import Mode


def combine(rules: str, changeovers: Iterable[str]) -> str:
    """Return the version of rules and changeovers."""
    return " ".join((rules, *changeovers))


def split(version: str) -> tuple[str, tuple[str, ...]]:
    """Return the version of the rules, and the changeovers."""
    rules, *changeovers = version.split(" ")
    return rules, tuple(changeovers)


def rules_of(version: str) -> str:
    """Return the version of the rules."""
    return split(version)[0]


def find_mode(then: str, now: str, mode: Mode) -> Mode:
    """Return what the first evaluation under a version may fire: the least that one of its changes allows.

    Args:
        then: the version of the customer's last evaluation.
        now: the version of this one.
        mode: of the version of the rules that are in force.
    """
    (rules_then, then_scored), (rules_now, now_scored) = split(then), split(now)
    modes = {mode} if rules_then != rules_now else set()
    begun = [each for each in now_scored if each not in then_scored]
    modes |= {"new" if each.endswith("-new") else "silent" for each in begun}
    # Scores that have gone back to an earlier changeover: what served under the later one may not be known here.
    if {_model(each) for each in then_scored if each not in now_scored} - {_model(each) for each in begun}:
        modes.add("silent")
    return "silent" if "silent" in modes else "new" if "new" in modes else "emit"


def _model(changeover: str) -> str:
    return changeover.partition("@")[0]
