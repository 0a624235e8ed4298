"""A campaign's definition as the fields of a form, and what the buttons of the form do to it. Pure.

What a form can draw becomes fields; everything else stays as JSON next to them, so every definition comes back as it
was. A field's name is what it holds and the place of its part, as `name:c` of the campaign and `key:v0` of its first
variant. A browser sends the fields back as they are, so no state is kept between two requests.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from campaigns.definition import Campaign
from campaigns.variants import MOST
from console.web.errors import InvalidRequestError
from segments.rule_tree import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PLACE = "c"
"""The place of the campaign itself; its variants are `v0`, `v1` and so on."""
LINES = (
    "key",
    "name",
    "segment",
    "launch",
    "event",
    "purpose",
    "locale",
    "locale_column",
    "holdout_group",
    "offer_policy",
)
PARAGRAPHS = ("description",)
NUMBERS = (
    "share",
    "priority",
    "holdout_percent",
    "exploration_percent",
    "uplift_exploration_percent",
    "cooldown_days",
    "valid_days",
    "recommendation_days",
    "reasons",
)
SWITCHES = ("ignore_limits", "competes")
BREAKER = ("contacts", "hours")
LISTS = ("channels", "offers")
TEXTS = ("message", "subject")
_OF_CAMPAIGN = (*LINES, *PARAGRAPHS, *NUMBERS, *SWITCHES, *(f"breaker_{each}" for each in BREAKER))
OF_VARIANTS = frozenset({"key", "share", *TEXTS, "offers"})
MOST_ROWS = 100
Row = TypeVar("Row")
_WORDS = {"true": True, "false": False}
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_NO_LINE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NO_PARAGRAPH = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_DO = re.compile(r"(add|remove|up) (?:(message|subject) (c|v\d{1,3})(?: (\d{1,3}))?|variant(?: (\d{1,3}))?)")


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a message or a subject.

    Attributes:
        channel: empty for all channels.
        locale: empty for all customers.
    """

    channel: str = ""
    locale: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A campaign, or one of its variants, as far as a form can draw it.

    Attributes:
        fields: what is entered, by name; empty or missing where the definition leaves it out.
        lists: likewise, one text for each element.
        texts: likewise.
        rest: what the form cannot draw, as a JSON object; empty without any.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    rest: str = ""


@dataclass(frozen=True, slots=True)
class CampaignForm:
    """A campaign that is being edited.

    Attributes:
        part: the campaign without its variants.
        variants: its variants.
        order: the names of the definition, in its order.
    """

    part: Part
    variants: tuple[Part, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def places(self) -> Iterator[tuple[str, Part]]:
        """Its parts and their places."""
        yield PLACE, self.part
        yield from ((f"v{number}", each) for number, each in enumerate(self.variants))

    def at(self, place: str) -> Part | None:
        """Return the part at a place, None where there is none."""
        return dict(self.places).get(place)

    def put(self, place: str, part: Part) -> CampaignForm:
        """Return the form with another part at a place."""
        if place == PLACE:
            return replace(self, part=part)
        number = int(place[1:])
        return replace(self, variants=(*self.variants[:number], part, *self.variants[number + 1 :]))


NEW = CampaignForm(Part(texts={"message": (Text(),)}))


def draw_campaign(content: Mapping[str, Any]) -> CampaignForm:
    """Return the form of a definition."""
    variants = content.get("variants")
    known = frozenset(Campaign.model_fields)
    if isinstance(variants, list) and 0 < len(variants) <= MOST and all(isinstance(each, dict) for each in variants):
        others = {name: value for name, value in content.items() if name != "variants"}
        drawn = tuple(_draw_part(each, OF_VARIANTS) for each in variants)
    else:
        others, drawn = dict(content), ()
    return CampaignForm(_draw_part(others, known), drawn, tuple(name for name in content if name in known))


def _draw_part(content: Mapping[str, Any], known: frozenset[str]) -> Part:
    fields: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    texts: dict[str, tuple[Text, ...]] = {}
    rest: dict[str, Any] = {}
    for name, value in content.items():
        if name not in known:
            rest[name] = value
        elif name in LISTS and (row := _draw_list(name, value)):
            lists[name] = row
        elif name in TEXTS and (rows := _draw_texts(value)):
            texts[name] = rows
        elif name not in LISTS + TEXTS and (drawn := _draw_field(name, value)):
            fields |= drawn
        else:
            rest[name] = value
    return Part(fields, lists, texts, write_json(rest, indent=2) if rest else "")


def _draw_field(name: str, value: Any) -> dict[str, str] | None:
    """Return the fields that hold a value; None where there are none."""
    if name == "breaker":
        return _draw_breaker(value)
    text = _draw_value(name, value)
    return None if text is None else {name: text}


def _draw_breaker(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict) or not value.keys() <= set(BREAKER):
        return None
    shown = {f"breaker_{each}": _draw_number(number) for each, number in value.items()}
    drawn = {each: text for each, text in shown.items() if text is not None}
    return drawn if len(drawn) == len(shown) else None


def _draw_value(name: str, value: Any) -> str | None:
    if name in NUMBERS:
        return _draw_number(value)
    if name in SWITCHES:
        return str(value).lower() if isinstance(value, bool) else None
    if name in PARAGRAPHS:
        return _draw_text(value, _NO_PARAGRAPH)
    return _draw_text(value, _NO_LINE) if name in LINES else None


def _draw_number(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return json.dumps(value) if is_number and math.isfinite(value) else None


def _draw_integer(value: Any) -> str | None:
    return _draw_number(value) if isinstance(value, int) else None


def _draw_text(value: Any, refused: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and value and not refused.search(value) else None


def _draw_list(name: str, value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list) or len(value) > MOST_ROWS:
        return None
    elements = [_draw_integer(each) if name == "offers" else _draw_text(each, _NO_LINE) for each in value]
    known = tuple(each for each in elements if each)
    return known if len(known) == len(value) else None


def _draw_texts(value: Any) -> tuple[Text, ...] | None:
    """Return the rows of a text, or of texts by channel and locale; None where they cannot be drawn."""
    rows = list(_list_texts(value))
    if not rows or len(rows) > MOST_ROWS or None in rows:
        return None
    return tuple(each for each in rows if each)


def _list_texts(value: Any) -> Iterator[Text | None]:
    if not isinstance(value, dict):
        yield _draw_row("", "", value)
        return
    for channel, texts in value.items():
        if not _draw_text(channel, _NO_LINE) or texts in ({}, ""):
            yield None
        elif not isinstance(texts, dict):
            yield _draw_row(channel, "", texts)
        else:
            for locale, text in texts.items():
                yield _draw_row(channel, locale, text) if _draw_text(locale, _NO_LINE) else None


def _draw_row(channel: str, locale: str, text: Any) -> Text | None:
    drawn = _draw_text(text, _NO_PARAGRAPH)
    return None if drawn is None else Text(channel, locale, drawn)


def build_campaign(form: CampaignForm) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the definition of a form, and what is wrong with the form by the field's name."""
    wrong: dict[str, str] = {}
    content = _build_part(form.part, PLACE, wrong)
    if form.variants:
        if "variants" in content:
            wrong[f"rest:{PLACE}"] = _twice("variants")
        content["variants"] = [_build_part(each, f"v{n}", wrong) for n, each in enumerate(form.variants)]
    order = {name: number for number, name in enumerate(form.order)}
    return {name: content[name] for name in sorted(content, key=lambda each: order.get(each, len(order)))}, wrong


def _build_part(part: Part, place: str, wrong: dict[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, text in part.fields.items():
        if text and not name.startswith("breaker_"):
            content[name] = _read_value(name, text)
    breaker = {each: _read_number(entry) for each in BREAKER if (entry := part.fields.get(f"breaker_{each}"))}
    if breaker:
        content["breaker"] = breaker
    for name, entered in part.lists.items():
        if elements := [_read_integer(each) if name == "offers" else each for each in entered if each]:
            content[name] = elements
    for name, rows in part.texts.items():
        if (texts := _build_texts(name, rows, place, wrong)) is not None:
            content[name] = texts
    return content | _read_rest(part.rest, place, content, wrong)


def _read_value(name: str, text: str) -> Any:
    if name in NUMBERS:
        return _read_number(text)
    return _WORDS.get(text, text) if name in SWITCHES else text


def _read_number(text: str) -> int | float | str:
    """Return the number that is entered; the text itself where it is none, for the check of definitions to refuse."""
    entered = text.strip()
    if not _NUMBER.fullmatch(entered):
        return entered
    try:
        number: int | float = json.loads(entered)
    except ValueError:
        return entered
    return number if math.isfinite(number) else entered


def _read_integer(text: str) -> int | str:
    number = _read_number(text)
    return number if isinstance(number, int) else text


def _build_texts(name: str, rows: Sequence[Text], place: str, wrong: dict[str, str]) -> Any:
    """Return a text, or texts by channel and locale; None without any. Rows without text are left out."""
    entered = [(number, each) for number, each in enumerate(rows) if each.text]
    if len(entered) == 1 and not entered[0][1].channel and not entered[0][1].locale:
        return entered[0][1].text
    texts: dict[str, Any] = {}
    for number, row in entered:
        if problem := _find_clash(row, texts):
            wrong[f"{name}-{number}:{place}"] = problem
        elif row.locale:
            texts.setdefault(row.channel, {})[row.locale] = row.text
        else:
            texts[row.channel] = row.text
    return texts or None


def _find_clash(row: Text, texts: Mapping[str, Any]) -> str | None:
    """Return why a row cannot stand next to those before it."""
    if not row.channel:
        return "choose a channel: a text for all channels stands alone, without a language"
    others = texts.get(row.channel)
    if others is None:
        return None
    if not row.locale or isinstance(others, str):
        return f"{row.channel} has several texts; give each a language of its own, or remove one"
    return f"{row.channel} has another text in {row.locale}" if row.locale in others else None


def _read_rest(text: str, place: str, content: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        rest = read_json(text)
    except ValueError as error:
        wrong[f"rest:{place}"] = str(error)
        return {}
    if not isinstance(rest, dict):
        wrong[f"rest:{place}"] = "this must be a JSON object: { … }"
        return {}
    if twice := [name for name in rest if name in content]:
        wrong[f"rest:{place}"] = _twice(twice[0])
    return rest


def _twice(name: str) -> str:
    return f"{name} is in the fields, too; leave it out here, or empty the field"


def read_fields(fields: Mapping[str, str]) -> CampaignForm:
    """Return the form of fields, as a browser sends them; unknown ones are left out.

    Raises:
        InvalidRequestError: there are too many variants or rows.
    """
    names = frozenset(Campaign.model_fields)
    part = _read_part(fields, PLACE, _OF_CAMPAIGN)
    variants: list[Part] = []
    while f"variant:v{len(variants)}" in fields:
        variants.append(_read_part(fields, f"v{len(variants)}", ("key", "share")))
    if len(variants) > MOST_ROWS:
        raise InvalidRequestError(f"the form has more than {MOST_ROWS} variants")
    order = tuple(each for each in fields.get("order", "").split(",") if each in names)
    return CampaignForm(part, tuple(variants), order)


def _read_part(fields: Mapping[str, str], place: str, names: Sequence[str]) -> Part:
    entered = {name: text.replace("\r\n", "\n") for name in names if (text := fields.get(f"{name}:{place}"))}
    lists = {name: tuple(_read_rows(fields, name, place)) for name in LISTS}
    texts = {
        name: tuple(
            Text(
                fields.get(f"{name}-{number}-channel:{place}", ""),
                fields.get(f"{name}-{number}-locale:{place}", ""),
                text.replace("\r\n", "\n"),
            )
            for number, text in enumerate(_read_rows(fields, name, place))
        )
        for name in TEXTS
    }
    return Part(entered, lists, texts, fields.get(f"rest:{place}", ""))


def _read_rows(fields: Mapping[str, str], name: str, place: str) -> Iterator[str]:
    number = 0
    while (text := fields.get(f"{name}-{number}:{place}")) is not None:
        if number >= 2 * MOST_ROWS:
            raise InvalidRequestError(f"the form has more than {2 * MOST_ROWS} rows of {name}")
        yield text
        number += 1


def write_fields(form: CampaignForm) -> dict[str, str]:
    """Return the fields of a form by name, as the page has them."""
    fields = {"order": ",".join(form.order)}
    for place, part in form.places:
        if place != PLACE:
            fields[f"variant:{place}"] = "1"
        fields |= {f"{name}:{place}": text for name, text in part.fields.items()}
        for name, elements in part.lists.items():
            fields |= {f"{name}-{number}:{place}": each for number, each in enumerate(elements)}
        for name, rows in part.texts.items():
            for number, row in enumerate(rows):
                fields[f"{name}-{number}:{place}"] = row.text
                fields[f"{name}-{number}-channel:{place}"] = row.channel
                fields[f"{name}-{number}-locale:{place}"] = row.locale
        fields[f"rest:{place}"] = part.rest
    return fields


def list_fields(form: CampaignForm) -> list[str]:
    """Return the names of what a problem can be said of."""
    texts = [
        f"{name}-{number}:{place}"
        for place, part in form.places
        for name in TEXTS
        for number in range(len(part.texts.get(name, ())))
    ]
    whole = [f"{name}:{PLACE}" for name in (*_OF_CAMPAIGN, *LISTS, *TEXTS, "variants", "rest") if name != "share"]
    varied = [f"{name}:v{n}" for n in range(len(form.variants)) for name in (*sorted(OF_VARIANTS), "rest")]
    return [*whole, *varied, *texts]


def is_entered(form: CampaignForm, name: str) -> bool:
    """Return whether the field of a problem has something in it."""
    field_name, _, place = name.partition(":")
    part = form.at(place)
    if part is None or field_name in {"rest", "variants"}:
        return True
    if field_name in LISTS:
        return any(part.lists.get(field_name, ()))
    if field_name in TEXTS:
        return any(each.text for each in part.texts.get(field_name, ()))
    return field_name not in _OF_CAMPAIGN or bool(part.fields.get(field_name))


def apply_button(form: CampaignForm, button: str) -> CampaignForm:
    """Return the form after a button was pressed; one that changes nothing leaves it as it is."""
    found = _DO.fullmatch(button)
    if found is None:
        return form
    action, name, place, row, variant = found.groups()
    if name is None:
        return replace(form, variants=_change(form.variants, action, variant, Part()))
    part = form.at(place)
    if part is None:
        return form
    rows = _change(part.texts.get(name, ()), action, row, Text())
    return form.put(place, replace(part, texts={**part.texts, name: rows}))


def _change(rows: tuple[Row, ...], action: str, number: str | None, new: Row) -> tuple[Row, ...]:
    if action == "add":
        return (*rows, new)
    place = int(number) if number else 0
    if place >= len(rows) or number is None:
        return rows
    others = (*rows[:place], *rows[place + 1 :])
    if action == "remove":
        return others
    above = max(place - 1, 0)
    return (*others[:above], rows[place], *others[above:])


def find_problems(said: str, key: str, form: CampaignForm) -> dict[str, str]:
    """Return the problems of a refused definition by the name of their field; the name is empty where there is none.

    Args:
        said: what the check of definitions said, as `campaign spring: $.segment names …; $.priority: …`.
        key: of the campaign.
        form: the fields that there are.
    """
    prefix = f"campaign {key}: "
    parts = re.split(rf"(?:^|; )(?={re.escape(prefix)}|\$\.)", said)
    found: dict[str, list[str]] = {}
    for each in filter(None, parts):
        place, problem = _find_field(each.removeprefix(prefix), form)
        found.setdefault(place, []).append(problem if place else each)
    return {place: "; ".join(problems) for place, problems in found.items()}


def _find_field(problem: str, form: CampaignForm) -> tuple[str, str]:
    """Return the name of the field that a problem is about, and the problem without its place."""
    found = re.match(r"\$\.(?:variants\[(\d+)\]\.)?(\w+)(?:\.(\w+)|\[\d+\])?:? ?(.*)", problem, re.DOTALL)
    if found is None:
        return "", problem
    number, name, inner, said = found.groups()
    place = PLACE if number is None else f"v{number}"
    part = form.at(place)
    if part is None or name not in OF_VARIANTS | Campaign.model_fields.keys():
        return "", problem
    if name == "breaker":
        return f"breaker_{inner if inner in BREAKER else BREAKER[0]}:{place}", said
    for row, each in enumerate(part.texts.get(name, ())):
        where = ".".join(filter(None, (each.channel, each.locale)))
        if where and said.startswith(f"{where}: "):
            return f"{name}-{row}:{place}", said.removeprefix(f"{where}: ")
    return f"{name}:{place}", said
