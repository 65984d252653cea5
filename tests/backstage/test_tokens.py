"""Tokens that a real Backstage makes, for its plugins and for its users, open Fester."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.request import Request, urlopen

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.access.gate import BackstageCallers, open_gate
from bridge.api.access import Access
from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.wiring.clock import utc_now
from tests.backstage.server import Backstage

pytestmark = [pytest.mark.backstage, pytest.mark.real]

Client = TestClient[web.Request, web.Application]
MakeClient = Callable[[web.Application], Awaitable[Client]]


@pytest.fixture
async def client(backstage: Backstage, aiohttp_client: MakeClient) -> AsyncIterator[Client]:
    callers = BackstageCallers(backstage.url, ("probe",), True, ("catalog", "tech-insights"))
    async with open_gate((), callers, utc_now) as gate:
        yield await aiohttp_client(make_app(Live(), AppParts(access=Access(gate))))


def plugin_token(backstage: Backstage, target: str) -> str:
    with urlopen(f"{backstage.url}/api/probe/{target}", timeout=30) as answer:
        token: str = json.loads(answer.read())["token"]
        return token


def user_token(backstage: Backstage) -> str:
    """What the guest gets who signs in."""
    asked = Request(f"{backstage.url}/api/auth/guest/refresh")
    asked.add_header("X-Requested-With", "XMLHttpRequest")
    with urlopen(asked, timeout=30) as answer:
        token: str = json.loads(answer.read())["backstageIdentity"]["token"]
        return token


async def status(client: Client, token: str, method: str = "GET") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await client.request(method, "/", headers=headers)).status


@pytest.mark.parametrize("target", ["catalog", "tech-insights"])
async def test_a_plugins_token_for_what_fester_answers_is_accepted(
    backstage: Backstage, client: Client, target: str
) -> None:
    assert await status(client, plugin_token(backstage, target)) == 200


async def test_a_plugins_token_for_another_plugin_is_refused(
    backstage: Backstage, client: Client
) -> None:
    assert await status(client, plugin_token(backstage, "scaffolder")) == 401


async def test_a_users_token_is_accepted_and_reads_only(
    backstage: Backstage, client: Client
) -> None:
    token = user_token(backstage)
    assert await status(client, token) == 200
    head, claims, signature = token.split(".")
    assert await status(client, f"{head}.{claims}.{signature[::-1]}") == 401
    assert await status(client, token, "POST") == 403


async def test_backstages_static_token_is_none_of_ours(
    backstage: Backstage, client: Client
) -> None:
    assert await status(client, backstage.token) == 401
