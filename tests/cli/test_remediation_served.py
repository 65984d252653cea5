"""`serve` with remediation switched on: passes, scores, issues, and the page that shows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.passes.stages import PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.world import World
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.clock import utc_now
from bridge.wiring.serving import serving

pytestmark = pytest.mark.real
TOKEN = "glpat-" + "x" * 20

# It says too little, and its words would like to be more than words.
MANIFEST = """\
version: 1
service:
  name: quay
  tier: tier_4
  description: "@all <script>alert(1)</script>"
  owner: {team: crew}
"""
SCORE = "api/ox/scores/component:default/quay"


@asynccontextmanager
async def served(gitlab: str, folder: Path, **remediation: Any) -> AsyncIterator[str]:
    settings = Settings.model_validate(
        {
            "from": gitlab,
            "store": f"sqlite:///{folder}/store.db",
            "port": 0,
            "every": 1,
            "full_every": 1,
            "token": TOKEN,
            "remediation": {"baseline": True, "settle": 0, "digest": True, **remediation},
        }
    )
    async with wired(settings) as parts, serving(parts, settings, PassOptions()) as url:
        yield url


async def seen(url: str, path: str, enough: Callable[[Any], bool]) -> Any:
    """What is served there, as soon as it is `enough`."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}{path}") as answer:
                told = await answer.json() if answer.status == 200 else None
            if told is not None and enough(told):
                return told
            await asyncio.sleep(0.05)


def statuses(told: Any) -> dict[str, str]:
    """How issues stand; of what is left to do only what there is no issue for."""
    return {item["check"]: item["status"] for item in told["items"]}


async def page(url: str) -> str:
    address = f"{url}scores/entity/component:default/quay"
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 200
        return await answer.text()


def results(told: Any) -> dict[str, Any]:
    return {result["check"]: result for result in told["checks"]}


async def test_serve_plans_applies_listens_to_people_and_shows_it(tmp_path: Path) -> None:
    """Plan-only first; then issues, a person's label in the score, and the fix closes it."""
    world = World(utc_now)
    world.add_project("corp/quay", id=1, files={"qm.yaml": MANIFEST})
    sandbox = SandboxGitLab(world, token=TOKEN, scopes=("api",))
    remediations = "api/ox/remediations?entity=component:default/quay"
    async with running(sandbox, port=0) as gitlab, asyncio.timeout(45):
        async with served(gitlab, tmp_path) as url:
            await seen(url, remediations, lambda t: statuses(t).get("*") == "planned")
            assert "planned" in await page(url)
        assert not list(world.issues)
        async with served(gitlab, tmp_path, apply=True) as url:
            told = await seen(url, remediations, lambda t: statuses(t).get("*") == "opened")
            (link,) = {i["url"] for i in told["items"] if i["status"] == "opened"}
            (thing,) = [t for t in world.issues if link.endswith(f"/issues/{t.iid}")]
            assert f'<a href="{link}" rel="noreferrer">opened</a>' in await page(url)
            digests = await seen(url, "api/ox/digests", lambda t: bool(t["items"]))
            assert digests["items"][0]["wins"]
            world.issues.label(1, thing.iid, "ox::waived")
            await seen(url, remediations, lambda t: statuses(t).get("*") == "waived")
            waived = await seen(url, SCORE, lambda t: results(t)["readme"]["state"] == "waived")
            given = results(waived)["readme"]["waiver"]
            assert (given["by"], link in given["reason"]) == ("issue", True)
            assert "waived" in await page(url)
            world.issues.unlabel(1, thing.iid, "ox::waived")
            world.commit_file(1, "README.md", "hello")
            world.commit_file(1, ".gitlab-ci.yml", "build: {script: make}")
            world.commit_file(1, "qm.yaml", f"{MANIFEST}  lifecycle: production\n")
            await seen(url, remediations, lambda t: statuses(t).get("*") == "fixed")
        assert thing.state == "closed"
        assert not world.issues.told
        assert not [e for e in world.issues.events if e.what == "commented"]
