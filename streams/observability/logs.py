"""JSON logs: one object a line, ids as fields, no customer in clear text."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

import structlog

from streams.observability.customer_digests import HIDER, describe_error

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import Processor


def configure_logs(level: str) -> None:
    """Send structlog and the libraries' own logs to standard error as JSON, from `level` on.

    An error that ends the process or a thread becomes a line of the log, too.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        HIDER,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(hide_values)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
    sys.excepthook = _log_unexpected
    threading.excepthook = lambda failed: _log_unexpected(failed.exc_type, failed.exc_value, failed.exc_traceback)


def hide_values(record: logging.LogRecord) -> bool:
    """Describe the errors in a library's record without values; of asyncio's, which quote them, keep one line."""
    if isinstance(record.args, tuple):
        described = (describe_error(each) if isinstance(each, BaseException) else each for each in record.args)
        record.args = tuple(described)
    if record.name == "asyncio":
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


def _log_unexpected(kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None) -> None:
    logging.getLogger("holdfast").critical("unexpected_error", exc_info=error or kind())
