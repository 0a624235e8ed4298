"""The API answers as its description says, whatever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import schemathesis
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from console.cli import holdfast
from tests.console.conftest import bearer
from tests.served_console import serve_console

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


FEW = settings(max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_every_address_answers_as_described(environment: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Also what contradicts the description is answered with a status and problem details."""
    for command in (("topics", "create", "--partitions", "2"), ("messages", "migrate")):
        assert CliRunner().invoke(holdfast, command, env=dict(environment)).exit_code == 0
    wrong = []
    unhurried = {"HOLDFAST_CONSOLE_RATE_PER_MINUTE": "0", "HOLDFAST_CONSOLE_PATIENCE_S": "30"}
    with serve_console(environment, **unhurried) as console:
        described = schemathesis.openapi.from_url(f"{console}/api/v1/openapi.json", timeout=60)
        # Streams have no end.
        for operation in described.exclude(path_regex="/stream$").get_all_operations():
            try:
                ask(operation.ok(), bearer(keys["admin"]))
            except FailureGroup as failures:
                wrong.append(str(failures))
    assert wrong == [], "\n".join(wrong)


def ask(operation: schemathesis.APIOperation, headers: Mapping[str, str]) -> None:
    """Ask an address with a few examples of what it is described to take, and of what it is not."""

    @FEW
    @given(case=operation.as_strategy())
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=dict(headers), checks=CHECKS, timeout=30)

    check()
