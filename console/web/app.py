"""The console as an ASGI application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from console.access.postgres_accounts import PostgresAccounts
from console.web.api import campaigns as campaign_api
from console.web.api import customers as customer_api
from console.web.api import segments as segment_api
from console.web.api import status as status_api
from console.web.context import WebContext
from console.web.fact_catalogue import FactCatalogue
from console.web.middleware import BodyLimit, SecurityHeaders
from console.web.pages import campaigns, overview, segment_editor, segments, sign_in
from console.web.pages import customers as customer_pages
from console.web.problems import install_handlers
from console.web.rendering import STATIC
from console.web.sign_in_limits import SignInLimits
from console.web.status_watch import StatusWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streams.settings import Settings

API = (status_api, customer_api, segment_api, campaign_api)
PAGES = (sign_in, overview, customer_pages, segment_editor, segments, campaigns)
V1 = "/api/v1"
DESCRIPTION = """Decisions, reasons, segments, campaigns, models and operations of Holdfast.

Send an API key as `Authorization: Bearer hf_...`. Errors are problem details (RFC 9457)."""


def build_app(settings: Settings, *, is_open: bool, hosts: Sequence[str]) -> FastAPI:
    """Build the application.

    Args:
        settings: of the deployment.
        is_open: nobody must sign in; only for a loopback address.
        hosts: the names in addresses that the console answers to; any other is refused, so that no page of another
            site can reach it by a name of its own (DNS rebinding).
    """
    context = WebContext(
        settings,
        PostgresAccounts(settings.ledger_url),
        is_open,
        StatusWatch(settings),
        SignInLimits(),
        FactCatalogue(settings),
    )

    @asynccontextmanager
    async def open_accounts(_: FastAPI) -> AsyncIterator[None]:
        context.accounts.open()
        yield
        context.accounts.close()

    app = FastAPI(
        title="Holdfast",
        version="1",
        description=DESCRIPTION,
        openapi_url=f"{V1}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=open_accounts,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
            Middleware(BodyLimit),
        ],
    )
    app.state.context = context
    install_handlers(app)
    for resource in API:
        app.include_router(resource.router, prefix=V1)
    for part in PAGES:
        app.include_router(part.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app
