"""A running sandbox with a client that speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from yarl import URL

from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.world import World

TOKEN = "glpat-only-for-tests"


class HandClock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Lab:
    """The sandbox under test and a way to ask it."""

    world: World
    sandbox: SandboxGitLab
    session: aiohttp.ClientSession
    url: str

    @classmethod
    @asynccontextmanager
    async def speaking(cls, world: World, sandbox: SandboxGitLab, url: str) -> AsyncIterator[Lab]:
        """A lab of a sandbox that is running, with its token."""
        async with aiohttp.ClientSession(headers={"PRIVATE-TOKEN": TOKEN}) as session:
            yield cls(world, sandbox, session, url)

    async def get(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        response = await self.session.get(URL(f"{self.url}/api/v4{path}", encoded=True), **options)
        await response.read()
        return response

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        status, body = await self.post(query, **variables)
        assert status == 200
        return body

    async def post(self, query: str, **variables: Any) -> tuple[int, dict[str, Any]]:
        payload = {"query": query, "variables": variables}
        async with self.session.post(f"{self.url}/api/graphql", json=payload) as response:
            body: dict[str, Any] = await response.json()
            return response.status, body


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def world(clock: HandClock) -> World:
    return World(clock)


@pytest.fixture
async def lab(world: World) -> AsyncIterator[Lab]:
    sandbox = SandboxGitLab(world, token=TOKEN)
    async with running(sandbox) as url, Lab.speaking(world, sandbox, url) as made:
        yield made
