"""The API answers as its description says, whatever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.console.conftest import bearer

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture(scope="module")
def description(console: str) -> Any:
    """The API as it describes itself."""
    return schemathesis.openapi.from_url(f"{console}/api/v1/openapi.json")


described = schemathesis.pytest.from_fixture("description")


@described.parametrize()
@settings(max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_address_answers_as_described(case: schemathesis.Case, keys: Mapping[str, str]) -> None:
    """Also what contradicts the description is answered with a status and problem details."""
    case.call_and_validate(headers=bearer(keys["admin"]), checks=CHECKS)
