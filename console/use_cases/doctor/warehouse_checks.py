"""Checks of the warehouse's view against the definitions and the models, and of the role that reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from console.use_cases.doctor.findings import error, note, warning
from console.use_cases.doctor.ledger_checks import compare_clocks, find_headroom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from console.use_cases.doctor.findings import Finding
    from console.use_cases.doctor.inspection import WarehouseFacts
    from streams.settings import Settings

NULL_CONSENT = 0.2
CLOCKS_S = 1.0
SHOWN = 5


def check_facts(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """Every fact that rules, messages and offers read is known."""
    for problem in warehouse.report.problems:
        yield error(
            "fact-unknown", problem, "No worker starts.", "add the column to the view, or correct the definition"
        )


def check_missing(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """The view has what scores and first evaluations need."""
    for sentence in warehouse.report.missing:
        if sentence not in warehouse.report.silent:
            yield note(
                "column-missing",
                f"{warehouse.report.view}: {sentence}",
                "What depends on it is unknown, or has its default.",
                "add the column to the view; holdfast warehouse check",
            )


def check_consent(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """Every campaign can contact someone, and consent is known of most customers."""
    for sentence in warehouse.report.silent:
        yield warning(
            "consent-missing",
            sentence,
            "Without another channel its decisions are withheld as no_consented_channel.",
            "name the column in channels.json (consent_column, consent_values, purposes), or add it to the view",
        )
    for each in warehouse.report.sample.consent:
        if each.customers and each.unknown / each.customers > NULL_CONSENT:
            yield warning(
                "consent-null",
                f"{each.column}: {each.unknown:,} of {each.customers:,} sampled customers have no value",
                "They are not contacted: null is no consent.",
                "fill the column in the view where consent is known",
            )
        if each.unreadable:
            values = ", ".join(f"{count:,} {value}" for value, count in islice(each.unreadable.items(), SHOWN))
            yield warning(
                "consent-unreadable",
                f"{each.column}: values that are neither consent nor its denial: {values}",
                "These customers are not contacted.",
                "list the values in consent_values of channels.json",
            )


def check_values(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """The values of the view can be read."""
    sample = warehouse.report.sample
    for column, count in sample.unreadable.items():
        yield warning(
            "values-unreadable",
            f"{column}: {count:,} of {sample.rows:,} sampled values cannot be read",
            "They count as null.",
            "let the view return text, or a number below 2^53",
        )
    if sample.error:
        yield warning(
            "rows-unchecked",
            f"the rows of {warehouse.report.view} were not all checked: {sample.error}",
            "Consent, duplicate rows and unreadable values are unknown.",
            "correct the view, and run this again",
        )


def check_duplicates(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """Every customer has one row."""
    count = warehouse.report.sample.duplicates
    if count:
        yield error(
            "customer-duplicated",
            f"{warehouse.report.view}: customers with more than one row: {count:,}",
            "Their events become dead letters (duplicate_customer).",
            f"let the view return one row for each {settings.customer_id_column}",
        )


def check_rules(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """The rules of segments fit the types of the view, and hold for no customer of whom nothing is known."""
    known = set(warehouse.report.problems)
    for verdict in warehouse.verdicts:
        for problem in verdict.problems:
            if problem not in known:
                yield error(
                    "rule-mismatched", problem, "The rule holds for no customer, or for all.", "holdfast segments check"
                )
        for said in verdict.notes:
            yield note("rule-holds-for-null", said, "It may be meant.", "holdfast segments check")


def check_models(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """Every promoted model can serve on this view."""
    for sentence in warehouse.refused_models:
        yield warning(
            "model-unusable",
            sentence,
            "An earlier version or rules decide; triggers name the basis.",
            "holdfast models verify; holdfast models rollback TASK, or train again",
        )


def check_private(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """The private columns exist, and the role cannot read them."""
    if unknown := warehouse.unknown_private:
        yield warning(
            "private-column-unknown",
            f"HOLDFAST_PRIVATE_COLUMNS names {', '.join(unknown)}, which {settings.features_table} does not have",
            "A column with a mistyped name is read, cached and shown.",
            "correct HOLDFAST_PRIVATE_COLUMNS",
        )
    if warehouse.role is not None and warehouse.role.readable_private:
        names = ", ".join(warehouse.role.readable_private)
        yield note(
            "private-column-readable",
            f"role {warehouse.role.name} may read the private columns {names}",
            "Holdfast does not select them; the server would not stop others with this password.",
            f"REVOKE SELECT on {settings.features_table}, and GRANT SELECT (…) on the other columns",
        )


def check_role(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """The role can only read."""
    for said in warehouse.role.excessive if warehouse.role else ():
        yield warning(
            "warehouse-rights-excessive",
            f"role {warehouse.role.name if warehouse.role else ''} of HOLDFAST_WAREHOUSE_URL {said}",
            "Holdfast only reads; with this role a fault or an intruder may change the warehouse.",
            f"CREATE ROLE holdfast_reader LOGIN PASSWORD '…'; GRANT SELECT ON {settings.features_table} TO "
            "holdfast_reader; use it in HOLDFAST_WAREHOUSE_URL",
        )


def check_server(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """Clock and connections of the server."""
    if warehouse.server is not None:
        yield from compare_clocks("warehouse", warehouse.server)
        yield from find_headroom("warehouse", warehouse.server)


def check_change_times(settings: Settings, warehouse: WarehouseFacts) -> Iterator[Finding]:
    """No row was changed in the future."""
    newest = warehouse.newest_change
    ahead = (newest - datetime.now(UTC)).total_seconds() if newest else 0.0
    if ahead > CLOCKS_S:
        yield warning(
            "clock-of-rows",
            f"{settings.updated_at_column}: a row was changed {ahead:.1f} s after now, by this machine's clock",
            "Rows count as newer than their events, so a replica that lags is not noticed.",
            f"let the clocks agree, or {settings.updated_at_column} have a time zone (timestamptz)",
        )


CHECKS: Sequence[Callable[[Settings, WarehouseFacts], Iterator[Finding]]] = (
    check_facts,
    check_missing,
    check_consent,
    check_values,
    check_duplicates,
    check_rules,
    check_models,
    check_private,
    check_role,
    check_server,
    check_change_times,
)
