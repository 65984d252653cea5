"""Digests on their way to a webhook. A receiver that fails holds nothing up and is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import aiohttp
import structlog

from bridge.model.entities import Json, Ref
from bridge.model.facts import Reading
from bridge.model.scores import Scoreboard
from bridge.ox.remediation.digest import (
    NO_FACTS,
    TeamDigest,
    digests,
    slack_message,
    week_ago,
    week_of,
)
from bridge.ports import DigestStore, ScoreStore

log = structlog.get_logger()

Latest = Mapping[Ref, Mapping[str, Reading]]
TIMEOUT: Final = 10.0
# After so many failures in a row the receiver is left alone until the next run.
PATIENCE: Final = 3


class Webhook:
    """A Slack-compatible receiver. Its URL is a secret: whoever knows it can write there."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __repr__(self) -> str:
        return "Webhook('***')"

    async def post(self, messages: Sequence[dict[str, Json]]) -> list[bool]:
        """Whether each was taken; never raises."""
        taken: list[bool] = []
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            failures = 0
            for message in messages:
                done = failures < PATIENCE and await self._one(session, message)
                failures = 0 if done else failures + 1
                taken.append(done)
        return taken

    async def _one(self, session: aiohttp.ClientSession, message: dict[str, Json]) -> bool:
        try:
            async with session.post(self._url, json=message, allow_redirects=False) as answer:
                if answer.status < 300:
                    return True
                said = f"it answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            said = type(error).__name__  # its text may hold the URL
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

    async def run(self, board: Scoreboard, latest: Latest = NO_FACTS) -> list[TeamDigest]:
        """The digests of this week; raises `StoreError` only."""
        now = self.clock()
        week = week_of(now)
        before = await self.scores.scores_on(self.source, list(board.scores), week_ago(now))
        made = await asyncio.to_thread(digests, board, before, week, latest)
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
