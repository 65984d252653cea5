"""The ways to tell a team: a Slack-compatible webhook, and Backstage's own notifications.

Backstage: `POST /api/notifications/notifications` with recipients, a payload and its `scope`: a
second one of the same scope and origin takes the place of the first (read in
plugin-notifications-backend 0.6). A webhook has nothing like it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

import structlog
from yarl import URL

from bridge.model.entities import Json
from bridge.model.notices import DeliveryState, Notice, NoticeKind
from bridge.neighbours.http_client import Answer, HttpClient, NoAnswer, NotJson
from bridge.ox.remediation.harmless import plain, slack_text
from bridge.ox.remediation.posting import Webhook, fate
from bridge.secret.live import Secret

log = structlog.get_logger()

SHOWN: Final = 20  # notices in one message; the others are counted
LONGEST: Final = 500  # characters of one
_BLOCK: Final = 2900  # Slack takes 3,000 characters a block
_TITLE: Final = 150
_FOR_PEOPLE: Final = b"does not allow 'service' credentials"
TIMEOUT: Final = 10.0
BYTES: Final = 4_000_000  # of an answer: a row for each person of a team
_SEVERITY: Final = {
    NoticeKind.VULNERABILITY: "critical",
    NoticeKind.OVERDUE: "critical",
    NoticeKind.GATE: "high",
}


class WebhookChannel:
    """A `bridge.ox.interfaces.NoticeChannel`: `teams` have webhooks, `other` takes the rest.

    Links lead below `url`, Fester's own address; without one there are none.
    """

    name: Final = "webhook"
    repeatable: Final = False

    def __init__(
        self, teams: Mapping[str, Webhook], other: Webhook | None = None, url: str = ""
    ) -> None:
        self._teams = teams
        self._other = other
        self._url = url

    def reaches(self, team: str) -> bool:
        """Whether it leads to that team."""
        return self._other is not None or team in self._teams

    async def send(self, team: str, notices: Sequence[Notice], batch: str) -> DeliveryState:
        """One message with all of them."""
        webhook = self._teams.get(team, self._other)
        if webhook is None:
            return DeliveryState.NOBODY
        return await webhook.send(slack_notices(team, notices, self._url))

    async def close(self) -> None:
        """Nothing stays open."""


def slack_notices(team: str, notices: Sequence[Notice], url: str = "") -> dict[str, Json]:
    """One message: text for notifications, and blocks."""
    head = f"{slack_text(team)}: {_counted(notices)}"
    lines = [f"*{head}*"]
    for notice in notices[:SHOWN]:
        address = _address(url, notice)
        link = f" <{address}|more>" if address else ""
        lines.append(f"• {slack_text(notice.text, LONGEST)}{link}")
    more = len(notices) - SHOWN
    lines += [f"and {more} more"] if more > 0 else []
    section = [{"type": "section", "text": {"type": "mrkdwn", "text": t}} for t in _blocks(lines)]
    return {"text": head, "blocks": section}


def _blocks(lines: Sequence[str]) -> list[str]:
    blocks = [""]
    for line in lines:
        joined = f"{blocks[-1]}\n{line}" if blocks[-1] else line
        if len(joined) <= _BLOCK:
            blocks[-1] = joined
        else:
            blocks.append(line[:_BLOCK])
    return blocks


def _counted(notices: Sequence[Notice]) -> str:
    return "1 notice" if len(notices) == 1 else f"{len(notices)} notices"


def _address(url: str, notice: Notice) -> str:
    return f"{url.rstrip('/')}{quote(notice.link, safe='/:')}" if url and notice.link else ""


class BackstageChannel:
    """A `bridge.ox.interfaces.NoticeChannel`: whoever Backstage knows in the team sees it there."""

    name: Final = "backstage"
    repeatable: Final = True

    def __init__(
        self,
        backstage: str,
        token: Secret,
        *,
        url: str = "",
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._post_to = URL(f"{backstage.rstrip('/')}/api/notifications/notifications")
        self._http = HttpClient(backstage, secret=token, timeout=TIMEOUT, limit=BYTES, trust=trust)
        self._url = url

    def reaches(self, team: str) -> bool:
        """Everybody: whether somebody is there Backstage tells when it is sent."""
        return bool(team)

    async def send(self, team: str, notices: Sequence[Notice], batch: str) -> DeliveryState:
        """One notification with all of them."""
        body = {
            "recipients": {"type": "entity", "entityRef": team},
            "payload": payload(notices, batch, self._url),
        }
        try:
            answer = await self._http.send("POST", self._post_to, body=body)
        except NoAnswer as error:
            state = DeliveryState.UNSURE if error.sent else DeliveryState.WAITING
            self._failed(team, f"it cannot be reached: {error}")
            return state
        if answer.status >= 300:
            self._failed(team, _advice(answer.status))
            return fate(answer.status)
        if _nobody(answer):
            log.info("Backstage has nobody there", action="notice_for_nobody", team=team)
            return DeliveryState.NOBODY
        return DeliveryState.SENT

    async def refused(self) -> str:
        """Why Backstage would take no notice, "" where it would; nothing is sent to anybody.

        The list that is asked for is for people. That a caller is refused for being a service
        tells that the plugin is there and the token good (read in backend-defaults' httpAuth).
        """
        try:
            answer = await self._http.send("GET", self._post_to)
        except NoAnswer as error:
            return f"it cannot be reached: {error}"
        if answer.status == 403 and _FOR_PEOPLE in answer.body:
            return ""
        return _advice(answer.status if answer.status >= 300 else 404)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._http.close()

    def _failed(self, team: str, reason: str) -> None:
        log.warning(
            "Backstage did not take a notice", action="notice_failed", team=team, reason=reason
        )


def payload(notices: Sequence[Notice], batch: str, url: str = "") -> dict[str, Json]:
    """What Backstage shows: of several notices a title that counts them, and all as lines."""
    lines = [plain(notice.text, LONGEST) for notice in notices[:SHOWN]]
    more = len(notices) - SHOWN
    lines += [f"and {more} more"] if more > 0 else []
    severities = [_SEVERITY.get(notice.kind, "normal") for notice in notices]
    worst = next((s for s in ("critical", "high") if s in severities), "normal")
    alone = len(notices) == 1
    said: dict[str, Json] = {
        "title": plain(notices[0].text, _TITLE) if alone else f"{len(notices)} notices of Fester",
        "description": "\n".join(lines),
        "severity": worst,
        "topic": "fester",
        "scope": f"fester:{batch}",
    }
    address = _address(url, notices[0]) if alone else url
    return {**said, "link": address} if address else said


def _nobody(answer: Answer) -> bool:
    """Whether it went to nobody: the answer lists what was made for whom."""
    try:
        return bool(answer.json() == [])
    except NotJson:
        return False


def _advice(status: int) -> str:
    if status in (401, 403):
        return (
            f"it refuses the token ({status}): FESTER_BACKSTAGE_TOKEN must be one of its "
            "backend.auth.externalAccess, allowed for the plugin notifications"
        )
    if status == 404:
        return "it has no notifications (404): add @backstage/plugin-notifications-backend"
    return f"it answers {status}"
