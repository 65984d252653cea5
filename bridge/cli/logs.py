"""Logs: plain lines for a person at a terminal, JSON lines elsewhere, and no secret in either."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from bridge.secret.masks import IN_FORCE, masked


def configure_logs(verbose: bool) -> None:
    """Set up our own log and that of libraries; everything goes to stderr, masked."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.INFO if verbose else logging.WARNING
        ),
        # Looked up for each line: while a pass shows its progress, lines go above it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    # Python's own handler of what nobody set up a handler for: all that libraries log.
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(MaskingFormatter("%(levelname)s %(name)s: %(message)s"))


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """A structlog processor: every text of an event, tracebacks included, without secrets."""
    shown: dict[str, Any] = IN_FORCE.tree(event)
    return shown


class MaskingFormatter(logging.Formatter):
    """Formats what libraries log (aiohttp, asyncio, urllib3), with tracebacks, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """One entry."""
        return masked(super().format(record))
