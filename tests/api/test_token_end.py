"""The end of GitLab's token as a metric and as a line on the page of the last pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from tests.fakes import NOON

MakeClient = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]


@pytest.mark.parametrize(("days", "shown"), [(None, False), (60, False), (3, True), (-1, True)])
async def test_who_looks_sees_it_a_month_before(
    aiohttp_client: MakeClient, days: int | None, shown: bool
) -> None:
    live = Live(token_ends={"": NOON + timedelta(days=days) if days is not None else None})
    client = await aiohttp_client(make_app(live, AppParts(clock=lambda: NOON)))
    page = await (await client.get("/")).text()
    assert ("The GitLab token expire" in page) is shown
    metrics = await (await client.get("/metrics")).text()
    assert ("fester_gitlab_token_expiry_timestamp_seconds" in metrics) is (days is not None)
