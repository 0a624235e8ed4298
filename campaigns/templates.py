"""The templates of a campaign: one text, or one for each channel, and of these one for each locale. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import PlainValidator, WithJsonSchema

from campaigns.errors import MessageError
from campaigns.locale_formats import read_locale
from campaigns.messages import OFFER_FIELDS, clean_text, read_template

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MAX_TEMPLATE_CHARACTERS = 10_000

TextByLocale = str | Mapping[str, str]


class _Place(NamedTuple):
    """Where a text stands in a definition: the channel and the locale, empty where the text is for all."""

    channel: str
    locale: str

    def __str__(self) -> str:
        return ".".join(filter(None, self))


@dataclass(frozen=True, slots=True)
class Template:
    """A text, or one for each locale.

    Attributes:
        sources: the locale as it is written and the text, by the locale's tag in lower case.
        fallback: the tag of the text for customers whose locale is null, unknown, or without a text of its own.
        only: the locale and the text, where there is one for all customers.
    """

    sources: Mapping[str, tuple[str, str]]
    fallback: str
    only: tuple[str, str] | None = field(init=False)

    def __post_init__(self) -> None:
        """Find whether there is a choice, once."""
        object.__setattr__(self, "only", None if len(self.sources) > 1 else self.sources[self.fallback])

    def choose(self, stated: object) -> tuple[str, str]:
        """Return the locale and the text for a customer.

        It is the text of the locale that the customer's row states or, as in RFC 4647, section 3.4, of the longest
        beginning of it: the text of `de` for `de-AT`.

        Args:
            stated: the locale, in any case, with `-` or `_`: `de`, `de_AT`, `de_AT.UTF-8`.
        """
        if isinstance(stated, str):
            parts = _tag(stated.strip().partition(".")[0]).split("-")
            for length in range(len(parts), 0, -1):
                if found := self.sources.get("-".join(parts[:length])):
                    return found
        return self.sources[self.fallback]


def check_texts(texts: Any) -> Any:
    """Return the texts of a definition in one order, whichever order they are written in.

    Raises:
        ValueError: they are neither a text nor texts by channel, each of them one or one by locale; a text does not
            compile; a locale does not exist.
    """
    for place, source in _list_texts(texts):
        _check_text(place, source)
    return _in_order(texts)


def check_subjects(texts: Any) -> Any:
    """Return the texts of a definition's subject, as check_texts does.

    Raises:
        ValueError: as check_texts, or a text has a line break.
    """
    checked = check_texts(texts)
    for place, source in _list_texts(texts):
        if clean_text(source) != source:
            raise ValueError(_at(place, "a subject has no line breaks, tabs and control characters"))
    return checked


_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEMPLATE_CHARACTERS}
_BY_LOCALE = {"anyOf": [_TEXT, {"type": "object", "minProperties": 1, "additionalProperties": _TEXT}]}
_SCHEMA = {"anyOf": [_TEXT, {"type": "object", "minProperties": 1, "additionalProperties": _BY_LOCALE}]}

Texts = Annotated[str | Mapping[str, TextByLocale], PlainValidator(check_texts), WithJsonSchema(_SCHEMA)]
"""A text, or a text by channel, each of which may be texts by locale."""
Subjects = Annotated[str | Mapping[str, TextByLocale], PlainValidator(check_subjects), WithJsonSchema(_SCHEMA)]
"""The same for subjects."""


def read_templates(
    texts: str | Mapping[str, TextByLocale], channels: Collection[str], locale: str
) -> dict[str, Template]:
    """Return the templates by channel.

    Args:
        texts: as the definition has them.
        channels: the channels for which one text holds; of several, those that the definition names are returned.
        locale: the campaign's: of one text, and of customers without a text of their own.

    Raises:
        ValueError: the texts of a channel lack the campaign's locale.
    """
    by_channel = dict.fromkeys(channels, texts) if isinstance(texts, str) else texts
    return {channel: _read_template(channel, each, locale) for channel, each in by_channel.items()}


def _read_template(channel: str, texts: Any, locale: str) -> Template:
    by_locale = {locale: texts} if isinstance(texts, str) else texts
    sources = {_tag(name): (name, source) for name, source in by_locale.items()}
    if _tag(locale) not in sources:
        raise ValueError(f"{channel} has no text for {locale!r}, the campaign's locale; it has: {', '.join(by_locale)}")
    return Template(sources, _tag(locale))


def has_locales(texts: str | Mapping[str, TextByLocale] | None) -> bool:
    """Return whether there are texts by locale."""
    return isinstance(texts, Mapping) and any(isinstance(each, Mapping) for each in texts.values())


def find_facts(texts: str | Mapping[str, TextByLocale] | None) -> frozenset[str]:
    """Return the names of the customer's facts that any of the texts reads."""
    sources = () if texts is None else (source for _, source in _list_texts(texts))
    return frozenset[str]().union(*(read_template(source).facts for source in sources))


def find_offer_fields(texts: str | Mapping[str, TextByLocale] | None) -> frozenset[str]:
    """Return the fields of the offer that any of the texts reads."""
    sources = () if texts is None else (source for _, source in _list_texts(texts))
    return frozenset[str]().union(*(read_template(source).offer_fields for source in sources))


def _list_texts(texts: Any) -> Iterator[tuple[_Place, Any]]:
    if not isinstance(texts, Mapping):
        yield _Place("", ""), texts
        return
    for channel, by_locale in _items(texts, "channel"):
        if not isinstance(by_locale, Mapping):
            yield _Place(channel, ""), by_locale
            continue
        _refuse_same_locale(channel, [name for name, _ in _items(by_locale, f"locale of {channel}")])
        for locale, source in by_locale.items():
            yield _Place(channel, locale), source


def _items(texts: Mapping[Any, Any], what: str) -> Collection[tuple[str, Any]]:
    if not texts:
        raise ValueError(f"there are no texts; write one for each {what}")
    return texts.items()


def _refuse_same_locale(channel: str, locales: Collection[str]) -> None:
    tags: dict[str, str] = {}
    for locale in locales:
        read_locale(locale)
        if (other := tags.setdefault(_tag(locale), locale)) != locale:
            raise ValueError(f"{channel} has two texts of one locale, {other!r} and {locale!r}")


def _check_text(place: _Place, source: Any) -> None:
    if not isinstance(source, str):
        wanted = "a text is needed, or texts by channel, each of which may be texts by locale"
        raise ValueError(_at(place, wanted))  # noqa: TRY004 - pydantic reports ValueErrors only
    if not 1 <= len(source) <= MAX_TEMPLATE_CHARACTERS:
        raise ValueError(
            _at(place, f"a text has at least 1 character and {MAX_TEMPLATE_CHARACTERS:,} at most, not {len(source):,}")
        )
    try:
        template = read_template(source)
    except MessageError as error:
        raise ValueError(_at(place, str(error))) from error
    if unknown := sorted(template.offer_fields - set(OFFER_FIELDS)):
        fields = f"an offer has no {unknown[0]!r} for messages; it has: {', '.join(OFFER_FIELDS)}"
        raise ValueError(_at(place, fields))


def _in_order(texts: Any) -> Any:
    if not isinstance(texts, Mapping):
        return texts
    return {name: _in_order(texts[name]) for name in sorted(texts)}


def _at(place: _Place, problem: str) -> str:
    return f"{place}: {problem}" if any(place) else problem


def _tag(locale: str) -> str:
    return locale.replace("_", "-").lower()
