"""The MCP server, asked by the SDK's own client: over HTTP, and over stdio from a store."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from bridge.api.app import make_app
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.cli import main
from bridge.model.entities import Catalog, Ref
from bridge.model.entity_changes import ChangeKind, ChangeQuery, EntityChange
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem
from bridge.model.runs import Outcome, Report
from tests.answers.fleet import CART, FLEET
from tests.api.shown import show
from tests.fakes import NOON

pytestmark = pytest.mark.real
TOOLS = {"search", "entity", "incident", "explain", "score", "problems", "changes"}
PROBLEM = Problem("unknown key `lifecyle`", "unknown-key", project="shop/cart", file="qm.yaml")


def told(result: Any) -> Any:
    assert not result.is_error
    return json.loads(result.content[0].text)


async def test_an_assistant_asks_over_http() -> None:
    live = Live()
    entities = tuple(sorted(FLEET, key=lambda each: str(each.ref)))
    report = Report(Outcome.COMPLETE, 1.0, problems=(PROBLEM,))
    show(live, PassRecord(report, Catalog(entities)), (), Memory(), NOON)
    asked: list[ChangeQuery] = []

    async def changes(query: ChangeQuery) -> list[EntityChange]:
        asked.append(query)
        return [EntityChange(Ref.parse(CART), ChangeKind.CHANGED, NOON, "The Cart", number=7)]

    live.changes = changes
    async with TestServer(make_app(live, AppParts(clock=lambda: NOON))) as server:
        url = str(server.make_url("/mcp"))
        async with Client(streamable_http_client(url)) as client:
            tools = (await client.list_tools()).tools
            assert {tool.name for tool in tools} == TOOLS
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
            incident = told(await client.call_tool("incident", {"about": "trolley"}))
            assert incident["incident"]["ref"] == CART
            found = told(await client.call_tool("search", {"text": "runbook"}))
            assert found["documents"][0]["title"] == "When it is down"
            entity = told(await client.call_tool("entity", {"name": "shop/cart"}))
            assert entity["entity"]["metadata"]["name"] == "cart"
            problems = told(await client.call_tool("problems", {"about": "shop/cart"}))
            assert problems["total"] == 1
            assert told(await client.call_tool("problems", {"about": "mail"}))["total"] == 0
            assert told(await client.call_tool("score", {"name": "cart"}))["score"] is None
            explained = told(await client.call_tool("explain", {"about": "nobody"}))
            assert explained["found"] == []
            assert told(await client.call_tool("explain", {"about": "cart"}))["changes"]
            around = told(await client.call_tool("changes", {"about": "trolley", "hops": 1}))
            assert [each["number"] for each in around["items"]] == [7]
            assert around["around"]["roles"]["component:default/web"]["role"] == "dependent"
            assert set(asked[-1].refs) == set(around["around"]["roles"])
            assert asked[-1].since == NOON - timedelta(hours=2)
            bad = told(await client.call_tool("changes", {"since": "soon"}))
            assert bad["error"].startswith("`since` is a time like")
            wrong = await client.call_tool("incident", {})
            assert wrong.is_error


async def test_a_question_is_bounded_and_needs_the_protocol() -> None:
    async with TestClient(TestServer(make_app(Live(), AppParts()))) as client:
        assert (await client.post("/mcp", data=b"x" * 100_001)).status == 413
        assert (await client.post("/mcp", data=b"{}")).status in (400, 406, 415)
        assert (await client.get("/mcp")).status == 405


async def test_an_assistant_asks_over_stdio(tmp_path: Path) -> None:
    made = await asyncio.to_thread(
        CliRunner().invoke, main, ["demo", "--once", "--to", str(tmp_path)]
    )
    assert made.exit_code == 0, made.output
    program = "from bridge.cli import main; main()"
    store = f"sqlite:///{tmp_path}/.fester.db"
    server = StdioServerParameters(
        command=sys.executable, args=["-c", program, "mcp", "--store", store]
    )
    async with Client(stdio_client(server)) as client:
        incident = told(await client.call_tool("incident", {"about": "vessel-tracker"}))
        assert incident["incident"]["owner"]["title"] == "Crows Nest"
        score = told(await client.call_tool("score", {"name": "vessel-tracker"}))
        assert score["score"]["level"]
