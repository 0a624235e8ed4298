"""Whether the console lives and can work, for the probes of what runs it. Strangers may ask; nothing is named."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from campaigns.errors import LedgerUnavailableError
from console.web.context import Context

router = APIRouter(prefix="/health")


@router.get("/live")
async def is_alive() -> Response:
    """Say that the process answers."""
    return JSONResponse({"alive": True})


@router.get("/ready")
def is_ready(context: Context) -> Response:
    """Say whether the ledger answers, without which no one can sign in. The ledger is asked at most once a second."""
    try:
        context.readiness.read()
    except LedgerUnavailableError:
        return JSONResponse({"ready": False}, HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"ready": True})
