"""How many examples a property is tried with: all of them in `make test`, a quarter in `make quick`."""

from __future__ import annotations

from hypothesis import settings

ALL = 100
"""Hypothesis's own number of examples, which the numbers of the tests are relative to."""


def register_profiles() -> None:
    """Register `all`, which is the default, and `quick`."""
    settings.register_profile("all", derandomize=True, deadline=None, max_examples=ALL)
    settings.register_profile("quick", settings.get_profile("all"), max_examples=ALL // 4)
    settings.load_profile("all")


def examples(number: int) -> settings:
    """Return settings with this number of examples, with fewer in proportion where the profile has fewer."""
    return settings(max_examples=max(1, number * settings().max_examples // ALL))
