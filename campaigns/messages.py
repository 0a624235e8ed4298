"""Personalised messages from sandboxed templates."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from campaigns.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jinja2 import Template

MAX_MESSAGE_CHARACTERS = 2_000

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
# range() is the one built-in with which a template could spin: a message needs no loops over numbers.
_ENVIRONMENT.globals.clear()


@lru_cache(maxsize=1024)
def compile_message(source: str) -> Template:
    """Compile a template.

    Raises:
        MessageError: its syntax is wrong; the message says where.
    """
    try:
        return _ENVIRONMENT.from_string(source)
    except TemplateError as error:
        raise MessageError(f"the message template does not compile: {error}") from error


def render_message(source: str, facts: Mapping[str, Any]) -> str:
    """Fill a template with one customer's facts.

    Raises:
        MessageError: the template uses a fact that does not exist, does what the sandbox forbids, or grows too long.
    """
    try:
        text = compile_message(source).render(facts)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise MessageError(f"the message cannot be written: {error}") from error
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise MessageError(f"the message has {len(text):,} characters; {MAX_MESSAGE_CHARACTERS:,} are allowed")
    return text
