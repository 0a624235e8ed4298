"""The state of the deployment."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from console.status_view import status_object
from console.web.authentication import Reader
from console.web.context import Context

router = APIRouter(tags=["status"])


@router.get("/status")
def read_status(context: Context, _: Reader) -> dict[str, Any]:
    """Return a look at services, workers, lag, outbox, models and definitions, and what needs attention.

    A look is at most two seconds old. A part that could not be read has a `problem` instead of a `value`.
    """
    return dict(status_object(context.status.read()))
