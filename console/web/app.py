"""The console as an ASGI application."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from campaigns.postgres_connections import keep_connections
from console.access.openid_provider import OpenIdProvider
from console.access.postgres_accounts import PostgresAccounts
from console.errors import AccessError
from console.jobs.postgres_jobs import PostgresJobs
from console.jobs.supervisor import JobSupervisor
from console.use_cases.ledger import keep_ledger
from console.web.analytics_watch import AnalyticsWatch
from console.web.api import campaigns as campaign_api
from console.web.api import care as care_api
from console.web.api import customers as customer_api
from console.web.api import dead_letters as dead_letter_api
from console.web.api import intelligence, loyalty, predictions, streams
from console.web.api import jobs as job_api
from console.web.api import models as model_api
from console.web.api import operations as operations_api
from console.web.api import segments as segment_api
from console.web.api import status as status_api
from console.web.context import WebContext
from console.web.fresh_value import FreshValue
from console.web.idempotency import IdempotencyKeys
from console.web.kept_figures import KeptFigures
from console.web.live_feed import LiveFeed
from console.web.middleware import BodyLimit, SecurityHeaders
from console.web.pages import (
    access,
    analytics,
    campaign_editor,
    campaigns,
    care,
    health,
    live,
    openid,
    overview,
    segment_editor,
    segments,
    sign_in,
)
from console.web.pages import customers as customer_pages
from console.web.pages import jobs as job_pages
from console.web.pages import models as model_pages
from console.web.pages import operations as operations_pages
from console.web.prediction_desk import PredictionDesk
from console.web.problems import RESPONSES, install_handlers
from console.web.rate_limits import RateLimits
from console.web.rendering import STATIC
from console.web.shared_values import share_facts, share_status
from console.web.sign_in_limits import SignInLimits
from console.web.struct_types import build_struct_types
from console.web.together import Together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from streams.settings import Settings

API = (
    *(status_api, customer_api, care_api, predictions, intelligence, streams),
    *(segment_api, campaign_api, dead_letter_api, operations_api, job_api, model_api),
)
PAGES = (
    *(sign_in, openid, overview, live, customer_pages, care, segment_editor, segments, campaign_editor, campaigns),
    *(analytics, model_pages, job_pages, operations_pages, access, health),
)
V1 = "/api/v1"
READY_FRESH_S = 1.0
DESCRIPTION = """Decisions, reasons, segments, campaigns, models and operations of Holdfast.

Send an API key as `Authorization: Bearer hf_...`. Errors are problem details (RFC 9457).

A POST with the header `Idempotency-Key` is done once: for 24 hours a repetition gets the stored answer, with the header
`Idempotent-Replayed: true`. Too many requests get 429 with `Retry-After`."""


def build_app(settings: Settings, *, is_open: bool, hosts: Sequence[str]) -> FastAPI:
    """Build the application.

    Args:
        settings: of the deployment.
        is_open: no sign-in is needed; only for a loopback address.
        hosts: the names in addresses that the console answers to; any other is refused, so that no page of another
            site can reach it by a name of its own (DNS rebinding).
    """
    build_struct_types()
    accounts, jobs = PostgresAccounts(settings.ledger_url), PostgresJobs(settings.ledger_url)
    context = WebContext(
        settings,
        accounts,
        Together(accounts.find_keys),
        Together(accounts.record_views),
        is_open,
        share_status(settings),
        SignInLimits(accounts),
        RateLimits(settings.console_rate_per_minute),
        PredictionDesk(settings),
        LiveFeed(settings),
        AnalyticsWatch(settings),
        KeptFigures(),
        share_facts(settings),
        FreshValue(lambda _: accounts.check(), fresh_s=READY_FRESH_S),
        jobs,
        JobSupervisor(settings, jobs),
        _find_provider(settings),
    )

    @asynccontextmanager
    async def open_accounts(_: FastAPI) -> AsyncIterator[None]:
        with keep_connections(settings.ledger_url), keep_ledger(settings):
            context.accounts.open()
            context.predictions.open()
            context.jobs.open()
            context.supervisor.start()
            yield
            context.live.stop()
            context.supervisor.stop()
            context.jobs.close()
            context.predictions.close()
            context.accounts.close()

    # Who asks is in a header where a proxy stands before the console; only the proxy's word for it counts.
    proxies = list(settings.console_proxies) if settings.console_url is not None else []
    proxied = [Middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)] if proxies else []
    app = FastAPI(
        title="Holdfast",
        version="1",
        description=DESCRIPTION,
        openapi_url=f"{V1}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=open_accounts,
        middleware=[
            *proxied,
            Middleware(SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
            Middleware(BodyLimit),
            Middleware(IdempotencyKeys, accounts=context.accounts),
        ],
    )
    app.state.context = context
    install_handlers(app)
    for resource in API:
        app.include_router(resource.router, prefix=V1, responses=dict(RESPONSES))
    app.include_router(loyalty.router, responses=dict(RESPONSES))
    for part in PAGES:
        app.include_router(part.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    # FastAPI would build the addresses while it answers the first request.
    deque(iter_route_contexts(app.routes), maxlen=0)
    return app


def _find_provider(settings: Settings) -> OpenIdProvider | None:
    """Return the OpenID provider; None where none is configured."""
    issuer, client = settings.console_oidc_issuer, settings.console_oidc_client_id
    secret = settings.console_oidc_client_secret
    if issuer is None and client is None and secret is None:
        return None
    if issuer is None or client is None or secret is None:
        raise AccessError(
            "HOLDFAST_CONSOLE_OIDC_ISSUER, HOLDFAST_CONSOLE_OIDC_CLIENT_ID and HOLDFAST_CONSOLE_OIDC_CLIENT_SECRET are "
            "set together, or none of them"
        )
    return OpenIdProvider(issuer, client, secret.get_secret_value(), settings.console_oidc_role_claim)
