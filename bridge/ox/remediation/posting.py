"""Digests on their way to a webhook. A receiver that fails holds nothing up and is asked again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading
from bridge.model.initiatives import Progress
from bridge.model.scores import Scoreboard
from bridge.neighbours.http_client import HttpClient, NoAnswer
from bridge.ox.remediation.digest import (
    NO_FACTS,
    TeamDigest,
    digests,
    slack_message,
    week_ago,
    week_of,
)
from bridge.ports import DigestStore, ScoreStore
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

    async def post(self, messages: Sequence[dict[str, Json]]) -> list[bool]:
        """Whether each was taken; never raises."""
        taken: list[bool] = []
        http = HttpClient(self._url(), timeout=TIMEOUT, limit=BYTES, trust=self._trust)
        try:
            failures = 0
            for message in messages:
                done = failures < PATIENCE and await self._one(http, message)
                failures = 0 if done else failures + 1
                taken.append(done)
        finally:
            await http.close()
        return taken

    async def _one(self, http: HttpClient, message: dict[str, Json]) -> bool:
        try:
            answer = await http.send("POST", http.base, body=message)
        except NoAnswer as error:
            said = str(error)
        else:
            if answer.status < 300:
                return True
            said = f"it answered {answer.status}"
        log.warning("A digest was not taken", action="digest_failed", reason=said)
        return False


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
            taken = await webhook.post([slack_message(digest) for digest in theirs])
            done += [digest.team for digest, yes in zip(theirs, taken, strict=True) if yes]
            await self.store.mark_sent(self.source, week, done)
        return made
