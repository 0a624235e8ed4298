"""What requests share: settings, accounts and whether anyone must sign in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from console.access.tokens import make_session_token

if TYPE_CHECKING:
    from console.access.openid_provider import OpenIdProvider
    from console.access.postgres_accounts import PostgresAccounts, View
    from console.access.roles import Role
    from console.jobs.postgres_jobs import PostgresJobs
    from console.jobs.supervisor import JobSupervisor
    from console.use_cases.segment_columns import FactColumns
    from console.use_cases.status import Status
    from console.web.analytics_watch import AnalyticsWatch
    from console.web.fresh_value import FreshValue
    from console.web.kept_figures import KeptFigures
    from console.web.live_feed import LiveFeed
    from console.web.prediction_desk import PredictionDesk
    from console.web.rate_limits import RateLimits
    from console.web.sign_in_limits import SignInLimits
    from console.web.together import Together
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class WebContext:
    """What requests share.

    Attributes:
        settings: those of the deployment.
        accounts: who may sign in, and the audit log.
        keys: finds whose an API key is.
        views: records who looked at customers.
        is_open: no sign-in is needed, and everybody is an admin; only on a loopback address.
        status: looks at the deployment.
        sign_ins: how many sign-ins may fail.
        rates: how many requests the API answers.
        predictions: makes them for all requests.
        live: decisions and alerts as they come.
        analytics: figures about all customers.
        figures: those of single campaigns.
        facts: the facts that rules can read.
        readiness: asks whether the ledger answers.
        jobs: long work that people have started.
        supervisor: runs it.
        provider: signs people in; None where they sign in with passwords only.
        secret: stands for a session's token where the console is open.
    """

    settings: Settings
    accounts: PostgresAccounts
    keys: Together[str, tuple[str, Role] | None]
    views: Together[View, None]
    is_open: bool
    status: FreshValue[Status]
    sign_ins: SignInLimits
    rates: RateLimits
    predictions: PredictionDesk
    live: LiveFeed
    analytics: AnalyticsWatch
    figures: KeptFigures
    facts: FreshValue[FactColumns]
    readiness: FreshValue[bool]
    jobs: PostgresJobs
    supervisor: JobSupervisor
    provider: OpenIdProvider | None = None
    secret: str = field(default_factory=make_session_token, repr=False)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the console by TLS, which a proxy ends."""
        return (self.settings.console_url or "").startswith("https:")


async def _find_context(request: Request) -> WebContext:
    return cast("WebContext", request.app.state.context)


Context = Annotated["WebContext", Depends(_find_context)]
