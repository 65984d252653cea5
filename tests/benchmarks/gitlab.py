"""The sandbox GitLab in a process of its own, so that what is measured is the crawler alone.

Only that process imports it: the crawler's memory is not to hold the sandbox's libraries.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, TypeAlias

from bridge.sandbox.faults import FaultPlan
from bridge.sandbox.latency import Latency

if TYPE_CHECKING:
    from bridge.sandbox.world import World

TOKEN = "sandbox-token"
# A GitLab far away: every REST request 60 ms, GraphQL 60 ms and 8 ms for each project read.
FAR_AWAY = Latency(rest=0.060, graphql=0.060, raw=0.060, per_project=0.008)
# Older than the overlap of the watermark, so that nothing of the world counts as changed.
AGE = timedelta(hours=3)

Furnish: TypeAlias = "Callable[[World], None]"


@dataclass(frozen=True)
class GitLab:
    """A running sandbox: its address, and what it can be asked from outside."""

    url: str
    _pipe: Connection

    def counts(self) -> Counter[str]:
        """The requests since the last time, by method and kind; the count starts anew."""
        self._pipe.send(None)
        counted: Counter[str] = self._pipe.recv()
        return counted

    def push(self, number: int) -> int:
        """Change a manifest, each number another one's; gives its project's id."""
        self._pipe.send(number)
        pushed: int = self._pipe.recv()
        return pushed

    def use_faults(self, plan: FaultPlan) -> None:
        """From now on fail by this plan."""
        self._pipe.send(plan)
        self._pipe.recv()


@contextmanager
def gitlab(
    projects: int,
    latency: Latency | None = None,
    furnish: Furnish | None = None,
    *,
    rate_limit: int | None = None,
) -> Iterator[GitLab]:
    """A generated organization of this many projects, served until left.

    `furnish` changes the world before it is served; it must be a function of a module. `rate_limit`
    is of requests a minute.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(projects, latency, furnish, rate_limit, theirs))
    server.start()
    try:
        yield GitLab(ours.recv(), ours)
        ours.send("end")
    finally:
        server.join(5)
        server.kill()


def _serve(
    projects: int,
    latency: Latency | None,
    furnish: Furnish | None,
    rate_limit: int | None,
    pipe: Connection,
) -> None:
    asyncio.run(_answer(projects, latency, furnish, rate_limit, pipe))


async def _answer(
    projects: int,
    latency: Latency | None,
    furnish: Furnish | None,
    rate_limit: int | None,
    pipe: Connection,
) -> None:
    from bridge.sandbox.app import SandboxGitLab, running
    from bridge.sandbox.organization import generate

    world = generate(projects, seed=1, clock=lambda: datetime.now(UTC) - AGE)
    if furnish is not None:
        furnish(world)
    sandbox = SandboxGitLab(
        world,
        token=TOKEN,
        latency=latency,
        clock=lambda: datetime.now(UTC),
        rate_limit=rate_limit,
    )
    async with running(sandbox) as url:
        pipe.send(url)
        while (asked := await asyncio.to_thread(pipe.recv)) != "end":
            if isinstance(asked, int):
                pipe.send(_push(world, asked))
                continue
            if isinstance(asked, FaultPlan):
                sandbox.use_faults(asked)
            pipe.send(Counter(f"{seen.method} {seen.kind}" for seen in sandbox.requests))
            sandbox.forget_requests()


def _push(world: World, number: int) -> int:
    with_manifest = [p for p in world.projects if "qm.yaml" in p.files and not p.archived]
    project = with_manifest[number * 7 % len(with_manifest)]
    text = project.files["qm.yaml"].content.decode()
    world.commit_file(project.id, "qm.yaml", changed(text, number))
    return project.id


def changed(text: str, number: int) -> str:
    """The manifest with another description, which the catalog must show."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("description:")]
    at = next(n for n, line in enumerate(lines) if line.startswith("service:"))
    return "\n".join(
        [*lines[: at + 1], f"  description: push number {number}.", *lines[at + 1 :], ""]
    )
