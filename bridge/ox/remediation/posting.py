"""Messages on their way to a webhook, and the weekly digests.

A receiver that fails holds nothing up and is asked again; of what may have arrived nothing is sent
twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog
from yarl import URL

from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading
from bridge.model.initiatives import Progress
from bridge.model.notices import DeliveryState
from bridge.model.scores import Scoreboard
from bridge.neighbours.http_client import HttpClient, NoAnswer
from bridge.ox.interfaces import DigestStore, ScoreStore
from bridge.ox.remediation.digest import (
    NO_FACTS,
    TeamDigest,
    digests,
    slack_message,
    week_ago,
    week_of,
)
from bridge.secret.live import Secret
from bridge.secret.values import web_address

log = structlog.get_logger()

Latest = Mapping[Ref, Mapping[str, Reading]]
TIMEOUT: Final = 10.0
BYTES: Final = 100_000  # of an answer, of which nothing is read but that it came
# After so many failures in a row the receiver is left alone until the next run.
PATIENCE: Final = 3


class Webhook:
    """A Slack-compatible receiver. Its URL is a secret: whoever knows it can write there."""

    def __init__(self, url: str | Secret, *, trust: ssl.SSLContext | None = None) -> None:
        self._url = url if isinstance(url, Secret) else Secret(url, normal=web_address)
        self._trust = trust

    def __repr__(self) -> str:
        return "Webhook('***')"

    async def unreachable(self) -> str:
        """Why its host does not answer, "" where it does; nothing says which webhook is meant."""
        origin = str(URL(self._url()).origin())
        http = HttpClient(origin, timeout=TIMEOUT, limit=BYTES, trust=self._trust)
        try:
            await http.send("HEAD", "/")
        except NoAnswer as error:
            return str(error)
        finally:
            await http.close()
        return ""

    async def post(self, messages: Sequence[dict[str, Json]]) -> list[bool]:
        """Whether each was taken, or may have been; never raises."""
        done: list[bool] = []
        failures = 0
        for message in messages:
            state = await self.send(message) if failures < PATIENCE else DeliveryState.WAITING
            failures = 0 if state is DeliveryState.SENT else failures + 1
            done.append(state is not DeliveryState.WAITING)
        return done

    async def send(self, message: dict[str, Json]) -> DeliveryState:
        """SENT, WAITING when it surely was not taken, else UNSURE; never raises."""
        http = HttpClient(self._url(), timeout=TIMEOUT, limit=BYTES, trust=self._trust)
        try:
            answer = await http.send("POST", http.base, body=message)
        except NoAnswer as error:
            said = str(error)
            state = DeliveryState.UNSURE if error.sent else DeliveryState.WAITING
        else:
            said, state = f"it answered {answer.status}", fate(answer.status)
        finally:
            await http.close()
        if state is not DeliveryState.SENT:
            log.warning("A message was not taken", action="message_failed", reason=said)
        return state


def fate(status: int) -> DeliveryState:
    """What a receiver's status says: of a gateway's nobody knows what is behind it."""
    if status < 300:
        return DeliveryState.SENT
    return DeliveryState.UNSURE if status in (502, 504) else DeliveryState.WAITING


@dataclass(frozen=True, slots=True)
class Digesting:
    """Makes a week's digests once, and sends each team's until it was taken.

    `teams` are webhooks of their own, by the team's reference; `webhook` takes all others.
    """

    source: str
    scores: ScoreStore
    store: DigestStore
    webhook: Webhook | None
    clock: Callable[[], datetime]
    teams: Mapping[str, Webhook] = field(default_factory=dict)

    async def run(
        self, board: Scoreboard, latest: Latest = NO_FACTS, initiatives: Sequence[Progress] = ()
    ) -> list[TeamDigest]:
        """The digests of this week; raises `StoreError` only."""
        now = self.clock()
        week = week_of(now)
        before = await self.scores.scores_on(self.source, list(board.scores), week_ago(now))
        made = await asyncio.to_thread(digests, board, before, week, latest, initiatives)
        sent = await self.store.sent(self.source, week)
        if sent is None:
            trees = [digest.as_json() for digest in made]
            await self.store.keep(self.source, week, trees)
        waiting: dict[Webhook, list[TeamDigest]] = {}
        for digest in made:
            webhook = self.teams.get(digest.team, self.webhook)
            if webhook is not None and digest.news and digest.team not in (sent or ()):
                waiting.setdefault(webhook, []).append(digest)
        done = list(sent or ())
        for webhook, theirs in waiting.items():
            # The intent first: who dies here has sent at most what is noted, and nothing twice.
            await self.store.mark_sent(self.source, week, done + [each.team for each in theirs])
            taken = await webhook.post([slack_message(digest) for digest in theirs])
            done += [digest.team for digest, yes in zip(theirs, taken, strict=True) if yes]
            await self.store.mark_sent(self.source, week, done)
        return made
