"""`POST /slack/incident`: Slack's slash command, answered from what is known.

Requests are signed: https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

import structlog
from aiohttp import web

from bridge.answers.faces import as_slack, escaped
from bridge.answers.identify import LONGEST
from bridge.answers.wording import in_words
from bridge.api.access import needs
from bridge.api.answers import error_response
from bridge.api.incident.routes import answered
from bridge.api.keys import CLOCK, LIVE
from bridge.model.access import Scope
from bridge.model.entities import Json
from bridge.secret.live import Secret, secret_of

log = structlog.get_logger()

PATH: Final = "/slack/incident"
SKEW: Final = 300.0  # seconds; Slack's own advice
MOST_BODY: Final = 16_000  # bytes; a command with its fields has less than two thousand
_FIELDS: Final = 50


class SlackCommand:
    """Answers `/incident NAME` for a workspace whose signing secret is known."""

    def __init__(self, signing_secret: str | Secret | None = None) -> None:
        self._secret = secret_of(signing_secret)

    def __repr__(self) -> str:
        return f"SlackCommand(configured={self._secret is not None})"

    @needs(Scope.PUBLIC)  # Slack shows its own signature
    async def receive(self, request: web.Request) -> web.StreamResponse:
        """The answer as a message that the asker alone sees; Slack waits three seconds for it."""
        if self._secret is None:
            message = (
                "Slack is not set up here: set FESTER_SLACK_SIGNING_SECRET to the signing secret "
                "of your Slack app"
            )
            return error_response(request, 403, "NotAllowedError", message)
        body = await request.read()
        if len(body) > MOST_BODY:
            return error_response(request, 413, "InputError", f"more than {MOST_BODY} bytes")
        if not is_signed(self._secret().encode(), request.headers, body, request.app[CLOCK]()):
            log.warning("A Slack command was refused", action="slack_refused")
            message = "the X-Slack-Signature does not fit, or is older than five minutes"
            return error_response(request, 401, "AuthenticationError", message)
        return web.json_response(self._message(request, _text(body)))

    def _message(self, request: web.Request, asked: str) -> dict[str, Json]:
        if not asked:
            return _plain("Say what it is about: a service's name, a project, an address.")
        if request.app[LIVE].report is None:
            return _plain("Fester has read nothing yet; ask again in a moment.")
        return as_slack(in_words(answered(request.app, asked[:LONGEST])))


def _plain(text: str) -> dict[str, Json]:
    return {"response_type": "ephemeral", "text": escaped(text)}


def _text(body: bytes) -> str:
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_FIELDS)
    except ValueError:
        return ""
    return fields.get("text", [""])[0].strip()


def is_signed(key: bytes, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether Slack signed this body within the last five minutes (signature version v0)."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        return False
    if abs(now.timestamp() - int(stamp)) > SKEW:
        return False
    right = "v0=" + hmac.digest(key, f"v0:{stamp}:".encode() + body, "sha256").hex()
    given = headers.get("X-Slack-Signature", "").encode("utf-8", "replace")
    return hmac.compare_digest(given, right.encode())
