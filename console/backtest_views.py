"""A backtest in words, rows and JSON: the same on the terminal and on the page. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from console.replay_views import sentences as describe_replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.use_cases.backtest_estimates import Estimate, Value
    from console.use_cases.backtests import Backtest, Sent

SENT_HEADINGS = (
    "campaign",
    "contacts",
    "recorded",
    "held out",
    "contact cost",
    "recorded",
    "offer cost, if all accept",
    "recorded",
    "expected net value",
)
ESTIMATE_HEADINGS = (
    "campaign",
    "opportunities",
    "without an estimate",
    "effective sample",
    "conversion",
    "compared with the record",
    "net revenue",
    "compared with the record",
)
METHODS = ("", "inverse propensity", "self-normalised", "doubly robust", "95 % interval")


def headline(found: Backtest) -> str:
    """Return the result in one or two sentences."""
    planned, recorded, estimated = found.planned, found.recorded, found.estimate
    sent = (
        f"It would have sent {planned.contacts:,} contacts where {recorded.contacts:,} were sent, at a contact cost of "
        f"{planned.contact_cost:,.2f} in place of {recorded.contact_cost:,.2f}."
    )
    return f"{sent} {describe_estimate(estimated)}"


def describe_estimate(found: Estimate) -> str:
    """Return what the record says about the effect, in one sentence."""
    if not found.opportunities:
        return "Nothing was or would be sent: there is nothing to estimate."
    if found.conversion is None or found.earned is None:
        return "No estimate of its effect is possible: the record never does what it would do."
    share = f" This covers {1 - found.unsupported_share:.0%} of its opportunities; no estimate is possible of the rest."
    covered = share if found.unsupported_share else ""
    if not found.is_enough:
        return (
            f"There is not enough evidence for its effect: the record is worth {found.effective:,.0f} opportunities of "
            f"its own.{covered}"
        )
    earned = found.earned
    interval = f"{earned.difference:+,.2f} ({earned.difference_low:+,.2f} to {earned.difference_high:+,.2f})"
    if earned.difference_low > 0 or earned.difference_high < 0:
        verdict = "more" if earned.difference_low > 0 else "less"
        return f"Net of cost it would have earned {verdict} than the recorded one, per opportunity {interval}.{covered}"
    return f"Whether it earns more or less net of cost is open: per opportunity {interval}.{covered}"


def tone(found: Estimate) -> str:
    """Return whether the page shows it as good, bad or open."""
    if found.earned is None or not found.is_enough:
        return "open"
    return "good" if found.earned.difference_low > 0 else "bad" if found.earned.difference_high < 0 else "open"


def sent_rows(found: Backtest) -> list[tuple[str, ...]]:
    """Return what each campaign sends and costs, and all of them."""
    rows = [(each.campaign, *_sent(each.planned, each.recorded)) for each in found.campaigns]
    return [*rows, ("all", *_sent(found.planned, found.recorded))] if len(rows) > 1 else rows


def _sent(planned: Sent, recorded: Sent) -> tuple[str, ...]:
    return (
        f"{planned.contacts:,}",
        f"{recorded.contacts:,}",
        f"{planned.held_out:,}",
        f"{planned.contact_cost:,.2f}",
        f"{recorded.contact_cost:,.2f}",
        f"{planned.offer_cost:,.2f}",
        f"{recorded.offer_cost:,.2f}",
        f"{planned.expected:,.2f}",
    )


def estimate_rows(found: Backtest) -> list[tuple[str, ...]]:
    """Return the estimate of each campaign, and of all of them."""
    rows = [(each.campaign, *_estimate(each.estimate)) for each in found.campaigns]
    return [*rows, ("all", *_estimate(found.estimate))] if len(rows) > 1 else rows


def _estimate(found: Estimate) -> tuple[str, ...]:
    counts = (f"{found.opportunities:,}", f"{found.unsupported_share:.0%}", f"{found.effective:,.0f}")
    if found.conversion is None or found.earned is None or not found.is_enough:
        why = "no estimate" if found.conversion is None else "not enough evidence"
        return (*counts, why, "", "", "")
    rate, earned = found.conversion, found.earned
    return (
        *counts,
        f"{rate.dr:.2%}",
        f"{100 * rate.difference:+.2f} pp ({100 * rate.difference_low:+.2f} to {100 * rate.difference_high:+.2f})",
        f"{earned.dr:,.2f}",
        f"{earned.difference:+,.2f} ({earned.difference_low:+,.2f} to {earned.difference_high:+,.2f})",
    )


def method_rows(found: Estimate) -> list[tuple[str, ...]]:
    """Return the estimates of all three methods, nothing where there is none or not enough evidence."""
    if found.conversion is None or found.earned is None or not found.is_enough:
        return []
    return [
        ("conversion rate", *_methods(found.conversion, 100, " %")),
        ("net revenue per opportunity", *_methods(found.earned, 1, "")),
    ]


def _methods(value: Value, factor: float, unit: str) -> tuple[str, ...]:
    figures = [f"{factor * each:,.2f}{unit}" for each in (value.ips, value.snips, value.dr)]
    return (*figures, f"{factor * value.low:,.2f} to {factor * value.high:,.2f}{unit}")


def unsupported_rows(found: Estimate) -> list[tuple[str, ...]]:
    """Return for how many opportunities no estimate is possible, by reason."""
    ordered = sorted(found.unsupported.items(), key=lambda each: -each[1])
    return [(str(reason), f"{count:,}", f"{count / found.opportunities:.0%}") for reason, count in ordered]


def sentences(found: Backtest) -> Iterator[str]:
    """Yield what the figures rest on."""
    yield (
        "an opportunity is a customer and an occasion on which the new or the recorded campaign contacts; the estimate "
        "is of the new campaigns without their control groups"
    )
    yield (
        "estimates are off-policy: recorded contacts and control groups are weighted by the probability that each had; "
        "the effective sample is Kish's, and intervals treat a customer's opportunities as one"
    )
    changed = sum(each.count for each in found.replay.reasons if each.changed == "message")
    if changed:
        yield f"{changed:,} contacts differ in the message alone: the estimate takes the text to have no effect"
    yield from describe_replay(found.replay)


def as_object(found: Backtest) -> dict[str, Any]:
    """Return a backtest as JSON values."""
    return {
        "replay": found.replay.replay_id,
        "from": found.replay.begin,
        "to": found.replay.end,
        "records": found.replay.records,
        "planned": asdict(found.planned),
        "recorded": asdict(found.recorded),
        "estimate": _as_object(found.estimate),
        "campaigns": [
            {
                "campaign": each.campaign,
                "planned": asdict(each.planned),
                "recorded": asdict(each.recorded),
                "estimate": _as_object(each.estimate),
            }
            for each in found.campaigns
        ],
        "rests_on": list(sentences(found)),
    }


def _as_object(found: Estimate) -> dict[str, Any]:
    return {
        "opportunities": found.opportunities,
        "supported": found.supported,
        "unsupported": {each.name.lower(): count for each, count in found.unsupported.items()},
        "effective_sample_size": found.effective,
        "is_enough": found.is_enough,
        "conversion": asdict(found.conversion) if found.conversion else None,
        "net_revenue": asdict(found.earned) if found.earned else None,
    }
