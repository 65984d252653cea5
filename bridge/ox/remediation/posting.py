"""Digests on their way to a webhook. A receiver that fails holds nothing up and is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiohttp
import structlog

from bridge.model.entities import Json
from bridge.model.scores import Scoreboard
from bridge.ox.remediation.digest import (
    TeamDigest,
    digests,
    slack_message,
    week_ago,
    week_of,
)
from bridge.ports import DigestStore, ScoreStore

log = structlog.get_logger()

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
    """Makes a week's digests once, and sends each team's until it was taken."""

    source: str
    scores: ScoreStore
    store: DigestStore
    webhook: Webhook | None
    clock: Callable[[], datetime]

    async def run(self, board: Scoreboard) -> list[TeamDigest]:
        """The digests of this week; raises `StoreError` only."""
        now = self.clock()
        week = week_of(now)
        before = await self.scores.scores_on(self.source, list(board.scores), week_ago(now))
        made = digests(board, before, week)
        sent = await self.store.sent(self.source, week)
        if sent is None:
            trees = [digest.as_json() for digest in made]
            await self.store.keep(self.source, week, trees)
        waiting = [digest for digest in made if digest.team not in (sent or ())]
        if self.webhook is None or not waiting:
            return made
        taken = await self.webhook.post([slack_message(digest) for digest in waiting])
        done = [digest.team for digest, yes in zip(waiting, taken, strict=True) if yes]
        if done:
            await self.store.mark_sent(self.source, week, [*(sent or ()), *done])
        return made
