"""`fester serve` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import aiohttp

from tests.service.site import LONG, SECRET, TOKEN

_numbers = count(1)


@dataclass
class Process:
    """A `fester serve` of its own."""

    process: asyncio.subprocess.Process
    address: str

    async def asks(self, path: str) -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session, session.get(self.address + path) as answer:
            return answer.status, await answer.read()

    async def role(self) -> str:
        status, body = await self.asks("readyz")
        found = re.search(rb'"role": "(\w+)"', body)
        return found[1].decode() if found and status == 200 else ""

    async def names(self) -> set[str]:
        """The components that the catalog's read API shows."""
        status, body = await self.asks("api/catalog/entities?filter=kind=component")
        return {each["metadata"]["name"] for each in json.loads(body)} if status == 200 else set()

    async def leads(self) -> bool:
        return await self.role() == "leader"

    async def follows(self) -> bool:
        return await self.role() == "follower"

    def serves(self, name: str) -> Callable[[], Awaitable[bool]]:
        async def served() -> bool:
            return name in await self.names()

        return served


# Parts of a few projects: so many of them as a sweep of an hour has.
SMALL_PARTS = (
    "import bridge.passes.sharing as sharing; sharing.PART = 4; "
    "import bridge.passes.task_sharing as tasks; tasks.PART, tasks.LEAST = 4, 8; "
    "import bridge.passes.render_sharing as shards; shards.PART, shards.LEAST = 2, 4; "
    "import bridge.exporters.render as render; render.SHARD_LIMIT = 10; "
)


def serve(
    gitlab: str, folder: Path, store: str, before: str = "", *, to: str = "", **more: str
) -> AbstractAsyncContextManager[Process]:
    """`fester serve` in a process, killed at the end if it still runs.

    It publishes to `folder`/out, or where `to` says. `before` is code that runs first.
    """
    arguments = "--from", gitlab, "--to", to or str(folder / "out"), "--store", store
    return _started(["serve", "--port", "0", *arguments], folder, before, **more)


def worker(
    gitlab: str, folder: Path, store: str, before: str = "", **more: str
) -> AbstractAsyncContextManager[Process]:
    """`fester worker` in a process, killed at the end if it still runs."""
    arguments = "--from", gitlab, "--store", store
    return _started(["worker", "--port", "0", *arguments], folder, before, **more)


@asynccontextmanager
async def _started(
    arguments: Sequence[str], folder: Path, before: str, **more: str
) -> AsyncIterator[Process]:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("FESTER_")},
        "GITLAB_TOKEN": TOKEN,
        "FESTER_WEBHOOK_TOKEN": SECRET,
        "FESTER_LEASE": "3s",
        "FESTER_EVERY": "1h",
        **more,
    }
    said = folder / f"said-{next(_numbers)}"
    with said.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", f"{before}from bridge.cli import main; main()", *arguments),
            env=environment,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LONG):
            line = (await process.stdout.readline()).decode()
        found = re.search(r"http://\S+/", line)
        assert found, said.read_text()[-2000:]
        yield Process(process, found[0])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
