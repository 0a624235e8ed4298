"""Ids that are decimals, as Kafka Connect writes them. Pure.

Connect's JSON converter writes a Decimal in base64, and its scale in the schema; Debezium writes one without a fixed
scale as a struct of scale and value.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from streams.formats.scalars import ScalarError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SCALE = 38
_DECIMAL = "org.apache.kafka.connect.data.Decimal"


def find_field(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the schema of a field of a struct, empty without one."""
    return next((each for each in schema.get("fields") or () if each.get("field") == name), {})


def resolve_decimal(value: object, schema: Mapping[str, Any]) -> object:
    """Return the integer that a decimal is, and any other value unchanged.

    Args:
        value: a field, a key, or Debezium's struct.
        schema: its schema, empty without one.

    Raises:
        ScalarError: it is no integer.
    """
    if isinstance(value, dict) and value.keys() == {"scale", "value"}:
        return _read(value["value"], int(value["scale"] or 0))
    # With `decimal.format=NUMERIC` a decimal is a number.
    if isinstance(value, str) and schema.get("name") == _DECIMAL:
        return _read(value, int((schema.get("parameters") or {}).get("scale", 0)))
    return value


def _read(text: object, scale: int) -> int:
    try:
        unscaled = int.from_bytes(b64decode(str(text), validate=True), "big", signed=True)
    except ValueError as error:
        raise ScalarError(f"is {text!r}, which is no number in base64") from error
    if not 0 <= scale <= MAX_SCALE:
        raise ScalarError(f"has scale {scale}; 0 to {MAX_SCALE} are read")
    whole, rest = divmod(unscaled, int(10**scale))
    if rest:
        raise ScalarError(f"has decimals ({unscaled} of scale {scale}); it must be an integer or text")
    return whole
