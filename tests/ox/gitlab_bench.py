"""A sandbox GitLab, and the collector of `gitlab_rest` that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bridge.model.facts import Reading
from bridge.ox.facts.gitlab_rest import GitLabRestCollector
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import FaultPlan
from bridge.sandbox.project import ProjectFacts
from bridge.sandbox.world import World
from tests.ox.subjects import NOW, component, project_of, subject

TOKEN = "glpat-only-for-tests"


class Bench:
    """A sandbox and a collector that asks it; `waits` are the seconds it was told to wait."""

    def __init__(self, sandbox: SandboxGitLab, url: str, token: str, patience: float) -> None:
        self.sandbox, self.url = sandbox, url
        self.waits: list[float] = []
        self.collector = GitLabRestCollector(
            url, token, clock=lambda: NOW, timeout=patience, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.sandbox.use_faults(FaultPlan())

    async def read(self, *runbooks: str) -> dict[str, Reading]:
        """A reading for every project of the world, by its path."""
        found = [{"url": each, "type": "runbook"} for each in runbooks if each]
        link = {"links": found} if found else {}
        subjects = [
            subject(component(f"c{p.id}", **link), project=project_of(p, self.url))
            for p in self.sandbox.world
        ]
        paths = {s.ref: s.project.path for s in subjects if s.project}
        return {paths[r.entity]: r async for r in self.collector.collect(subjects)}

    async def only(self, *runbooks: str) -> Reading:
        (reading,) = (await self.read(*runbooks)).values()
        return reading


@asynccontextmanager
async def bench(
    world: World, token: str = TOKEN, patience: float = 2.0, **options: Any
) -> AsyncIterator[Bench]:
    sandbox = SandboxGitLab(world, token=TOKEN, **options)
    async with running(sandbox) as url:
        made = Bench(sandbox, url, token, patience)
        try:
            yield made
        finally:
            await made.collector.close()
            await made.collector.close()


def one(path: str = "shop/api", **facts: Any) -> World:
    world = World(lambda: NOW)
    world.add_project(path, files={"docs/run book.md": "x", "empty.md": ""}, id=7)
    project = world.get(7)
    assert project is not None
    project.facts = ProjectFacts(**facts)
    return world
