"""From GitLab's projects to a scorecard: what `serve` wires, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from bridge.api.live import nothing_known
from bridge.cli import main
from bridge.model.memory import Horizon
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Coverage
from bridge.passes.stages import Pass, PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.organization import sample_organization
from bridge.sandbox.tools import ORG, SandboxTools, tools_running
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.clock import utc_now
from bridge.wiring.serving import freeze_gc_after_sweep, serving

TOKEN = "glpat-" + "x" * 20


async def scores(url: str) -> Any:
    """What is served once there are scores."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}api/ox/scores?kind=all&limit=500") as response:
                if response.status == 200:
                    return await response.json()
            await asyncio.sleep(0.05)


async def text(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.real
async def test_a_pass_is_scored_served_and_still_there_after_a_restart(tmp_path: Path) -> None:
    sandbox = SandboxGitLab(sample_organization(utc_now), token=TOKEN)
    tools = SandboxTools(projects={"p1": "kestrel/booking/checkout/booking-api:x"})
    async with (
        running(sandbox, port=0) as gitlab,
        tools_running(tools) as snyk,
        asyncio.timeout(60),
    ):
        settings = Settings.model_validate(
            {
                "from": gitlab,
                "to": [str(tmp_path / "out")],
                "store": f"sqlite:///{tmp_path}/store.db",
                "port": 0,
                "every": 600,
                "token": TOKEN,
                "ox": {"publish": True},
                "snyk_token": tools.token,
                "snyk": {"org": ORG, "url": snyk},
            }
        )
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(wired(settings))
            url = await stack.enter_async_context(serving(parts, settings, PassOptions()))
            first = await scores(url)
            assert first["totalItems"] > 20
            kinds = {item["entityRef"].partition(":")[0] for item in first["items"]}
            assert {"api", "component", "group", "system"} <= kinds
            apis = json.loads(await text(f"{url}api/ox/scores?kind=API&limit=500"))["items"]
            mine = [i for i in first["items"] if i["entityRef"].startswith("api:")]
            assert apis == mine != []
            assert sum(item["sufficient"] for item in first["items"]) > 20
            ref = first["items"][0]["entityRef"]
            assert "What to fix next" in await text(f"{url}scores/entity/{ref}")
            assert "The whole organization" in await text(f"{url}scores")
            assert '"kind": "organization"' in await text(f"{url}api/ox/rollups/organization/all")
        sandbox.token = "another"  # nothing can be read any more
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(wired(settings))
            url = await stack.enter_async_context(serving(parts, settings, PassOptions()))
            assert await scores(url) == first
            entity = await text(f"{url}api/catalog/entities/by-name/{ref.replace(':', '/')}")
            served = json.loads(entity)["metadata"]["annotations"]
            assert {"fester.dev/ox-score", "fester.dev/ox-level"} <= served.keys()
            watched = "component/default/booking-api"
            entity = await text(f"{url}api/catalog/entities/by-name/{watched}")
            served = json.loads(entity)["metadata"]["annotations"]
            assert (served["snyk.io/org-id"], served["snyk.io/project-ids"]) == (ORG, "p1")
    options = ["--from", gitlab, "--store", settings.store]
    result = await asyncio.to_thread(CliRunner().invoke, main, ["score", *options])
    assert (result.exit_code, ref in result.output) == (0, False)  # it is an API
    assert "component:default/booking-api" in result.output
    options += ["--kind", "api"]
    result = await asyncio.to_thread(CliRunner().invoke, main, ["score", *options])
    assert (result.exit_code, ref in result.output) == (0, True)


@pytest.mark.parametrize(("kind", "frozen"), [(Coverage.FULL, True), (Coverage.CHANGES, False)])
async def test_only_after_a_full_sweep_is_memory_looked_through(
    kind: Coverage, frozen: bool
) -> None:
    """What stays is then left out of every later search for garbage, which would stop requests."""
    gc.unfreeze()
    try:
        await freeze_gc_after_sweep(
            Pass(Report(Outcome.COMPLETE, 0.0, kind=kind), Horizon(), nothing_known)
        )
        assert (gc.get_freeze_count() > 0) is frozen
    finally:
        gc.unfreeze()
