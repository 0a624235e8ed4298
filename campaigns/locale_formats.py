"""Numbers, money and dates as people of a locale write them, by Unicode's CLDR as Babel has it."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import UnknownCurrencyError, format_currency, format_decimal, validate_currency

DEFAULT_LOCALE = "en"
MAX_DIGITS = 6

DateStyle = Literal["short", "medium", "long", "full"]
STYLES: tuple[DateStyle, ...] = ("short", "medium", "long", "full")


@lru_cache(maxsize=64)
def read_locale(name: str) -> Locale:
    """Return a locale by a name such as de, de-AT or pt_BR.

    Raises:
        ValueError: there is none.
    """
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise ValueError(f"unknown locale {name!r}; write a language or a language and a country: en, de-AT") from error


def write_number(value: float, digits: int, locale: str) -> str:
    """Return a number with exactly so many digits after the decimal separator, and groups."""
    pattern = "#,##0" + ("." + "0" * check_digits(digits) if digits else "")
    return format_decimal(value, format=pattern, locale=read_locale(locale))


def write_money(value: float, currency: str, locale: str) -> str:
    """Return an amount with its currency, an ISO 4217 code, and as many digits as the currency has.

    Raises:
        ValueError: there is no such currency.
    """
    try:
        validate_currency(currency)
    except UnknownCurrencyError as error:
        raise ValueError(f"unknown currency {currency!r}; write its ISO code, as EUR") from error
    return format_currency(value, currency, locale=read_locale(locale))


def write_date(value: str, style: DateStyle, locale: str) -> str:
    """Return the date of ISO 8601 text; of a time its date as written, in the zone that it is written in.

    Raises:
        ValueError: the text is no date, or the style is unknown.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; there are: {', '.join(STYLES)}")
    return format_date(date.fromisoformat(value[:10]), style, locale=read_locale(locale))


def check_digits(digits: int) -> int:
    """Return a number of digits after the decimal separator.

    Raises:
        ValueError: it is not from 0 to `MAX_DIGITS`.
    """
    if not 0 <= digits <= MAX_DIGITS:
        raise ValueError(f"{digits} digits are asked for; 0 to {MAX_DIGITS} are allowed")
    return digits
