"""The values between which a number is tried on a slider. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

STEPS = 100
"""About how many a slider has."""


@dataclass(frozen=True, slots=True)
class FactRange:
    """The ends of a slider, and its step: 1, 2 or 5 times a power of ten, of whole numbers at least 1."""

    low: float
    high: float
    step: float

    def write(self, number: float) -> str:
        """Return a number as an attribute has it, to the digits that a step needs."""
        return f"{number:.12g}"


def find_range(values: Iterable[Any], today: float) -> FactRange | None:
    """Return a range that has some customers' values and today's; None where all are the same.

    Args:
        values: of a fact; those that are no finite numbers count for nothing.
        today: the customer's.
    """
    numbers = [each for each in (*values, today) if _is_number(each)]
    if not numbers or min(numbers) == max(numbers):
        return None
    span = max(numbers) - min(numbers)
    if not math.isfinite(span):
        return None
    step = _round_up(span / STEPS)
    if all(float(each).is_integer() for each in numbers):
        step = max(1.0, step)
    low, high = math.floor(min(numbers) / step), math.ceil(max(numbers) / step)
    return FactRange(low * step, high * step, step)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _round_up(number: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(each for each in (power, 2 * power, 5 * power, 10 * power) if each >= number * (1 - 1e-9))
