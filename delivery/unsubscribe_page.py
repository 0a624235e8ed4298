"""The page on which customers unsubscribe: GET asks, POST does it (RFC 8058).

Mail programs and filters open links on their own, so GET changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from campaigns.errors import LedgerUnavailableError
from delivery.courier import read_clock
from delivery.outcomes import OptOut, name_opt_out
from delivery.signatures import read_token
from streams.observability.probes import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from delivery.config import Unsubscribe
    from delivery.metrics import DeliveryFigures
    from delivery.ports import Deliveries
    from delivery.signatures import UnsubscribeClaim

log = structlog.get_logger()

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'",
}
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><h1>{title}</h1><p>{text}</p>{form}</html>
"""
FORM = '<form method="post"><button>Unsubscribe</button></form>'
LARGEST_BODY = 4_096
BUSY_S = "60"


class UnsubscribePage:
    """Serves the page.

    Args:
        deliveries: stores opt-outs.
        keys: the keys of the tokens.
        figures: counts opt-outs.
        clock: returns the time.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        keys: Sequence[bytes],
        figures: DeliveryFigures,
        *,
        clock: Callable[[], datetime] = read_clock,
    ) -> None:
        self._figures = figures
        self._deliveries = deliveries
        self._keys = keys
        self._clock = clock

    async def ask(self, request: web.Request) -> web.Response:
        """Show the question; change nothing."""
        self._read(request)
        return _show("Unsubscribe", "Do you want to receive no more of these e-mails?", FORM)

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """Store the opt-out; it is in force when this returns."""
        claim, at = self._read(request), self._clock()
        event_id = name_opt_out(claim.trigger_id, at)
        try:
            await self._deliveries.opt_out(OptOut(event_id, claim.customer_id, claim.channel, claim.trigger_id, at))
        except LedgerUnavailableError as error:
            log.warning("opt_out_not_stored", trigger_id=claim.trigger_id, error=error)
            raise web.HTTPServiceUnavailable(
                text="This did not work. Please try again in a minute.", headers={**HEADERS, "Retry-After": BUSY_S}
            ) from error
        self._figures.opt_outs += 1
        log.info("opt_out_stored", trigger_id=claim.trigger_id, channel=claim.channel)
        return _show("You are unsubscribed", "You will receive no more of these e-mails.")

    def _read(self, request: web.Request) -> UnsubscribeClaim:
        claim = read_token(self._keys, request.match_info["token"])
        if claim is None:
            raise web.HTTPNotFound(text="This link is not valid. Please use the one in our e-mail.", headers=HEADERS)
        return claim


def _show(title: str, text: str, form: str = "") -> web.Response:
    page = PAGE.format(title=title, text=text, form=form)
    return web.Response(text=page, content_type="text/html", headers=HEADERS)


async def serve_page(page: UnsubscribePage, config: Unsubscribe) -> tuple[web.AppRunner, int]:
    """Serve the page under any path that ends with a token; return the server and its port.

    Raises:
        SettingsError: the address cannot be used.
    """
    app = web.Application(client_max_size=LARGEST_BODY)
    path = "/{path:(?:.*/)?}{token:[^/]+}"
    app.add_routes([web.get(path, page.ask), web.post(path, page.unsubscribe)])
    return await serve(app, config.host, config.port, setting="delivery.json: $.unsubscribe")
